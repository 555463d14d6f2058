"""NP220: would the posterior's neurons have produced this recording?

*Issue* when the recording lies further from the middle of its predictive draws than all but 5 % of the draws
themselves, or when more than a tenth of its values hardly exist in the draws. *Passed* otherwise: a weak pass,
because the posterior has seen the recording. *Not judged* when no value could be compared. NP220 and NP221 are two
tests at 5 %: of 600 recordings drawn like the draws themselves, 9 % (standard error 1) met at least one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from noble_prob.calibration.predictive import PredictiveCheck
from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check

MISSING = 0.1
REMEDY = "Do not use this posterior for the features named below: the recorded cell is outside what the decoder can do."


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
    values = f"{result.n_cells} values over {len(result.sweeps)} sweeps"
    body = f"the central 89 % predictive intervals hold {inside} of {values}"
    if result.missing > MISSING:
        body += f", and {100 * result.missing:.0f} % of the recorded values hardly exist in the draws"
    misfit = result.missing > MISSING or (np.isfinite(result.p_misfit) and result.p_misfit <= result.alpha)
    if misfit:
        yield say(
            "issue", f"The recording is not one that the posterior's neurons would give: {body}.", REMEDY, **evidence
        )
    else:
        yield say("passed", f"The posterior's neurons give recordings like this one: {body}.", **evidence)
