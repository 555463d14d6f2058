r"""How far a neuron lies from those a decoder was trained on.

The distance is Mahalanobis', :math:`\sqrt{x^\top P x}` with the precision :math:`P` of the training models'
standardised latents, divided by the radius that holds 99 % of them: below 1 the decoder interpolates, above it
extrapolates and its error model says nothing. A little is added to the diagonal of the covariance, so that a latent
which hardly varies does not rule all others out. One ellipsoid says nothing about holes inside it.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

CENTRAL = 0.99
"""Share of the training models within distance 1."""
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
    precision = torch.linalg.inv(torch.cov(x.T) + RIDGE * torch.eye(x.shape[1], dtype=x.dtype))
    return precision, torch.einsum("ni,ij,nj->n", x, precision, x).sqrt().quantile(CENTRAL)
