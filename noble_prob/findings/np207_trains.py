"""NP207: do the spike trains of repeats scatter like the predicted ones?

*Issue* when the van Rossum distances between recorded repeats are unlike those between predicted ones, at the level of
3 %. *Passed* when they are not and twice the jitter would have been caught with probability 80 % or more; *not
judged* otherwise. Always emitted. It sees timing that no summary feature does, and changes of rate too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from noble_prob.calibration.train_contrast import TrainContrast
from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check

REMEDY = {"issue": "Compare the rasters and the jitter by spike number.", "not judged": "Record more repeats."}


@check("NP207", "Spike trains of repeats", TrainContrast)
def trains(result: TrainContrast, say: Callable[..., Finding]) -> Iterator[Finding]:
    """One finding per stimulus."""
    within, predicted, across = (
        float(np.mean(x)) for x in (result.within_observed, result.within_predicted, result.across)
    )
    yield say(
        result.severity,
        result.sentence,
        REMEDY.get(result.severity, ""),
        p_value=result.p_value,
        power=result.power,
        n=len(result.observed),
        within_observed=within,
        within_predicted=predicted,
        across=across,
    )
