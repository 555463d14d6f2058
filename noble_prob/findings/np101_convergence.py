"""NP101: did the chains agree, and are there enough draws?

*Issue* when R-hat of a latent exceeds 1.01 or its bulk or tail effective sample size is below 400 (Vehtari et al.
2021), naming which and why. *Passed* otherwise. *Not judged* for a single chain (NP104 judges importance weights).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import isfinite

from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check
from noble_prob.findings.words import in_words, listed
from noble_prob.inference.agreement import ESS, R_HAT
from noble_prob.inference.export import convergence
from noble_prob.inference.posterior import Posterior

REMEDY = (
    "Draw longer; if that does not help, look for several modes (NP103) or for a recording outside the model (NP107)."
)


@check("NP101", "Convergence of the chains", Posterior)
def converged(result: Posterior, say: Callable[..., Finding]) -> Iterator[Finding]:
    """One finding for all latents and noise scales."""
    if result.latents.shape[0] < 2:
        yield say("not judged", "R-hat compares chains, and these draws are not chains.")
        return
    rows = convergence(result)
    still = sorted(name for name, r in rows.items() if r["r_hat"] is None or not isfinite(r["r_hat"]))
    if still:
        yield say(
            "issue",
            f"R-hat of {listed(map(in_words, still))} is not defined: some chains stood still.",
            REMEDY,
            still=still,
        )
        return
    worst = {
        key: (max if key == "r_hat" else min)((r[key] or 0.0, name) for name, r in rows.items())
        for key in ("r_hat", "ess_bulk", "ess_tail")
    }
    evidence = {key: value for key, (value, _) in worst.items()} | {"draws": result.latents[..., 0].numel()}
    bad = _unsettled(worst)
    if bad:
        yield say("issue", f"The chains have not settled: {', '.join(bad)}.", REMEDY, **evidence)
    else:
        fewest = min(worst["ess_bulk"][0], worst["ess_tail"][0])
        sentence = (
            f"{result.latents.shape[0]} chains agree (R-hat at most {worst['r_hat'][0]:.3f}) "
            f"and give at least {fewest:.0f} effective draws of everything."
        )
        yield say("passed", sentence, **evidence)


def _unsettled(worst: Mapping[str, tuple[float, str]]) -> list[str]:
    """The worst figures that are beyond their limits, in words."""
    r_hat, name = worst["r_hat"]
    said = [f"R-hat of {name} is {r_hat:.3f}"] if r_hat > R_HAT else []
    for kind in ("bulk", "tail"):
        ess, name = worst[f"ess_{kind}"]
        if ess < ESS:
            said.append(f"the {kind} effective sample size of {name} is {ess:.0f}")
    return said
