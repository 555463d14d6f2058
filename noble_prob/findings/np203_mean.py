"""NP203: which feature's mean is wrong?

*Issue* for every feature whose Welch's t is named by the corrected test, after NP201 has found a misfit. Welch's
t, so a wrong spread alone does not make it fire. Not emitted otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from noble_prob.calibration.result import Calibration
from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check
from noble_prob.findings.words import begun, in_words, with_unit


@check("NP203", "Mean of a feature", Calibration)
def mean(result: Calibration, say: Callable[..., Finding]) -> Iterator[Finding]:
    """One finding per feature whose mean is off."""
    for item in result.features:
        if result.miscalibrated and item.p_location <= result.alpha:
            predicted, observed = (with_unit(x, item.unit, 4) for x in (item.predicted_mean, item.observed_mean))
            apart = f", {abs(item.shift):.1f} observed SDs apart" if np.isfinite(item.shift) else ""
            yield say(
                "issue",
                f"{begun(in_words(item.name))}: the ensemble's mean is {predicted}, the experiment's {observed} "
                f"(n = {item.n}){apart}.",
                "Check that both sides measure the same feature on the same stimulus; if so, the ensemble is "
                "centred elsewhere.",
                feature=item.name,
                predicted=item.predicted_mean,
                observed=item.observed_mean,
                shift_sd=item.shift,
                p_corrected=item.p_location,
                n=item.n,
            )
