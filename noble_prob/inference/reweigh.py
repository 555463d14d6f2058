r"""From the Gaussian stand-ins to the recordings' own draws: weights of hyper-parameters and of neurons, and doubts.

The likelihood of hyper-parameters :math:`\theta`, up to a constant (Hogg, Myers and Bovy 2010), is

.. math:: p(D \mid \theta) = \prod_r \frac{1}{S} \sum_s \frac{p(z_{rs} \mid \theta)}{p_0(z_{rs})} ,

an average over the draws :math:`z_{rs}` of each recording. Two things can spoil it. Few draws may lie where
:math:`\theta` wants them: Pareto's shape tells. And the same draws serve every :math:`\theta`, so that the errors of
many averages add up to a bias that no shape shows: halves of the draws disagree then, and how much is measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.inference.importance import BELIEVABLE, pareto_smooth

QUIET = 0.25
"""Variance (nats squared) of a log weight, by the chance of the recordings' draws, up to which weights are believed."""
PART = 500
"""Draws of the hyper-parameters that are evaluated at once."""


@dataclass(frozen=True, kw_only=True)
class Reweighed:
    """Weights, and what speaks against them.

    Attributes:
        weight: Of the hyper-parameters' draws, summing to one; uniform where they are not believed.
        shares: Weights of each recording's draws, averaged over these.
        k_hat: Pareto shape of the former.
        noise: Variance of their logarithms by the chance of the recordings' draws (nats squared).
    """

    weight: Float[Tensor, " theta"]
    shares: Float[Tensor, "recording draw"]
    k_hat: float
    noise: float

    @property
    def believed(self) -> bool:
        """Whether the weights correct more than they disturb."""
        return self.k_hat <= BELIEVABLE and self.noise <= QUIET


def reweigh(
    loc: Float[Tensor, "theta latent"],
    tril: Float[Tensor, "theta latent latent"],
    points: Float[Tensor, "recording draw latent"],
    before: Float[Tensor, "recording draw"],
    seen: Tensor,
    blur: Tensor,
) -> Reweighed:
    """Weights of hyper-parameters and of each recording's draws.

    Args:
        loc: Draws of the mean.
        tril: Draws of the covariance's Cholesky factor.
        points: Draws of each recording.
        before: Log density of the reference prior there, up to a constant.
        seen: Centres of the Gaussian likelihoods that the draws were made with.
        blur: Their covariances.
    """
    ratio, apart = _log_ratios(loc, tril, points, before, seen, blur)
    smooth, k_hat = pareto_smooth(ratio[:, None])
    found = Reweighed(
        weight=torch.softmax(smooth[:, 0], 0),
        shares=points[..., 0],
        k_hat=float(k_hat[0]),
        noise=float(apart.var() / 4),
    )
    weight = found.weight if found.believed else torch.full_like(ratio, 1 / len(ratio))
    shares = torch.zeros(points.shape[:2], dtype=points.dtype)
    for part in torch.arange(len(loc)).split(PART):
        for r, row in enumerate(points):
            shares[r] += weight[part] @ torch.softmax(_log_normal(loc[part], tril[part], row) - before[r], -1)
    return Reweighed(weight=weight, shares=shares, k_hat=found.k_hat, noise=found.noise)


def _log_ratios(
    loc: Tensor, tril: Tensor, points: Tensor, before: Tensor, seen: Tensor, blur: Tensor
) -> tuple[Float[Tensor, " theta"], Float[Tensor, " theta"]]:
    """Log likelihood by the draws less that by the stand-ins, and the first half of the draws less the second."""
    half = points.shape[1] // 2
    ratio, apart = torch.zeros(len(loc), dtype=loc.dtype), torch.zeros(len(loc), dtype=loc.dtype)
    for part in torch.arange(len(loc)).split(PART):
        covariance = tril[part] @ tril[part].transpose(-1, -2)
        for r, row in enumerate(points):
            log = _log_normal(loc[part], tril[part], row) - before[r]
            first, second = torch.logsumexp(log[:, :half], -1), torch.logsumexp(log[:, half:], -1)
            ratio[part] += torch.logaddexp(first, second) - _normal(seen[r] - loc[part], covariance + blur[r])
            apart[part] += first - second
    return ratio, apart


def _log_normal(loc: Tensor, tril: Tensor, row: Tensor) -> Float[Tensor, "theta draw"]:
    """Log density of draws in every population, without its constant."""
    root_inverse = torch.linalg.inv(tril)
    white = (row[None] - loc[:, None]) @ root_inverse.transpose(-1, -2)
    return -0.5 * white.square().sum(-1) + root_inverse.diagonal(dim1=-2, dim2=-1).log().sum(-1)[:, None]


def _normal(off: Tensor, covariance: Tensor) -> Tensor:
    """Log density of a centred normal, without its constant."""
    root = torch.linalg.cholesky(covariance)
    white = torch.linalg.solve_triangular(root, off[..., None], upper=False)[..., 0]
    return -0.5 * white.square().sum(-1) - root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
