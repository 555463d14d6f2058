"""NP105: what did these sweeps teach, in words?

Contraction of a latent is one minus the ratio of its posterior to its prior variance. *Passed* names what is known
and how well. *Caution* names latents that keep more than half of their prior variance: their posterior is the prior,
and says something about the population, not about this cell. Combinations of latents are the matter of NP109.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check
from noble_prob.findings.words import amount, in_words, listed
from noble_prob.inference.posterior import Posterior

WEAK = 0.5
"""Share of the prior variance above which a latent counts as not informed."""
SHOWN = 4


@check("NP105", "What the sweeps inform", Posterior)
def information(result: Posterior, say: Callable[..., Finding]) -> Iterator[Finding]:
    """Known latents, and latents that the sweeps say little about."""
    after = result.covariance().diagonal()
    kept = (after / torch.cov(result.prior_predictive.latents.T).diagonal()).clamp(max=1.0)
    rows = list(zip(result.space.latents, kept.tolist(), after.sqrt().tolist(), strict=True))
    known = sorted((k, f"{in_words(latent.name)} to {amount(s, latent.unit)}") for latent, k, s in rows if k <= WEAK)
    weak = [latent.name for latent, k, _ in rows if k > WEAK]
    if known:
        best = listed(text for _, text in known[:SHOWN])
        sentence = f"{len(known)} of {len(rows)} latents are known to less than half of their prior variance, best "
        yield say("passed", f"{sentence}{best} (SD).", contraction={latent.name: 1 - k for latent, k, _ in rows})
    if weak:
        told = listed(in_words(name) for name in weak)
        sentence = f"{told[:1].upper()}{told[1:]} {'are' if len(weak) > 1 else 'is'} not informed by these sweeps"
        yield say("caution", f"{sentence}: more than half of the prior variance is left.", _advice(result, weak),
                  latents=weak)  # fmt: skip


def _advice(result: Posterior, weak: list[str]) -> str:
    """Which step would inform the latents: those at whose current nothing was recorded."""
    have = result.evidence.design.current_pa
    steps = {latent.current_pa for latent in result.space.latents if latent.name in weak}
    missing = sorted(s for s in steps if float((have - s).abs().min()) > 30.0)
    if not missing:
        return "Treat them as the population's, not as this cell's."
    return "Record a step near " + ", ".join(f"{s:+.0f} pA" for s in missing) + "."
