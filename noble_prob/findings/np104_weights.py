"""NP104: can importance weights be believed?

For posteriors by importance sampling. *Passed* when the Pareto shape of the weights is at most 0.7 and the draws, each
moved once after they were resampled by weight, are worth at least 100 independent ones, which is when a posterior mean
has a Monte Carlo standard error of a tenth of the posterior SD; *caution* when only the latter fails. Where the shape
is above 0.7 chains are run instead, and the note about it is an NP104 *caution* of its own; if they were not wanted
(`--no-chains`, `fall_back=False`) the weighted draws are kept, an *issue*: they may not be believed. Not emitted for
chains. One mode is seen; others are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import isfinite

from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check
from noble_prob.inference.importance import BELIEVABLE
from noble_prob.inference.posterior import Posterior

WORTH = 100.0
"""Independent draws whose mean is exact to a tenth of the SD."""


@check("NP104", "Importance weights", Posterior)
def weights(result: Posterior, say: Callable[..., Finding]) -> Iterator[Finding]:
    """Judges their shape, and what the draws are worth."""
    if "k_hat" not in result.provenance:
        return
    k = float(result.provenance["k_hat"])
    if not k <= BELIEVABLE:
        yield say(
            "issue",
            f"The importance weights can not be believed (Pareto k is {k:.2f}, above {BELIEVABLE:g}), "
            "and no chains were run in their place: these draws are not the posterior.",
            "Read nothing from the latents; infer again without --no-chains (fall_back=False), or by nuts.",
            k_hat=k if isfinite(k) else None,
        )
        return
    size = float(result.provenance["worth"])
    body = (
        f"Pareto k is {k:.2f}, and the draws are worth {size:.0f} independent ones: posterior means are exact to "
        f"about {size**-0.5:.2f} posterior SDs"
    )
    if size >= WORTH:
        yield say("passed", f"The importance weights can be believed: {body}.", k_hat=k, worth=size)
    else:
        yield say(
            "caution",
            f"The importance weights are uneven: {body}.",
            "Ask for more draws, or use nuts.",
            k_hat=k,
            worth=size,
        )
