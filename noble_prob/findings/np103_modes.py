"""NP103: is there one explanation of the recording, or are there several?

Before chains, importance sampling and SVI a mode search (optimisation of the density) starts from each of two dozen
prior draws. *Caution* when one ended at a place of similar height (within five nats) that is far from the best one
(more than five posterior SDs): the draws start around the best one and may not have visited the other. Not emitted
otherwise; a second mode that no search found stays unseen. The method npe starts where its network points to and looks
for no other mode, so it never emits this: infer with another method to ask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check
from noble_prob.inference.posterior import Posterior


@check("NP103", "Several explanations", Posterior)
def modes(result: Posterior, say: Callable[..., Finding]) -> Iterator[Finding]:
    """Fires when a second mode was seen."""
    if int(result.provenance.get("modes", 1)) > 1:
        yield say(
            "caution",
            "More than one set of latents explains this recording about equally well; the draws may show one only.",
            "Add sweeps at other currents, or compare posteriors from several seeds.",
            modes=int(result.provenance["modes"]),
        )
