"""A multivariate Gaussian with a shrunken correlation: what mixture, flow and empirical begin with.

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
from contextlib import nullcontext
from dataclasses import dataclass
from math import inf
from numbers import Real
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from jaxtyping import Float
from pyro.infer.mcmc.util import initialize_model
from torch import Tensor

from noble_prob.errors import require
from noble_prob.priors.base import Prior, builder, require_prior
from noble_prob.priors.rng import seeded


@builder("gaussian")
def build(tensors: Mapping[str, Tensor], _settings: Mapping[str, Any]) -> dist.TorchDistribution:
    """The fitted Gaussian."""
    return dist.MultivariateNormal(tensors["loc"], scale_tril=tensors["scale_tril"])


@dataclass(frozen=True, kw_only=True)
class HyperPrior:
    """What is believed about a population before its neurons are seen.

    In standardised units where neurons are known (``fit_prior``), in the reference prior's own directions and SDs where
    they are recordings (``infer_population``).

    Attributes:
        loc_sd: SD of every mean.
        scale_log_sd: SD of the logarithm of every SD, whose median is one.
        eta: LKJ concentration of the correlation; 1 is flat, larger shrinks more.
        factors: None for the LKJ correlation; else the correlation is that of so many common factors with standard
            normal loadings and a private part of variance one: few parameters for many latents.
    """

    loc_sd: float = 1.0
    scale_log_sd: float = 0.5
    eta: float = 2.0
    factors: int | None = None


def hyper_parameters(size: int, hyper: HyperPrior) -> tuple[Tensor, Tensor, Tensor]:
    """Sample sites of a population's mean, SDs and Cholesky factor of its correlation (``loc``, ``scale``, ``corr``).

    Args:
        size: Number of latents.
        hyper: Their priors; with factors the site of the correlation is ``loadings``, shape ``(latent, factor)``.
    """
    one = torch.ones(size, dtype=torch.float64)
    loc = pyro.sample("loc", dist.Normal(0 * one, hyper.loc_sd * one).to_event(1))
    scale = pyro.sample("scale", dist.LogNormal(0 * one, hyper.scale_log_sd * one).to_event(1))
    if size == 1:
        corr = one[:, None]  # one latent correlates with nothing
    elif hyper.factors is None:
        corr = pyro.sample("corr", dist.LKJCholesky(size, torch.tensor(hyper.eta, dtype=one.dtype)))
    else:
        shape = torch.zeros(size, hyper.factors, dtype=one.dtype)
        corr = factor_correlation(pyro.sample("loadings", dist.Normal(shape, shape + 1).to_event(2)))
    return loc, scale, corr


def factor_correlation(loadings: Float[Tensor, "*batch latent factor"]) -> Float[Tensor, "*batch latent latent"]:
    """Cholesky factor of the correlation of common factors with these loadings and private parts of variance one.

    Args:
        loadings: Of every latent on every factor.
    """
    eye = torch.eye(loadings.shape[-2], dtype=loadings.dtype)
    covariance = loadings @ loadings.transpose(-1, -2) + eye
    sd = covariance.diagonal(dim1=-2, dim2=-1).sqrt()
    return torch.linalg.cholesky_ex(covariance)[0] / sd[..., None]


def kish(weights: Float[Tensor, " n"]) -> float:
    """How many equal neurons weighted ones are worth (Kish 1965).

    Args:
        weights: Of the neurons, summing to one.
    """
    return float(1 / weights.square().sum())


def model(x: Float[Tensor, "n latent"], eta: float, weights: Float[Tensor, " n"] | None = None) -> None:
    """The Pyro model of a population whose neurons are known, see the module.

    With weights each neuron counts as so many, which together are as many as :func:`kish` says.
    """
    loc, scale, corr = hyper_parameters(x.shape[1], HyperPrior(eta=eta))
    counts = nullcontext() if weights is None else pyro.poutine.scale(scale=kish(weights) * weights)
    with pyro.plate("neuron", len(x)), counts:
        pyro.sample("x", dist.MultivariateNormal(loc, scale_tril=scale[:, None] * corr), obs=x)


def fit(
    x: Float[Tensor, "n latent"],
    *,
    eta: float,
    steps: int = 200,
    seed: int = 0,
    weights: Float[Tensor, " n"] | None = None,
) -> dict[str, Tensor]:
    """Location and Cholesky factor near the posterior mode.

    The search is stopped after ``steps`` iterations. Where neurons are few for their latents (fifty in 21 dimensions)
    that is short of the mode.

    Args:
        x: Standardised latents of the neurons (float64).
        eta: Concentration of the LKJ prior; 1 is flat over correlations, larger shrinks more.
        steps: L-BFGS iterations.
        seed: Seed of what is drawn while the search is set up; it begins at the origin.
        weights: Weight of each neuron, summing to one; None counts each as one.
    """
    with seeded(seed), pyro.validation_enabled(False):
        start, potential, transforms, _ = initialize_model(model, model_args=(x, eta, weights))
        theta = {name: torch.zeros_like(value).requires_grad_() for name, value in start.items()}
        search = torch.optim.LBFGS(list(theta.values()), max_iter=steps, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            search.zero_grad()
            loss = potential(theta)
            loss.backward()
            return loss

        search.step(closure)
    best = {name: transforms[name].inv(value.detach()) for name, value in theta.items()}
    alone = torch.ones(1, 1, dtype=x.dtype)  # one latent correlates with nothing
    return {"loc": best["loc"], "scale_tril": best["scale"][:, None] * best.get("corr", alone)}


def widened(prior: Prior, factor: float) -> Prior:
    """A Gaussian with the mean of a prior and its SDs times a factor: a reference prior for recordings to be pooled.

    Args:
        prior: Of any kind; its moments are used.
        factor: At least one.

    Raises:
        UsageError: If this is no prior, or the factor is no finite number of at least one.
    """
    require_prior(prior)
    wide = isinstance(factor, Real) and 1 <= factor < inf
    require(
        wide, "factor", "a number of at least one", repr(factor), "pass 1 for the prior's own SDs, 2 for twice them"
    )
    mean, covariance = prior.moments
    tensors = {"loc": mean, "scale_tril": float(factor) * torch.linalg.cholesky(covariance)}
    return Prior(
        kind="gaussian",
        space=prior.space,
        tensors=tensors,
        points=prior.points,
        labels=prior.labels,
        provenance={**prior.provenance, "widened": float(factor)},
    )
