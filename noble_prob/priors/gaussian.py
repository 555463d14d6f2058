"""A multivariate Gaussian with a shrunken correlation: the prior to start with.

    loc   ~ Normal(0, 1)                 per latent
    scale ~ LogNormal(0, 0.5)            per latent
    L     ~ LKJCholesky(latents, eta)    correlation
    x_i   ~ Normal(loc, diag(scale) L)

Fifty models in a dozen and more dimensions do not determine a covariance: the LKJ density (Lewandowski, Kurowicka, Joe
2009), proportional to det(R)^(eta - 1), pulls small correlations to zero. The fit is the posterior mode, found by
L-BFGS on the unconstrained parameters. It says nothing about tails: a Gaussian's are thin.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from jaxtyping import Float
from pyro.infer.mcmc.util import initialize_model
from torch import Tensor

from noble_prob.priors.base import builder
from noble_prob.priors.rng import seeded


@builder("gaussian")
def build(tensors: Mapping[str, Tensor], _settings: Mapping[str, Any]) -> dist.TorchDistribution:
    """The fitted Gaussian."""
    return dist.MultivariateNormal(tensors["loc"], scale_tril=tensors["scale_tril"])


def model(x: Float[Tensor, "n latent"], eta: float) -> None:
    """The Pyro model of the population, see the module."""
    size = x.shape[1]
    one = torch.ones(size, dtype=x.dtype)
    loc = pyro.sample("loc", dist.Normal(0 * one, one).to_event(1))
    scale = pyro.sample("scale", dist.LogNormal(0 * one, 0.5 * one).to_event(1))
    corr = pyro.sample("corr", dist.LKJCholesky(size, torch.tensor(eta, dtype=x.dtype)))
    with pyro.plate("neuron", len(x)):
        pyro.sample("x", dist.MultivariateNormal(loc, scale_tril=scale[:, None] * corr), obs=x)


def fit(x: Float[Tensor, "n latent"], *, eta: float, steps: int = 200, seed: int = 0) -> dict[str, Tensor]:
    """Posterior mode of location and Cholesky factor.

    Args:
        x: Standardised latents of the neurons (float64).
        eta: Concentration of the LKJ prior; 1 is flat over correlations, larger shrinks more.
        steps: L-BFGS iterations.
        seed: Seed of the starting point.
    """
    with seeded(seed), pyro.validation_enabled(False):
        start, potential, transforms, _ = initialize_model(model, model_args=(x, eta))
        theta = {name: torch.zeros_like(value).requires_grad_() for name, value in start.items()}
        search = torch.optim.LBFGS(list(theta.values()), max_iter=steps, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            search.zero_grad()
            loss = potential(theta)
            loss.backward()
            return loss

        search.step(closure)
    best = {name: transforms[name].inv(value.detach()) for name, value in theta.items()}
    return {"loc": best["loc"], "scale_tril": best["scale"][:, None] * best["corr"]}
