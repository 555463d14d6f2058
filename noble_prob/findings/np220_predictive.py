"""NP220: would the posterior's neurons have produced this recording?

*Issue* when the recording lies further from the middle of its predictive draws than all but 5 % of the draws
themselves, or when more than a tenth of its values hardly exist in the draws. *Passed* otherwise. *Not judged* when no
value could be compared.

The posterior has seen the recording, so a firing is strong evidence and a pass weak. NP220 and NP221 are two tests at
5 %: of 600 rows drawn like the draws themselves, 9 % (standard error 1) met at least one of them, but of 220 recordings
drawn from the program and fitted, none met NP220 and one NP221 (0.5 %, standard error 0.5). What a posterior can fit it
hides: none of 30 recordings whose peak was measured 1.5 posterior SDs too high met either. Of sweeps that were held
back (:func:`~noble_prob.check_left_out`) a pass is a real one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from noble_prob.calibration.predictive import PredictiveCheck
from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check
from noble_prob.findings.standouts import standouts
from noble_prob.findings.words import counted

MISSING = 0.1
REMEDY = (
    "Look at the sweeps that are named here and below: a missed or a double spike, noise, or a cell that the decoder "
    "does not know."
)

MISFIT = {
    True: "The recording is not one that the posterior's neurons would give",
    False: "What was held back is not what the posterior foretells",
}
FIT = {
    True: "The posterior's neurons give recordings like this one",
    False: "What was held back is as the posterior foretells",
}
"""Of sweeps that the posterior has seen, and of others."""


@check("NP220", "Posterior predictive check", PredictiveCheck)
def predictive(result: PredictiveCheck, say: Callable[..., Finding]) -> Iterator[Finding]:
    """The verdict about the recording."""
    evidence = {
        "p_misfit": result.p_misfit,
        "values": result.n_cells,
        "missing_share": result.missing,
        "coverage_50": result.coverage(0.5),
        "coverage_89": result.coverage(0.89),
        "draws": len(result.draws),
    }
    if result.n_cells == 0 and not result.missing:
        yield say("not judged", "No feature of this recording is defined, so nothing could be predicted.", **evidence)
        return
    inside = "none" if not result.n_cells else f"{100 * result.coverage(0.89):.0f} %"
    values = f"{counted(result.n_cells, 'value')} over {counted(len(result.sweeps), 'sweep')}"
    body = f"the central 89 % predictive intervals hold {inside} of {values}"
    failed = _failed(result)
    if failed:
        yield say("issue", f"{MISFIT[result.seen]}: {failed}. Of the whole, {body}.", REMEDY, **evidence)
    else:
        yield say("passed", f"{FIT[result.seen]}: {body}.", **evidence)


def _failed(result: PredictiveCheck) -> str:
    """What is beyond its limit, and the value that lies furthest out; empty for a pass."""
    reasons = []
    if np.isfinite(result.p_misfit) and result.p_misfit <= result.alpha:
        most = "".join(f", most {value}" for value in standouts(result, "of the predicted", most=1))
        reasons.append(f"few draws lie as far out (p = {result.p_misfit:.2g}){most}")
    if result.missing > MISSING:
        reasons.append(f"{100 * result.missing:.0f} % of its values hardly exist in the draws")
    return ", and ".join(reasons)
