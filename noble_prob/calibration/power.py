"""What the test could have seen: the probability of catching a spread off by two, with these many rows.

A test that passes says little unless it would have failed on a wrong ensemble. So the test is played through on
pseudo-experiments: rows are drawn from the ensemble itself, their deviations from its mean are stretched or shrunk,
and the same joint questions are asked at the same level. ``narrow`` is an ensemble whose spread is half the
experiment's (its rows stretched by two), ``wide`` one with twice the experiment's spread. Because the statistics are
ratios, the answer hardly depends on whether the ensemble is right: it depends on the number of rows, on their
correlation and on their tails.

The same pseudo-experiments give the scatter of ``log(s_observed / s_predicted)`` under a spread that is right, whose
quantiles turn the observed ratio into an interval: exact if experiment and ensemble have one shape up to scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from noble_prob.calibration.contrast import Contrast, Moments, Scaled, assemble, moments, scale
from noble_prob.calibration.verdict import largest, p_values, questions, relabel_test, standardise

SMALL = 20
"""An ensemble of fewer than so many rows per row of the experiment is replayed in full."""
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
    alpha: float = 0.05,
    factor: float = 2.0,
    simulations: int = 1000,
    seed: int | np.random.Generator = 0,
) -> Power:
    """Power of :func:`noble_prob.calibration.verdict.relabel_test` against a spread off by ``factor``.

    Args:
        ensemble: Rows of the ensemble, NaN where undefined.
        n: Rows of the experiment.
        alpha: Level of the test.
        factor: By how much the spread is off.
        simulations: Pseudo-experiments without misfit, and as many of each kind of misfit.
        seed: Of the pseudo-experiments.
    """
    rng = np.random.default_rng(seed)
    scaled = scale(ensemble)
    weights_a = rng.multinomial(n, np.full(len(ensemble), 1 / len(ensemble)), size=2 * simulations).astype(float)
    weights_b: Any = np.ones((1, len(ensemble)))
    if len(ensemble) < SMALL * n:  # a small ensemble is itself uncertain
        weights_b = rng.multinomial(len(ensemble), np.full(len(ensemble), 1 / len(ensemble)), size=2 * simulations)
    parts = [_contrast(scaled, weights_a, weights_b, f) for f in (1.0, factor, 1.0 / factor)]
    if len(ensemble) < SMALL * n:
        caught = [_replay(scaled, n, f, alpha, rng) for f in (factor, 1.0 / factor)]
    else:
        caught = [_shortcut(parts[0], part, simulations, alpha) for part in parts[1:]]
    (narrow, by_narrow), (wide, by_wide) = caught
    return Power(
        n=n, narrow=narrow, wide=wide, feature_narrow=by_narrow, feature_wide=by_wide, log_ratio=parts[0].spread
    )


def _shortcut(right: Contrast, wrong: Contrast, simulations: int, alpha: float) -> tuple[float, ndarray]:
    """Power against a large ensemble: one null distribution serves every pseudo-experiment."""
    chance, fresh = slice(0, simulations), slice(simulations, None)
    both = _stack(_rows(right, chance), _rows(wrong, fresh))
    return _caught(both, chance, fresh, alpha), _named(right, both, chance, fresh, alpha)


def _replay(scaled: Scaled, n: int, factor: float, alpha: float, rng: np.random.Generator) -> tuple[float, ndarray]:
    """Power against a small ensemble: the relabelling test itself on bootstrapped pseudo-experiments."""
    z = np.where(scaled.defined, scaled.z, np.nan)
    tests = []
    for _ in range(REPLAYS):
        a, b = z[rng.integers(len(z), size=n)], z[rng.integers(len(z), size=len(z))]
        tests.append(relabel_test(factor * a, b, permutations=199, seed=rng))
    named = np.stack([t.p_spread for t in tests])
    by_feature = np.where(np.isfinite(named).any(0), (np.nan_to_num(named, nan=1.0) <= alpha).mean(0), np.nan)
    return float(np.mean([t.p_value <= alpha for t in tests])), by_feature


def _contrast(scaled: Scaled, weights_a: ndarray, weights_b: ndarray, factor: float) -> Contrast:
    """Statistics of pseudo-experiments whose deviations from the mean are multiplied by ``factor``."""
    solid = np.ones_like(scaled.axes, dtype=bool)
    z_a, z_b = (moments(scaled.z, scaled.defined, w) for w in (weights_a, weights_b))
    axes_a, axes_b = (moments(scaled.axes, solid, w) for w in (weights_a, weights_b))
    return assemble(
        (*_stretch(z_a, factor), weights_a.sum(-1)), (*z_b, weights_b.sum(-1)), _stretch(axes_a, factor), axes_b
    )


def _stretch(group: Moments, factor: float) -> Moments:
    count, mean, var = group
    return count, factor * mean, factor**2 * var


def _rows(c: Contrast, rows: slice) -> Contrast:
    return Contrast(**{name: value[rows] for name, value in vars(c).items()})


def _stack(a: Contrast, b: Contrast) -> Contrast:
    return Contrast(**{name: np.concatenate([value, getattr(b, name)]) for name, value in vars(a).items()})


def _caught(c: Contrast, chance: slice, fresh: slice, alpha: float) -> float:
    """Share of the fresh rows whose smallest p value is as small as chance makes it in a share ``alpha``."""
    smallest = p_values(questions(standardise(c, chance)), chance).min(-1)
    return float((smallest[fresh] <= np.quantile(smallest[chance], alpha, method="lower")).mean())


def _named(right: Contrast, wrong: Contrast, chance: slice, fresh: slice, alpha: float) -> ndarray:
    """Per feature, how often its own misfit exceeds the largest that chance gives any feature."""
    limit = np.quantile(largest(standardise(right, chance).spread[chance]), 1 - alpha)
    z = standardise(wrong, chance).spread[fresh]
    return np.where(np.isfinite(z).any(0), (np.abs(np.nan_to_num(z)) > limit).mean(0), np.nan)
