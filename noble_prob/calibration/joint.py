"""TARP: is a whole posterior calibrated, not only each of its margins?

Take a reference point ``r`` at random, independent of the truth; the share ``f`` of posterior draws closer to ``r``
than the truth is uniform over simulations if and only if the posterior is right (Lemos, Coogan, Hezaveh and
Perreault-Levasseur, 2023). Over-confident posteriors push ``f`` to the ends, too wide ones to the middle, and bias
tilts it. Distances are Euclidean after scaling each latent by the spread of the truths.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import stats

from noble_prob.calibration.pit import ecdf, rank_ecdf_band
from noble_prob.errors import require


@dataclass(frozen=True, kw_only=True)
class JointTest:
    """Outcome of the joint test.

    Attributes:
        f: Share of draws closer to the reference than the truth, shape ``(simulation,)``.
        p_value: That uniform ``f`` would look as uneven as this (see :func:`tarp`).
        alpha: Credibility levels, shape ``(grid,)``.
        coverage: Expected coverage at each, shape ``(grid,)``; equal to ``alpha`` if calibrated.
        low: Simultaneous 95 % band, shape ``(grid,)``.
        high: Upper end.
    """

    f: Float[ndarray, " simulation"]
    p_value: float
    alpha: Float[ndarray, " grid"]
    coverage: Float[ndarray, " grid"]
    low: Float[ndarray, " grid"]
    high: Float[ndarray, " grid"]


def tarp(
    truth: Float[ndarray, "simulation latent"],
    draws: Float[ndarray, "simulation draw latent"],
    *,
    seed: int = 0,
) -> JointTest:
    """Joint calibration of posteriors over many simulations.

    The p value combines two tests of uniformity by Bonferroni: Kolmogorov-Smirnov on ``f`` (bias) and on ``|2f - 1|``
    (spread, which moves both ends and which a test on ``f`` alone sees late).

    Args:
        truth: True latents, shape ``(simulation, latent)``.
        draws: Posterior draws, independent or thinned, shape ``(simulation, draw, latent)``.
        seed: Of the reference points and ties.

    Raises:
        UsageError: If the shapes do not fit, or fewer than 20 simulations are given.
    """
    require(draws.ndim == 3 and truth.shape == (draws.shape[0], draws.shape[2]), "draws",
            "of shape (simulation, draw, latent) with the truth's simulations and latents", tuple(draws.shape),
            "stack the posteriors")  # fmt: skip
    require(len(truth) >= 20, "truth", "at least 20 simulations", len(truth), "simulate more recordings")
    rng = np.random.default_rng(seed)
    scale = truth.std(0) + 1e-300
    reference = truth[_derangement(len(truth), rng)]  # another simulation's truth: spread like the prior
    near = (((draws - reference[:, None]) / scale) ** 2).sum(-1)
    own = (((truth - reference) / scale) ** 2).sum(-1)
    f = ((near < own[:, None]).sum(-1) + rng.uniform(size=len(truth))) / (draws.shape[1] + 1)
    p = min(1.0, 2 * min(stats.kstest(f, "uniform").pvalue, stats.kstest(np.abs(2 * f - 1), "uniform").pvalue))
    alpha, low, high = rank_ecdf_band(len(f), 0.95)
    return JointTest(f=f, p_value=float(p), alpha=alpha, coverage=ecdf(f, alpha), low=low, high=high)


def _derangement(n: int, rng: np.random.Generator) -> ndarray:
    """A permutation without fixed point: a cycle through a random order."""
    order = rng.permutation(n)
    other = np.empty(n, dtype=int)
    other[order] = np.roll(order, 1)
    return other
