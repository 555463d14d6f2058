"""What the test could have seen of spreads: the probability of catching a spread off by two, with these many rows.

A test that passes says little unless it would have failed on a wrong ensemble. So the test is played through on
pseudo-experiments: rows are drawn from the ensemble itself, their deviations from its mean are stretched or shrunk,
and the same joint questions are asked at the same level. ``narrow`` is an ensemble whose spread is half the
experiment's (its rows stretched by two), ``wide`` one with twice the experiment's spread. Because the statistics are
ratios, the answer hardly depends on whether the ensemble is right: it depends on the number of rows, on their
correlation and on their tails.

Bootstrapped experiments give the scatter of ``log(s_observed / s_predicted)`` under a spread that is right, whose
quantiles turn the observed ratio into an interval, if experiment and ensemble have one shape up to scale. The ratio is
that of plain SDs, so values far out are not held back here as they are in the test. (So do 89 % intervals hold 85 to
90 % of right ensembles of twenty and more rows per row of the experiment, heavy tails or not; of smaller ones 85 to 90
% if values are normal and 70 to 85 % if they are skewed or heavy-tailed.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from noble_prob.calibration.contrast import CLIP, Contrast, Scaled, assemble, moments, scale
from noble_prob.calibration.verdict import (
    LEVEL,
    WEIGHTS,
    Test,
    fewest_relabellings,
    largest,
    p_values,
    questions,
    relabel_test,
    standardise,
)

SMALL = 20
"""An ensemble of fewer than so many rows per row of the experiment is replayed in full."""
FEW = 3
"""So is any ensemble with an experiment of at most so many rows."""
REPLAYS = 200


@dataclass(frozen=True, kw_only=True)
class Power:
    """Probabilities of catching a wrong spread at level ``alpha``.

    Attributes:
        n: Rows of the experiment.
        narrow: All spreads of the ensemble half as large as they should be.
        wide: All twice as large.
        feature_narrow: One feature's spread half as large, caught by name, shape ``(feature,)``.
        feature_wide: One feature's spread twice as large, shape ``(feature,)``.
        log_ratio: Scatter of ``log(s_observed / s_predicted)`` under a right spread, shape ``(simulation, feature)``.
    """

    n: int
    narrow: float
    wide: float
    feature_narrow: Float[ndarray, " feature"]
    feature_wide: Float[ndarray, " feature"]
    log_ratio: Float[ndarray, "simulation feature"]


def spread_power(
    ensemble: Float[ndarray, "m feature"],
    n: int,
    *,
    alpha: float = LEVEL,
    simulations: int = 1000,
    seed: int | np.random.Generator = 0,
) -> Power:
    """Power of :func:`noble_prob.calibration.verdict.relabel_test` against a spread off by two.

    Args:
        ensemble: Rows of the ensemble, NaN where undefined.
        n: Rows of the experiment.
        alpha: Level of the test.
        simulations: Pseudo-experiments without misfit, and as many of each kind of misfit.
        seed: Of the pseudo-experiments.
    """
    rng = np.random.default_rng(seed)
    scaled = scale(ensemble)
    method = _replay if too_small(len(ensemble), n) else partial(_shortcut, simulations=simulations)
    narrow, by_narrow = method(scaled, n, 2.0, alpha, rng)
    wide, by_wide = method(scaled, n, 0.5, alpha, rng)
    scatter = _scatter(scale(ensemble, clip=np.inf), n, simulations, rng)
    return Power(n=n, narrow=narrow, wide=wide, feature_narrow=by_narrow, feature_wide=by_wide, log_ratio=scatter)


def _scatter(scaled: Scaled, n: int, simulations: int, rng: np.random.Generator) -> ndarray:
    """``log(s_a / s_b)`` of bootstrapped experiments against the ensemble, or against its bootstraps if it is small.

    Rows are drawn as they are: noise on them, as in :func:`smooth_bootstrap`, would thin their tails.
    """
    m = len(scaled.z)
    equal = np.full(m, 1 / m)
    a = rng.multinomial(n, equal, size=simulations).astype(float)
    b = np.ones((1, m)) if m >= SMALL * n else rng.multinomial(m, equal, size=simulations).astype(float)
    return weighted(scaled, a, b).spread


def _shortcut(
    scaled: Scaled, n: int, factor: float, alpha: float, rng: np.random.Generator, simulations: int
) -> tuple[float, ndarray]:
    """Power against a large ensemble: one null distribution serves every pseudo-experiment.

    As in the test itself, the null is drawn from the *pooled* rows, a share ``n / (n + m)`` of which are stretched.
    """
    m = len(scaled.z)
    pool = Scaled(
        z=np.concatenate([scaled.z, (factor * scaled.z).clip(-CLIP, CLIP)]),
        defined=np.tile(scaled.defined, (2, 1)),
        axes=np.concatenate([scaled.axes, factor * scaled.axes]),
    )
    plain, stretched = np.r_[np.ones(m), np.zeros(m)], np.r_[np.zeros(m), np.ones(m)]
    mixed = (m * plain + n * stretched) / (n + m)
    right = weighted(pool, rng.multinomial(n, mixed / m, size=simulations).astype(float), mixed[None])
    wrong = weighted(pool, rng.multinomial(n, stretched / m, size=simulations).astype(float), plain[None])
    share, z = caught(right, [wrong], alpha)
    limit = np.quantile(largest(z.spread[:simulations]), 1 - alpha)
    fresh = z.spread[simulations:]
    size = np.abs(np.nan_to_num(fresh))
    return share, np.where(np.isfinite(fresh).any(0), (size > limit).mean(0), np.nan)


def _replay(scaled: Scaled, n: int, factor: float, alpha: float, rng: np.random.Generator) -> tuple[float, ndarray]:
    """Power against a small ensemble, with the features that are named."""
    tests = replays(scaled, n, alpha, rng, lambda rows, _: np.multiply(rows, factor, out=rows))
    named = np.stack([t.p_spread for t in tests])
    by_feature = np.where(np.isfinite(named).any(0), (np.nan_to_num(named, nan=1.0) <= alpha).mean(0), np.nan)
    return float(np.mean([t.p_value <= alpha for t in tests])), by_feature


def too_small(m: int, n: int) -> bool:
    """Whether an ensemble of ``m`` rows is replayed in full for an experiment of ``n``: no one null would serve."""
    return m < SMALL * n or n <= FEW


def caught(chance: Contrast, wrong: Sequence[Contrast], alpha: float) -> tuple[float, Contrast]:
    """Share of wrong pseudo-experiments that the questions catch, and all in units of chance, right ones first."""
    n = len(chance.joint_spread)
    parts = (chance, *wrong)
    z = standardise(
        Contrast(**{k: np.concatenate([getattr(part, k) for part in parts]) for k in vars(chance)}), slice(n)
    )
    smallest = (p_values(questions(z), slice(n)) / WEIGHTS).min(-1)
    p = np.searchsorted(np.sort(smallest[:n]), smallest[n:] + 1e-12, side="right") / n
    return float((p <= alpha).mean()), z


def replays(
    scaled: Scaled,
    n: int,
    alpha: float,
    rng: np.random.Generator,
    spoil: Callable[[ndarray, int], object],
    fitted_to: int | None = None,
) -> list[Test]:
    """The relabelling test itself on smoothly bootstrapped pseudo-experiments, each spoilt in place, by its number."""
    gaps, tests = np.where(scaled.defined, scaled.z, np.nan), []
    relabellings = max(199, fewest_relabellings(alpha))
    for turn in range(REPLAYS):
        rows = smooth_bootstrap(gaps, n + len(gaps), rng)
        spoil(rows[:n], turn)
        tests.append(relabel_test(rows[:n], rows[n:], permutations=relabellings, seed=rng, fitted_to=fitted_to))
    return tests


def smooth_bootstrap(
    rows: Float[ndarray, "m feature"], n: int, rng: np.random.Generator
) -> Float[ndarray, "n feature"]:
    """New rows like the given ones, none of them twice: drawn with replacement, shrunk, and given noise (Silverman).

    Nine rows drawn with replacement from nine hold ties, which no experiment does, and too little spread. Shrinking
    towards the mean by as much as the noise adds keeps the covariance; its off-diagonal part counts the less, the
    fewer rows it was estimated from.

    Args:
        rows: Rows, NaN where undefined.
        n: Number of new rows.
        rng: Randomness.
    """
    m, p = rows.shape
    mean = np.nanmean(rows, 0)
    off = np.where(np.isfinite(rows), rows - mean, 0.0)
    covariance = off.T @ off / max(m - 1, 1)
    diagonal = np.diag(np.diag(covariance))
    trust = m / (m + p)
    root = np.linalg.cholesky(trust * covariance + (1 - trust) * diagonal + 1e-12 * np.eye(p))
    width = min(m ** (-1 / (p + 4)), 0.9)
    pick = rng.integers(m, size=n)
    unbiased = (m / max(m - 1, 1)) ** 0.5
    noise = rng.standard_normal((n, p)) @ root.T
    fresh = mean + (1 - width**2) ** 0.5 * unbiased * off[pick] + width * noise
    return np.where(np.isfinite(rows[pick]), fresh, np.nan)


def weighted(scaled: Scaled, weights_a: ndarray, weights_b: ndarray) -> Contrast:
    """Statistics of two groups in which every row counts as often as its weight."""
    solid = np.ones_like(scaled.axes, dtype=bool)
    z_a, z_b = (moments(scaled.z, scaled.defined, w) for w in (weights_a, weights_b))
    axes_a, axes_b = (moments(scaled.axes, solid, w) for w in (weights_a, weights_b))
    return assemble((*z_a, weights_a.sum(-1)), (*z_b, weights_b.sum(-1)), axes_a, axes_b)
