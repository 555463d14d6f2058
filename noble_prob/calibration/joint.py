"""Is a whole posterior calibrated, not only each of its margins? Three questions over many simulations.

If the truth is a further draw of its posterior, then whatever the posterior's shape:

bias    the truth, centred and whitened by mean and covariance of itself and its ``m`` draws, has mean zero and
        covariance ``m / (m + 1)`` over simulations (the squares of all ``m + 1`` points add up to ``m``): the squared
        length of its mean, times the number of simulations and ``1 + 1 / m``, is chi-squared;
spread  the rank of the truth's Mahalanobis distance among those of the draws is uniform (Kolmogorov-Smirnov);
        posteriors that are too narrow heap it at the top, too wide ones at the bottom;
shape   TARP: the share ``f`` of draws closer to a random reference point than the truth is uniform (Lemos, Coogan,
        Hezaveh and Perreault-Levasseur, 2023); the reference is the truth of another simulation.

The three p values are combined by Bonferroni. None can see a posterior that returns the prior: look at the
contraction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import stats

from noble_prob.calibration.pit import ecdf, rank_ecdf_band
from noble_prob.errors import require

ENOUGH = 5
"""Draws per latent that must be exceeded."""


@dataclass(frozen=True, kw_only=True)
class JointTest:
    """Outcome of the joint test.

    Attributes:
        p_value: Of right posteriors looking as wrong as this, corrected for the three questions.
        p_bias: Of the whitened mean error.
        p_spread: Of the ranks of the Mahalanobis distance.
        p_shape: Of TARP's ``f``.
        f: TARP's shares, shape ``(simulation,)``.
        alpha: Credibility levels, shape ``(grid,)``.
        coverage: TARP's expected coverage at each, shape ``(grid,)``; equal to ``alpha`` if calibrated.
        low: Simultaneous 95 % band, shape ``(grid,)``.
        high: Upper end.
    """

    p_value: float
    p_bias: float
    p_spread: float
    p_shape: float
    f: Float[ndarray, " simulation"]
    alpha: Float[ndarray, " grid"]
    coverage: Float[ndarray, " grid"]
    low: Float[ndarray, " grid"]
    high: Float[ndarray, " grid"]


def joint_test(
    truth: Float[ndarray, "simulation latent"], draws: Float[ndarray, "simulation draw latent"], *, seed: int = 0
) -> JointTest:
    """Joint calibration of posteriors over many simulations.

    Args:
        truth: True latents, shape ``(simulation, latent)``.
        draws: Posterior draws, independent or thinned, more than five per latent, shape ``(simulation, draw, latent)``.
        seed: Of the reference points and ties.

    Raises:
        UsageError: If the shapes do not fit, or fewer than 20 simulations or too few draws are given.
    """
    require(
        draws.ndim == 3 and truth.shape == (draws.shape[0], draws.shape[2]),
        "draws",
        "of shape (simulation, draw, latent) with the truth's simulations and latents",
        tuple(draws.shape),
        "stack the posteriors",
    )
    n, m, k = draws.shape
    require(n >= 20, "truth", "at least 20 simulations", n, "simulate more recordings")
    require_draws(m, k)
    rng = np.random.default_rng(seed)
    own, others = _whiten(truth, draws)
    p_bias = float(stats.chi2.sf(n * (own.mean(0) ** 2).sum() * (1 + 1 / m), k))
    rank = ((others**2).sum(-1) < (own**2).sum(-1)[:, None]).sum(-1)
    p_spread = float(stats.kstest((rank + rng.uniform(size=n)) / (m + 1), "uniform").pvalue)
    f = _tarp(truth, draws, rng)
    p_shape = float(stats.kstest(f, "uniform").pvalue)
    alpha, low, high = rank_ecdf_band(n, 0.95)
    return JointTest(
        p_value=min(1.0, 3 * min(p_bias, p_spread, p_shape)),
        p_bias=p_bias,
        p_spread=p_spread,
        p_shape=p_shape,
        f=f,
        alpha=alpha,
        coverage=ecdf(f, alpha),
        low=low,
        high=high,
    )


def require_draws(draws: int, latents: int) -> None:
    """Refuse fewer draws than a covariance needs: the truth counts among them, so ranks would be exact but blind.

    Raises:
        UsageError: If there are not more than five per latent.
    """
    least = ENOUGH * latents
    require(draws > least, "draws", f"more than {least} draws of {latents} latents", draws, "keep more draws")


def _whiten(truth: ndarray, draws: ndarray) -> tuple[ndarray, ndarray]:
    """Truth and draws in the units of their own posterior; the truth counts as a draw, so ranks are exact."""
    all_points = np.concatenate([truth[:, None], draws], 1)
    off = all_points - all_points.mean(1, keepdims=True)
    covariance = np.einsum("sdi,sdj->sij", off, off) / (off.shape[1] - 1)
    factor = np.linalg.cholesky(
        covariance + 1e-12 * np.eye(truth.shape[1]) * np.trace(covariance, axis1=1, axis2=2)[:, None, None]
    )
    white = np.linalg.solve(factor, off.transpose(0, 2, 1)).transpose(0, 2, 1)
    return white[:, 0], white[:, 1:]


def _tarp(truth: ndarray, draws: ndarray, rng: np.random.Generator) -> ndarray:
    """Share of draws closer to the reference than the truth, in units of the spread of the truths."""
    scale = truth.std(0) + 1e-300
    order = rng.permutation(len(truth))
    reference = np.empty_like(truth)
    reference[order] = truth[np.roll(order, 1)]  # another simulation's truth, never its own
    near = (((draws - reference[:, None]) / scale) ** 2).sum(-1)
    own = (((truth - reference) / scale) ** 2).sum(-1)
    return ((near < own[:, None]).sum(-1) + rng.uniform(size=len(truth))) / (draws.shape[1] + 1)
