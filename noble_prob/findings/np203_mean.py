"""NP203: which feature's mean is wrong?

*Issue* for every feature whose Welch's t is named by the corrected test, after NP201 has found a misfit. Welch's
t, so a wrong spread alone does not make it fire. Not emitted otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from noble_prob.calibration.result import Calibration
from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check
from noble_prob.findings.words import in_words


@check("NP203", "Mean of a feature", Calibration)
def mean(result: Calibration, say: Callable[..., Finding]) -> Iterator[Finding]:
    """One finding per feature whose mean is off."""
    for item in result.features:
        if result.miscalibrated and item.p_location <= result.alpha:
            words = in_words(item.name)
            begun = words[:1].upper() + words[1:]
            unit = f" {item.unit}" if item.unit else ""
            yield say(
                "issue",
                f"{begun}: the ensemble's mean is {item.predicted_mean:.4g}{unit}, the experiment's "
                f"{item.observed_mean:.4g}{unit} (n = {item.n}), {abs(item.shift):.1f} observed SDs apart.",
                "Check that both sides measure the same feature on the same stimulus; if so, the ensemble is "
                "centred elsewhere.",
                feature=item.name,
                predicted=item.predicted_mean,
                observed=item.observed_mean,
                shift_sd=item.shift,
                p_corrected=item.p_location,
                n=item.n,
            )
