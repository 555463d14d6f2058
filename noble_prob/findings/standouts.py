"""Which values of a recording stand out among predictive draws, in words: for NP107, NP220 and NP221."""

from __future__ import annotations

import numpy as np

from noble_prob.calibration.predictive import PredictiveCheck
from noble_prob.findings.words import in_words, with_unit

FAR = 2.0
"""Robust SDs from the median below which a value is no standout."""


def standouts(check: PredictiveCheck, whose: str, most: int = 3) -> list[str]:
    """The features that deviate most, each on the sweep where it does, the largest deviation first.

    Args:
        check: A recording among draws.
        whose: Of whom the draws are: ``of the population's``.
        most: At most so many.
    """
    size = np.nan_to_num(np.abs(check.deviation), nan=0.0)
    low, high = check.band(0.89)
    found = []
    for k in np.argsort(-size.max(0))[:most]:
        s = int(size[:, k].argmax())
        usual = low[s, k] <= check.observed[s, k] <= high[s, k]  # few values are possible, and this is one of them
        if size[s, k] >= FAR and not usual:
            found.append(f"{in_words(check.names[k])} {told(check, s, int(k), whose)}")
    return found


def told(check: PredictiveCheck, sweep: int, feature: int, whose: str) -> str:
    """One value and where draws have it: ``at +50 pA: 38.8 ms, where 89 % of the predicted are 4.1 to 6.2 ms``.

    Args:
        check: A recording among draws.
        sweep: Row of the value.
        feature: Its column.
        whose: Of whom the draws are.
    """
    unit = check.units[feature]
    low, high = (end[sweep, feature] for end in check.band(0.89))
    seen = with_unit(check.observed[sweep, feature], unit)
    return f"at {check.sweeps[sweep]}: {seen}, where 89 % {whose} are {low:.3g} to {with_unit(high, unit)}"
