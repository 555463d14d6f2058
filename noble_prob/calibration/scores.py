"""Proper scores of an ensemble, beside what the experiment scores about itself.

CRPS (one feature) and energy score (all features at once, in standardised units), both the *fair* estimators, whose
mean does not depend on the size of the ensemble (Ferro, 2014): ``E|X - y| - E|X - X'| / 2`` with ``X != X'``. A
score has no absolute scale, so it is divided by the experiment's own: every repeat is scored against the other
repeats. The ratio is 1 if the ensemble knows as much as the experiment itself; the range of the energy ratio under
calibration comes from relabelled rows of both, so it knows how few rows either side has.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from noble_prob.calibration.contrast import magnitude

MOST_ROWS = 500
"""Rows of an ensemble beyond which evenly spaced ones stand for all in the energy ratio."""


def crps(observed: Float[ndarray, "*batch n"], ensemble: Float[ndarray, " m"]) -> Float[ndarray, "*batch"]:
    """Mean fair CRPS of the defined observations (in the feature's unit); NaN with fewer than two members.

    ``E|X - y|`` is read off the sorted members and their cumulative sum, so a thousand pseudo-experiments cost no
    loop.

    Args:
        observed: Shape ``(*batch, n)``, NaN left out.
        ensemble: Shape ``(m,)``, NaN left out.
    """
    x = np.sort(ensemble[np.isfinite(ensemble)])
    m = len(x)
    if m < 2:
        return np.full(observed.shape[:-1], np.nan)
    total = np.r_[0.0, x.cumsum()]
    below = np.searchsorted(x, observed)
    distance = (observed * below - total[below] + (total[-1] - total[below]) - observed * (m - below)) / m
    gini = 2 * np.sum((2 * np.arange(1, m + 1) - m - 1) * x) / (m * (m - 1))
    count = np.isfinite(observed).sum(-1)
    return np.where(count > 0, np.nansum(distance, -1) / np.maximum(count, 1), np.nan) - gini / 2


def self_crps(observed: Float[ndarray, "*batch n"]) -> Float[ndarray, "*batch"]:
    """Mean fair CRPS of each observation against the others; for ``n`` exchangeable values, half their Gini difference.

    ``E|X - X'|`` of one against the others, less half of that of the others among themselves, is half of it on
    average.

    Args:
        observed: Shape ``(*batch, n)`` without NaN; fewer than three values give NaN.
    """
    n = observed.shape[-1]
    if n < 3:
        return np.full(observed.shape[:-1], np.nan)
    weight = 2 * np.arange(1, n + 1) - n - 1
    return (weight * np.sort(observed, -1)).sum(-1) / (n * (n - 1))


def crps_ratio(observed: Float[ndarray, " n"], ensemble: Float[ndarray, " m"]) -> float:
    """CRPS of the ensemble over the experiment's own; NaN with fewer than three members or values, or equal values.

    Args:
        observed: Shape ``(n,)`` without NaN.
        ensemble: Shape ``(m,)``.
    """
    own = float(self_crps(observed))
    return float(crps(observed, ensemble)) / own if len(ensemble) >= 3 and own > 0 else float("nan")


def energy_ratio(
    observed: Float[ndarray, "n feature"],
    ensemble: Float[ndarray, "m feature"],
    *,
    relabellings: int = 400,
    seed: int | np.random.Generator = 0,
) -> tuple[float, float, float]:
    """Energy score of the ensemble over the experiment's own, with the ratio's 89 % range under calibration.

    Features are divided by their SD over the rows of both; those that a tenth of the rows lack are left out, and so are
    then rows with gaps. Were the ensemble right, all labellings would be equally likely.

    Args:
        observed: NaN where undefined, shape ``(n, feature)``.
        ensemble: The same of the ensemble; more than 500 rows stand for themselves evenly spaced.
        relabellings: Random labellings behind the range.
        seed: Of the labellings.

    Returns:
        Ratio, lower and upper end of the range; NaN with fewer than three whole rows on either side.
    """
    whole = np.isfinite(np.concatenate([observed, ensemble])).mean(0) > 0.9
    a, b = (x[np.isfinite(x[:, whole]).all(-1)][:, whole] for x in (observed, ensemble))
    if not whole.any() or min(len(a), len(b)) < 3:
        return float("nan"), float("nan"), float("nan")
    b = b[np.unique(np.linspace(0, len(b) - 1, min(len(b), MOST_ROWS)).astype(int))]
    rows, n, m = np.concatenate([a, b]), len(a), len(b)
    rows = rows / magnitude(rows)
    spread = rows.std(0)
    rows = rows / np.where(spread > 0, spread, 1.0)
    distance, rng = _distance(rows, rows), np.random.default_rng(seed)
    first = np.arange(n + m) < n
    mine = np.stack([first, *(rng.permutation(first) for _ in range(relabellings))]).astype(float)
    near = mine @ distance  # distance of every row to the experiment's
    inside, across = (near * mine).sum(-1), (near * (1 - mine)).sum(-1)
    outside = distance.sum() - inside - 2 * across
    own = 0.5 * inside / (n * (n - 1))
    ratio = (across / (n * m) - 0.5 * outside / (m * (m - 1))) / np.where(own > 0, own, np.nan)
    if not np.isfinite(ratio[0]):
        return float("nan"), float("nan"), float("nan")
    low, high = np.nanquantile(ratio, [0.055, 0.945])
    return float(ratio[0]), float(low), float(high)


def _distance(a: ndarray, b: ndarray) -> ndarray:
    """Euclidean distances, shape ``(len(a), len(b))``."""
    squared = (a**2).sum(-1)[:, None] + (b**2).sum(-1) - 2 * a @ b.T
    return np.sqrt(np.maximum(squared, 0))
