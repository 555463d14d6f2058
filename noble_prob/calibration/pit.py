"""Probability integral transform, coverage, and how far a calibrated curve may stray.

If observation ``y`` and the ``m`` members of an ensemble are exchangeable, the rank of ``y`` among them is uniform,
and so is ``u = (rank + v) / (m + 1)`` with ``v ~ U(0, 1)``; ties (counts) are broken at random (Czado, Gneiting and
Held, 2009). A central interval of probability ``p`` then holds ``y`` when ``|2u - 1| <= p``: the empirical
distribution function of ``|2u - 1|`` *is* the coverage curve.

The band of :func:`rank_ecdf_band` is simultaneous: a calibrated curve leaves it *anywhere* with probability ``1 -
prob`` (Säilynoja, Bürkner and Vehtari, 2022, found by simulation). It assumes independent values; for several
features of the same repeats, which are not independent, :func:`envelope` makes the band from simulated curves instead.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import stats

from noble_prob.errors import require

BEYOND, CURVES = 40, 4000
"""Simulated curves that shall leave a band, which then holds its level to a sixth; and how many are made at once."""


def pit(
    observed: Float[ndarray, "*batch n"], ensemble: Float[ndarray, "*batch m"], *, seed: int | np.random.Generator = 0
) -> Float[ndarray, "*batch n"]:
    """Randomised probability integral transform of each observation under its ensemble.

    Args:
        observed: Observations, shape ``(*batch, n)``; NaN gives NaN.
        ensemble: Members, shape ``(*batch, m)``; NaN members are ignored.
        seed: Randomness of the ties.

    Returns:
        Values in (0, 1), uniform if calibrated, shape ``(*batch, n)``.
    """
    rng = np.random.default_rng(seed)
    y, x = observed[..., :, None], ensemble[..., None, :]
    below = (x < y).sum(-1)
    equal = (x == y).sum(-1)
    m = np.isfinite(ensemble).sum(-1)[..., None]
    u = (below + rng.uniform(size=observed.shape) * (equal + 1)) / (m + 1)
    return np.where(np.isfinite(observed) & (m > 0), u, np.nan)


def interval_coverage(u: Float[ndarray, "*batch n"], probability: float) -> Float[ndarray, "*batch"]:
    """Share of PIT values inside the central interval of a probability; NaN values are left out.

    Args:
        u: PIT values, shape ``(*batch, n)``.
        probability: Of the interval, in (0, 1).
    """
    defined = np.isfinite(u)
    inside = (np.abs(2 * u - 1) <= probability) & defined
    return np.where(defined.any(-1), inside.sum(-1) / np.maximum(defined.sum(-1), 1), np.nan)


def coverage_curve(u: Float[ndarray, "*batch n"], nominal: Float[ndarray, " grid"]) -> Float[ndarray, "*batch grid"]:
    """Observed coverage of the central interval of every nominal probability.

    Args:
        u: PIT values, shape ``(*batch, n)``.
        nominal: Probabilities.
    """
    return np.stack([interval_coverage(u, p) for p in nominal], -1)


def ecdf(u: Float[ndarray, "*batch n"], grid: Float[ndarray, " grid"]) -> Float[ndarray, "*batch grid"]:
    """Empirical distribution function at the points of a grid, shape ``(*batch, grid)``."""
    return (u[..., None, :] <= np.asarray(grid)[:, None]).mean(-1)


def rank_ecdf_band(
    n: int, prob: float = 0.95
) -> tuple[Float[ndarray, " grid"], Float[ndarray, " grid"], Float[ndarray, " grid"]]:
    """Simultaneous band of the ECDF of ``n`` independent uniform values (or normalised ranks).

    Args:
        n: Number of values.
        prob: Probability that the whole curve stays inside, for example 0.99; for several latents pass
            ``1 - (1 - prob) / latents``.

    Returns:
        Grid in (0, 1] of at most 100 points, lower and upper end of the band, each of shape ``(grid,)``. Compare
        ``ecdf(u, grid)`` with ``<=`` at both ends.

    Raises:
        UsageError: If ``n`` or ``prob`` makes no sense.
    """
    require(n >= 1, "n", "at least 1", n, "give the number of ranks")
    require(0 < prob < 1, "prob", "between 0 and 1", prob, "give a probability such as 0.95")
    grid, low, high = _band(n, prob)
    return grid.copy(), low.copy(), high.copy()


@lru_cache(maxsize=64)
def _band(n: int, prob: float) -> tuple[ndarray, ndarray, ndarray]:
    """The band, remembered: a report asks for the same one many times. Of the simulated curves some forty leave it."""
    points, simulations = min(100, max(n, 10)), max(4000, math.ceil(BEYOND / (1 - prob)))
    grid = np.arange(1, points + 1) / points
    rng = np.random.default_rng(0)
    k = np.arange(n + 1)[:, None]
    tails = 2 * np.minimum(stats.binom.cdf(k, n, grid), stats.binom.sf(k - 1, n, grid))
    tail = []
    for at in range(0, simulations, CURVES):
        size = min(CURVES, simulations - at)
        counts = rng.multinomial(n, np.full(points, 1 / points), size=size).cumsum(-1)
        tail.append(np.take_along_axis(tails, counts, axis=0)[:, : max(points - 1, 1)].min(-1))  # the last is always 1
    gamma = float(np.quantile(np.concatenate(tail), 1 - prob, method="lower"))
    low, high = stats.binom.ppf(gamma / 2, n, grid) / n, stats.binom.isf(gamma / 2, n, grid) / n
    return grid, np.minimum(low, grid), np.maximum(high, grid)


def envelope(
    curves: Float[ndarray, "simulation grid"], prob: float = 0.95
) -> tuple[Float[ndarray, " grid"], Float[ndarray, " grid"]]:
    """Simultaneous band from simulated curves: the pointwise quantiles of the depth that a share ``prob`` keeps.

    Args:
        curves: Curves under calibration, shape ``(simulation, grid)``.
        prob: Probability that the whole curve stays inside.

    Returns:
        Lower and upper end, each of shape ``(grid,)``.
    """
    n = len(curves)
    low = stats.rankdata(curves, method="max", axis=0)  # ties count as deep as the deepest of them
    high = stats.rankdata(-curves, method="max", axis=0)
    depth = np.minimum(low, high).min(-1)
    keep = int(np.quantile(depth, 1 - prob, method="lower"))
    ordered = np.sort(curves, axis=0)
    at = int(np.clip(keep - 1, 0, n // 2))
    return ordered[at], ordered[n - 1 - at]
