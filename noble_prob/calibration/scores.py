"""Proper scores of an ensemble, beside what the experiment scores about itself.

CRPS (one feature) and energy score (all features at once, in standardised units), both the *fair* estimators, whose
mean does not depend on the size of the ensemble (Ferro, 2014): ``E|X - y| - E|X - X'| / 2`` with ``X != X'``. A
score has no absolute scale, so it is divided by the experiment's own: every repeat is scored against the other
repeats. The ratio is 1 if the ensemble knows as much as the experiment itself; its spread under calibration comes
from pseudo-experiments of the same size, drawn from the ensemble.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray


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


def energy_score(observed: Float[ndarray, "n feature"], ensemble: Float[ndarray, "m feature"]) -> float:
    """Mean fair energy score of rows without gaps; scale the features first.

    Args:
        observed: Shape ``(n, feature)``; rows with NaN are left out.
        ensemble: Shape ``(m, feature)``; rows with NaN are left out.
    """
    y, x = (z[np.isfinite(z).all(-1)] for z in (observed, ensemble))
    if not len(y) or len(x) < 2:
        return float("nan")
    return float(_distance(y, x).mean() - 0.5 * _distance(x, x).sum() / (len(x) * (len(x) - 1)))


def self_energy_score(observed: Float[ndarray, "n feature"]) -> float:
    """Mean fair energy score of each row against the others: half their mean distance."""
    y = observed[np.isfinite(observed).all(-1)]
    n = len(y)
    return float("nan") if n < 3 else float(0.5 * _distance(y, y).sum() / (n * (n - 1)))


def _distance(a: ndarray, b: ndarray) -> ndarray:
    """Euclidean distances, shape ``(len(a), len(b))``."""
    squared = (a**2).sum(-1)[:, None] + (b**2).sum(-1) - 2 * a @ b.T
    return np.sqrt(np.maximum(squared, 0))
