"""Priors that are mixtures of Gaussians: a few broad ones, or one narrow one on every known neuron.

``mixture``
    K components with their own means and one shared covariance, fitted by expectation-maximisation; the covariance is
    shrunk towards that of the whole population as if ``SHRINK`` extra neurons had been seen, so a component of five
    models does not collapse.

``empirical``
    A Gaussian kernel on every neuron, with the population's covariance scaled by Silverman's bandwidth
    ``h = (4 / (n (d + 2)))^(1 / (d + 4))`` (Silverman 1986) and the points drawn in towards the mean by
    ``sqrt(1 - h^2)``, so that mean and covariance are the population's own (West 1993), as far as the shrunken
    covariance of the kernel is. Weights count in all of them; ``n`` is then Kish's number of neurons,
    ``1 / sum(weight^2)``. In many dimensions the bandwidth is near one and this is nearly a Gaussian: no estimator
    makes fifty points fill sixteen dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyro.distributions as dist
import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import constraints

from noble_prob.errors import require, require_count
from noble_prob.priors.base import builder
from noble_prob.priors.gaussian import kish

SHRINK = 20.0
"""Weight of the population's covariance in that of the components, in neurons."""
STEPS = 200
"""Iterations of expectation-maximisation."""


@builder("mixture")
@builder("empirical")
def build(tensors: Mapping[str, Tensor], _settings: Mapping[str, Any]) -> dist.TorchDistribution:
    """Mixture of Gaussians with one covariance."""
    components = dist.MultivariateNormal(tensors["loc"], scale_tril=tensors["scale_tril"])
    return Mixture(dist.Categorical(logits=tensors["logits"]), components)


class Mixture(dist.MixtureSameFamily):
    """A mixture that says where it lives; samplers ask (torch's own support has no map to the reals)."""

    @property
    def support(self) -> constraints.Constraint:
        """All of latent space."""
        return constraints.real_vector


def fit_mixture(
    x: Float[Tensor, "n latent"],
    covariance: Float[Tensor, "latent latent"],
    *,
    components: int,
    seed: int,
) -> dict[str, Tensor]:
    """Expectation-maximisation with a shared, shrunken covariance.

    Args:
        x: Standardised latents.
        covariance: Shrinkage target, the population's covariance.
        components: Number of Gaussians.
        seed: Seed of the starting means, neurons picked at random.

    Raises:
        UsageError: If there are more Gaussians than neurons, or none.
    """
    require_count(components, "components", "Gaussians")
    require(components <= len(x), "components", f"1 to {len(x)}, the number of neurons", components, "ask for fewer")
    generator = torch.Generator().manual_seed(seed)
    loc = x[torch.randperm(len(x), generator=generator)[:components]].clone()
    logits, cov = torch.zeros(components, dtype=x.dtype), covariance.clone()
    for _ in range(STEPS):
        normal = dist.MultivariateNormal(loc, covariance_matrix=cov)
        share = torch.softmax(normal.log_prob(x[:, None]) + logits, -1)
        mass = share.sum(0) + 1.0  # one imaginary neuron per component, at the population's mean
        loc = (share.T @ x + x.mean(0)) / mass[:, None]
        logits = mass.log()
        off = x[:, None] - loc
        within = torch.einsum("nk,nki,nkj->ij", share, off, off)
        cov = (within + SHRINK * covariance) / (len(x) + SHRINK)
    return {"loc": loc, "scale_tril": torch.linalg.cholesky(cov), "logits": torch.log_softmax(logits, 0)}


def fit_empirical(
    x: Float[Tensor, "n latent"], covariance: Float[Tensor, "latent latent"], weights: Float[Tensor, " n"]
) -> dict[str, Tensor]:
    """A kernel on every neuron.

    Args:
        x: Standardised latents.
        covariance: The weighted population's covariance.
        weights: Weight of each neuron, summing to one.
    """
    n, d = kish(weights), x.shape[1]
    h = min((4.0 / (n * (d + 2))) ** (1.0 / (d + 4)), 1.0)
    mean = weights @ x
    loc = mean + (1 - h**2) ** 0.5 * (x - mean)
    return {"loc": loc, "scale_tril": h * torch.linalg.cholesky(covariance), "logits": weights.log()}
