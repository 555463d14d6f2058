"""NP104: can importance weights be believed?

For posteriors by importance sampling. *Passed* when the Pareto shape of the weights is at most 0.7 and the effective
sample size at least 400; *caution* when only the latter fails. A shape above 0.7 never gets here: chains are run
instead, and the note about it is an NP104 *caution* of its own. Silent for chains. One mode is seen; others are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check
from noble_prob.inference.posterior import Posterior

ESS = 400.0


@check("NP104", "Importance weights", Posterior)
def weights(result: Posterior, say: Callable[..., Finding]) -> Iterator[Finding]:
    """Judges shape and effective size."""
    if "k_hat" not in result.provenance:
        return
    k, size = float(result.provenance["k_hat"]), float(result.provenance["effective"])
    body = f"Pareto k is {k:.2f} and {size:.0f} draws' worth of weight is left"
    if size >= ESS:
        yield say("passed", f"The importance weights can be believed: {body}.", k_hat=k, effective=size)
    else:
        yield say("caution", f"The importance weights are uneven: {body}.", "Ask for more draws, or use nuts.",
                  k_hat=k, effective=size)  # fmt: skip
