"""NP222: is the posterior predictive too wide?

*Caution* when the recording lies closer to the middle of its predictive draws than all but 0.5 % of the draws: noise
scales or decoder errors are then overstated. The level is strict because the posterior has seen the recording, which
draws it towards the middle. Not emitted otherwise. A weak test with few sweeps, and one-sided by construction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from noble_prob.calibration.predictive import PredictiveCheck
from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check

LEVEL = 0.005
REMEDY = (
    "Intervals are conservative; if repeats show less noise, infer again with a smaller median of its scale, "
    "nb.infer(..., noise=nb.NoisePrior(trial_rest=noble_prob.noise.Scale(median=0.5))); help(nb.NoisePrior) lists them."
)


@check("NP222", "Predictive spread too wide", PredictiveCheck)
def too_wide(result: PredictiveCheck, say: Callable[..., Finding]) -> Iterator[Finding]:
    """At most one finding."""
    if result.p_too_wide <= LEVEL:
        yield say(
            "caution",
            f"The recording is closer to its predictions than all but {100 * result.p_too_wide:.1f} % of the draws: "
            "the predictive spread is too wide.",
            REMEDY,
            p_value=result.p_too_wide,
            coverage_50=result.coverage(0.5),
            coverage_89=result.coverage(0.89),
        )
