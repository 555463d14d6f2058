"""NP222: is the recording closer to its predictions than chance?

*Caution* when the recording lies closer to the middle of its predictive draws than all but 0.5 % of the draws. Noise
scales or decoder errors may then be overstated; but the posterior has seen the recording, which draws it towards the
middle, the more so the fewer values there are for its latents. Of recordings drawn from the program itself, whose
noise is right, 4 of 20 of six sweeps (46 values) met it where noise was switched off, and 2 of 20 with usual noise: it
is weak evidence. The demo recording meets it with noise switched off as with usual noise. Not emitted otherwise, nor
for fewer than 40 values: 14 of 20 right recordings of one sweep (9 values) would meet it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from noble_prob.calibration.predictive import PredictiveCheck
from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check

LEVEL, FEWEST = 0.005, 40
REMEDY = (
    "Nothing, unless repeats show less noise than was believed: then infer again with a smaller median of its scale, "
    "nb.infer(..., noise=nb.NoisePrior(trial_rest=noble_prob.noise.Scale(median=0.5))); help(nb.NoisePrior) lists them."
)


@check("NP222", "Closer to its predictions than chance", PredictiveCheck)
def too_wide(result: PredictiveCheck, say: Callable[..., Finding]) -> Iterator[Finding]:
    """At most one finding."""
    if result.n_cells >= FEWEST and result.p_too_wide <= LEVEL:
        yield say(
            "caution",
            f"The recording is closer to its predictions than all but {100 * result.p_too_wide:.1f} % of the draws: "
            "the predictive spread is too wide, or the posterior, which has seen these sweeps, follows them closely.",
            REMEDY,
            p_value=result.p_too_wide,
            coverage_50=result.coverage(0.5),
            coverage_89=result.coverage(0.89),
        )
