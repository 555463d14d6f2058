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
from noble_prob.findings.words import in_words


@check("NP202", "Spread of a feature", Calibration)
def spread(result: Calibration, say: Callable[..., Finding]) -> Iterator[Finding]:
    """One finding per feature whose spread is off."""
    for item in result.features:
        if not item.sd_ratio > 0:
            continue
        if result.miscalibrated and item.p_spread <= result.alpha:
            yield say("issue", _sentence(item), _remedy(item, result.level), **_evidence(item))


def _sentence(item: FeatureVerdict) -> str:
    unit = f" {item.unit}" if item.unit else ""
    return (
        f"{_begun(in_words(item.name))}: the ensemble's SD is {item.predicted_sd:.3g}{unit}, the experiment's "
        f"{item.observed_sd:.3g}{unit}, "
        f"a ratio of {item.sd_ratio:.2g} (89 % interval {item.sd_ratio_low:.2g} .. {item.sd_ratio_high:.2g}, n = "
        f"{item.n})" + (", so it is the shape of the distribution that differs." if _alike(item) else ".")
    )


def _begun(words: str) -> str:
    """Words at the beginning of a sentence."""
    return words[:1].upper() + words[1:]


def _alike(item: FeatureVerdict) -> bool:
    """Whether the SDs agree, and only the shape of the distributions can have been named."""
    return item.sd_ratio_low <= 1 <= item.sd_ratio_high


def _remedy(item: FeatureVerdict, level: str) -> str:
    if _alike(item):
        return f"Look at the tails of the {in_words(item.name)} in its panel."
    verb = "Lower" if item.sd_ratio > 1 else "Raise"
    where = "the trial model's variance" if level == "trial" else "the prior's spread"
    return f"{verb} {where} for the {in_words(item.name)}."


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
