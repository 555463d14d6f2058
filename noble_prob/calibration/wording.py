"""Verdicts in plain sentences; the only place in calibration that makes prose."""

from __future__ import annotations

import math
from collections.abc import Sequence

from noble_prob.calibration.power import Power
from noble_prob.calibration.result import FeatureVerdict
from noble_prob.calibration.verdict import QUESTIONS, Test
from noble_prob.findings.base import Severity

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
    """A p value with its sign."""
    return f"p = {p:.3f}" if p >= 0.001 else "p < 0.001"


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
        return "; ".join(f.sentence.split(": ", 1)[1].split(", and ")[0].rstrip(".") for f in worst[:3]) + more
    ratios = [math.log(f.sd_ratio) for f in features if f.sd_ratio > 0]
    typical = math.exp(sum(ratios) / len(ratios)) if ratios else float("nan")
    words = {
        "joint_spread": f"over all features its spread is {typical:.2g} times the observed, no single one stands out",
        "any_spread": "the spread of single features differs",
        "location": "the means differ jointly, no single feature stands out",
        "defined": "features exist in another share of the rows",
    }
    return words[QUESTIONS[int(test.p_question.argmin())]]


def feature_sentence(
    name: str,
    named: bool,
    alpha: float,
    p_spread: float,
    p_location: float,
    p_defined: float,
    ratio: tuple[float, float, float],
    shift: float,
    sd: float,
    unit: str,
    n: tuple[int, int],
    m: tuple[int, int],
    power: float = 1.0,
) -> tuple[Severity, str]:
    """Severity and sentence of one feature; the part after ``: `` stands alone in the verdict of the whole."""
    if n[0] == 0 or m[0] == 0:
        side = "experiment" if n[0] == 0 else "ensemble"
        wrong = named and p_defined <= alpha
        return "issue" if wrong else "not judged", f"{name}: {name} is never defined in the {side}."
    spread = f"{name} has {ratio[0]:.2g} times the observed SD ({ratio[1]:.2g} .. {ratio[2]:.2g})"
    where = f"{name} is {abs(shift):.3g} {unit}".rstrip() + f" {'above' if shift > 0 else 'below'} the observed mean"
    if sd > 0:
        where += f" ({abs(shift) / sd:.1f} observed SDs)"
    parts = []
    if named and p_spread <= alpha:
        shape = "" if not ratio[1] <= 1 <= ratio[2] else ", but its values are distributed otherwise"
        parts.append(spread + shape if math.isfinite(ratio[0]) else f"{name} varies on one side only")
    if named and p_location <= alpha:
        parts.append(where)
    if named and p_defined <= alpha:
        parts.append(
            f"{name} is defined in {percent(n[0] / n[1])} of the rows, in {percent(m[0] / m[1])} of the ensemble"
        )
    if parts:
        return "issue", f"{name}: {', and '.join(parts)}."
    if not math.isfinite(ratio[0]):
        return "not judged", f"{name}: {name} does not vary, or has too few values."
    if not power >= ENOUGH:
        return "not judged", f"{name}: {spread}; too few rows to judge this feature alone."
    if not ratio[1] <= 1 <= ratio[2]:
        return "passed", f"{name}: {spread}; not more than chance among so many features."
    return "passed", f"{name}: {spread}."
