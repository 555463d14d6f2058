r"""How far a neuron lies from those a decoder was trained on.

The distance is Mahalanobis', :math:`\sqrt{x^\top P x}` with the precision :math:`P` of the training models'
standardised latents, divided by the radius that holds 99 % of them, each seen from the others alone: below 1 the
decoder interpolates, above it extrapolates and its error model says nothing. (Models lie nearer to a covariance made
from themselves: with 60 models in 13 latents that radius leaves a fifth of new ones outside, this one 3 %.) A little is
added to the diagonal of the covariance, so that a latent which hardly varies does not rule all others out. One
ellipsoid says nothing about holes inside it.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

CENTRAL = 0.99
"""Share of the training models within distance 1, seen from the others."""
RIDGE = 1e-4
"""Added to the variances of the standardised latents."""


def distance(
    x: Float[Tensor, "*batch latent"], precision: Float[Tensor, "latent latent"], radius: Float[Tensor, ""]
) -> Float[Tensor, "*batch"]:
    """Distance from the centre of the training models, 1 at the edge of their central 99 %.

    Args:
        x: Standardised latents.
        precision: From :func:`fit_extent`.
        radius: From :func:`fit_extent`.
    """
    return torch.einsum("...i,ij,...j->...", x, precision, x).clamp(min=0).sqrt() / radius


def fit_extent(x: Float[Tensor, "model latent"]) -> tuple[Float[Tensor, "latent latent"], Float[Tensor, ""]]:
    """Precision and radius of the training models.

    Args:
        x: Standardised latents of training models.
    """
    x = x.to(torch.float64)
    ridge = RIDGE * torch.eye(x.shape[1], dtype=x.dtype)
    covariance, n = torch.cov(x.T), len(x)
    off = x - x.mean(0)
    own = off[:, :, None] * off[:, None, :] * n / (n - 1)
    others = ((n - 1) * covariance - own) / max(n - 2, 1)  # without each model
    away = torch.einsum("ni,ni->n", x, torch.linalg.solve(others + ridge, x)).clamp(min=0).sqrt()
    return torch.linalg.inv(covariance + ridge), away.quantile(CENTRAL)
