"""Verdicts in plain sentences; the only place in calibration that makes prose."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from noble_prob.calibration.power import Power
from noble_prob.calibration.result import FeatureVerdict
from noble_prob.calibration.verdict import QUESTIONS, Test
from noble_prob.findings.base import Severity
from noble_prob.findings.words import in_words, two_digits, with_unit

ROWS = {"trial": "repeats", "neuron": "cells", "draw": "sweeps"}
ENOUGH = 0.8
"""Power below which a test that found nothing is not called passed."""


ARTICLE = {"ensemble": "an ensemble", "other experiment": "another experiment"}


def percent(share: float) -> str:
    """A share as per cent, without claiming certainty."""
    if share >= 0.995:
        return "over 99 %"
    return "under 1 %" if share < 0.005 else f"{100 * share:.0f} %"


def p_text(p: float) -> str:
    """A p value to two digits with its sign."""
    return f"p = {p:.2g}" if p >= 0.001 else "p < 0.001"


def power_sentence(level: str, n: int, power: Power, shift: float, against: str = "ensemble") -> str:
    """What the test could have seen, of spreads and of means."""
    return (
        f"With {n} {ROWS[level]}, {ARTICLE[against]} half as wide would be caught with probability "
        f"{percent(power.narrow)}, one twice as wide with {percent(power.wide)}, and one whose mean is off by one SD "
        f"in a single feature with {percent(shift)}."
    )


def verdict_sentence(
    level: str,
    n: int,
    test: Test,
    power: Power,
    shift: float,
    features: Sequence[FeatureVerdict],
    alpha: float,
    against: str = "ensemble",
) -> tuple[Severity, str]:
    """Severity and sentence of the whole comparison; that means agree is said only if they could have been seen."""
    rows = f"{n} {ROWS[level]}"
    if test.p_value <= alpha:
        return "issue", f"The {against} does not match the {rows} ({p_text(test.p_value)}): {_what(test, features)}."
    weak = min(power.narrow, power.wide) < ENOUGH
    if weak:
        return (
            "not judged",
            f"The {rows} do not contradict the {against} ({p_text(test.p_value)}), but are too few to vouch for it.",
        )
    if shift < ENOUGH:
        return "passed", (
            f"No misfit of the {against}'s spread with the {rows} was found ({p_text(test.p_value)}); "
            "its means are not contradicted."
        )
    return "passed", f"The {against}'s spread and means agree with the {rows} ({p_text(test.p_value)})."


def _what(test: Test, features: Sequence[FeatureVerdict]) -> str:
    """What differs: the named features, or the joint question that fell."""
    named = [f for f in features if f.severity == "issue"]
    if named:
        worst = sorted(named, key=lambda f: min(f.p_spread, f.p_location, f.p_defined))
        more = f", and {len(worst) - 3} more" if len(worst) > 3 else ""
        return "; ".join(f"{in_words(f.name)} {f.clauses[0]}" for f in worst[:3]) + more
    ratios = [math.log(f.sd_ratio) for f in features if f.sd_ratio > 0]
    typical = two_digits(math.exp(sum(ratios) / len(ratios)) if ratios else float("nan"))
    words = {
        "joint_spread": f"over all features its spread is {typical} times the observed, no single one stands out",
        "any_spread": "the spread of single features differs",
        "location": "the means differ jointly, no single feature stands out",
        "defined": "features exist in another share of the rows",
    }
    return words[QUESTIONS[int(test.p_question.argmin())]]


def feature_clauses(
    f: FeatureVerdict, named: bool, alpha: float, rows: tuple[int, int]
) -> tuple[Severity, tuple[str, ...]]:
    """Severity and clauses of one feature.

    Args:
        f: Its numbers.
        named: Whether the whole comparison is a misfit, so that features may be named.
        alpha: Level of the comparison.
        rows: Of the experiment and of the ensemble, whether the feature is defined in them or not.
    """
    if f.n == 0 or f.m == 0:
        side = "experiment" if f.n == 0 else "ensemble"
        return "issue" if named and f.p_defined <= alpha else "not judged", (f"is never defined in the {side}",)
    ratio, low, high = map(two_digits, (f.sd_ratio, f.sd_ratio_low, f.sd_ratio_high))
    spread = f"has {ratio} times the observed SD ({low} .. {high})"
    alike = f.sd_ratio_low <= 1 <= f.sd_ratio_high
    if named and (wrong := tuple(_misfits(f, alpha, rows, spread, alike))):
        return "issue", wrong
    if not math.isfinite(f.sd_ratio):
        return "not judged", ("does not vary, or has too few values",)
    if not min(f.power_narrow, f.power_wide) >= ENOUGH:
        return "not judged", (f"{spread}; too few rows to judge this feature alone",)
    return "passed", (spread if alike else f"{spread}; not more than chance among so many features",)


def _misfits(f: FeatureVerdict, alpha: float, rows: tuple[int, int], spread: str, alike: bool) -> Iterator[str]:
    """What is wrong with a feature: spread, mean, and how often it is defined."""
    if f.p_spread <= alpha:
        shape = ", but its values are distributed otherwise" if alike else ""
        yield spread + shape if math.isfinite(f.sd_ratio) else "varies on one side only"
    if f.p_location <= alpha:
        shift = f.predicted_mean - f.observed_mean
        sds = f" ({abs(shift) / f.observed_sd:.1f} observed SDs)" if f.observed_sd > 0 else ""
        yield f"is {with_unit(abs(shift), f.unit)} {'above' if shift > 0 else 'below'} the observed mean{sds}"
    if f.p_defined <= alpha:
        yield f"is defined in {percent(f.n / rows[0])} of the rows, in {percent(f.m / rows[1])} of the ensemble"
