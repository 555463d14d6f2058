"""NP202: which feature's spread is wrong?

*Issue* for every feature whose log ratio of SDs is named by the corrected test, after NP201 has found a misfit. Not
emitted else: among many features some interval will exclude equal spreads by chance; nor for features that do not vary
on both sides (NP205 lists them).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from noble_prob.calibration.result import Calibration, FeatureVerdict
from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check
from noble_prob.findings.words import begun, in_words, two_digits


@check("NP202", "Spread of a feature", Calibration)
def spread(result: Calibration, say: Callable[..., Finding]) -> Iterator[Finding]:
    """One finding per feature whose spread is off."""
    for item in result.features:
        if not item.sd_ratio > 0:
            continue
        if result.miscalibrated and item.p_spread <= result.alpha:
            yield say("issue", _sentence(item), _remedy(item, result.level), **_evidence(item))


def _sentence(item: FeatureVerdict) -> str:
    predicted, observed = (f"{two_digits(x)} {item.unit}".rstrip() for x in (item.predicted_sd, item.observed_sd))
    ratio, low, high = map(two_digits, (item.sd_ratio, item.sd_ratio_low, item.sd_ratio_high))
    return (
        f"{begun(in_words(item.name))}: the ensemble's SD is {predicted}, the experiment's {observed}, "
        f"a ratio of {ratio} (89 % interval {low} .. {high}, n = {item.n})"
        + (", so it is the shape of the distribution that differs." if _alike(item) else ".")
    )


def _alike(item: FeatureVerdict) -> bool:
    """Whether the SDs agree, and only the shape of the distributions can have been named."""
    return item.sd_ratio_low <= 1 <= item.sd_ratio_high


def _remedy(item: FeatureVerdict, level: str) -> str:
    if _alike(item):
        return f"Look at the tails of {in_words(item.name)} in its panel."
    verb = "Lower" if item.sd_ratio > 1 else "Raise"
    where = "the trial model's variance" if level == "trial" else "the prior's spread"
    return f"{verb} {where} for {in_words(item.name)}."


def _evidence(item: FeatureVerdict) -> dict[str, object]:
    return {
        "feature": item.name,
        "sd_ratio": item.sd_ratio,
        "low": item.sd_ratio_low,
        "high": item.sd_ratio_high,
        "p_corrected": item.p_spread,
        "n": item.n,
        "power_narrow": item.power_narrow,
        "power_wide": item.power_wide,
    }
