"""What the test could have seen of means: the probability of catching one that is off by one SD.

A comparison that would catch a spread off by two may well miss a mean that is off, in one feature of many most of all.
So the test is played through once more, on pseudo-experiments in which one feature is shifted by its SD, one after the
other (:mod:`noble_prob.calibration.power` does the same for spreads).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from noble_prob.calibration.contrast import CLIP, FLOOR, Scaled, principal_axes, scale
from noble_prob.calibration.power import caught, replays, too_small, weighted
from noble_prob.calibration.verdict import LEVEL, allowance


def mean_power(
    ensemble: Float[ndarray, "m feature"],
    n: int,
    *,
    alpha: float = LEVEL,
    simulations: int = 1000,
    seed: int | np.random.Generator = 0,
    fitted_to: int | None = None,
) -> float:
    """Power of :func:`noble_prob.calibration.verdict.relabel_test` against one mean off by one SD.

    Args:
        ensemble: Rows of the ensemble, NaN where undefined.
        n: Rows of the experiment.
        alpha: Level of the test.
        simulations: Pseudo-experiments without misfit, and about as many with one.
        seed: Of the pseudo-experiments.
        fitted_to: Rows from which the ensemble's mean was estimated, if it was; their error is taken for known here.

    Returns:
        Mean over the features that vary; 0 where none does.
    """
    rng, scaled = np.random.default_rng(seed), scale(ensemble)
    sd = np.sqrt((scaled.z**2).sum(0) / np.maximum(scaled.defined.sum(0), 1))
    varying = np.flatnonzero(sd > FLOOR)
    if not len(varying):
        return 0.0
    if too_small(len(ensemble), n):

        def spoil(rows: ndarray, turn: int) -> None:
            k = varying[turn % len(varying)]
            rows[:, k] += sd[k]

        return float(np.mean([t.p_value <= alpha for t in replays(scaled, n, alpha, rng, spoil, fitted_to)]))
    return _shortcut(scaled, n, sd, varying, alpha, rng, simulations, fitted_to)


def _shortcut(
    scaled: Scaled,
    n: int,
    sd: ndarray,
    varying: ndarray,
    alpha: float,
    rng: np.random.Generator,
    simulations: int,
    fitted_to: int | None,
) -> float:
    """Power against a large ensemble: one null distribution serves every feature.

    Both sides are bootstrapped: means of the ensemble err, too.
    """
    m, wrong = len(scaled.z), []

    def drawn(rows: int, times: int) -> ndarray:
        return rng.multinomial(rows, np.full(m, 1 / m), size=times).astype(float)

    chance = weighted(scaled, drawn(n, simulations), drawn(m, simulations))
    each = -(-simulations // len(varying))
    nothing = np.zeros((each, m))
    for k in varying:
        both = _both(scaled, _moved(scaled, k, sd[k]))
        wrong.append(weighted(both, np.c_[nothing, drawn(n, each)], np.c_[drawn(m, each), nothing]))
        if fitted_to is not None:
            wrong[-1].joint_location[:] /= allowance(n, m, fitted_to)
    return caught(chance, wrong, alpha)[0]


def _moved(scaled: Scaled, k: int, by: float) -> Scaled:
    """The rows with one feature shifted, where it is defined."""
    z = scaled.z.copy()
    z[:, k] = np.where(scaled.defined[:, k], (z[:, k] + by).clip(-CLIP, CLIP), 0.0)
    value, vector = principal_axes(scaled.z)
    return Scaled(z=z, defined=scaled.defined, axes=scaled.axes + (z - scaled.z) @ vector / np.sqrt(value))


def _both(a: Scaled, b: Scaled) -> Scaled:
    """The rows of two tables, one below the other."""
    return Scaled(**{name: np.concatenate([value, getattr(b, name)]) for name, value in vars(a).items()})
