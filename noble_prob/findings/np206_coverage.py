"""NP206: do the intervals of every probability cover as much as they say?

*Caution* when NP201 has found a misfit and the coverage curve of all features leaves the simultaneous 95 % band of a
right ensemble of this size: it shows at which probabilities intervals cover too much or too little. Not emitted
otherwise, and without a curve.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from noble_prob.calibration.result import Calibration
from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check


@check("NP206", "Coverage curve", Calibration)
def coverage(result: Calibration, say: Callable[..., Finding]) -> Iterator[Finding]:
    """At most one finding."""
    curve = result.coverage
    if curve is None or curve.inside or not result.miscalibrated:
        return
    worst = int(np.argmax(np.maximum(curve.observed - curve.high, curve.low - curve.observed)))
    kind = "too wide" if curve.observed[worst] > curve.nominal[worst] else "too narrow or off centre"
    yield say(
        "caution",
        f"The central {100 * curve.nominal[worst]:.0f} % interval holds {100 * curve.observed[worst]:.0f} % of "
        f"the {curve.n} "
        f"values; a right ensemble stays between {100 * curve.low[worst]:.0f} and {100 * curve.high[worst]:.0f} "
        f"%: {kind}.",
        "See NP201 for the verdict and NP202 and NP203 for the features.",
        nominal=float(curve.nominal[worst]),
        observed=float(curve.observed[worst]),
        n=curve.n,
    )
