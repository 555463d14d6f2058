"""A multivariate Student t with the spread of the sample: the prior of the shipped cells.

Fifty neurons do not determine a covariance in twenty dimensions. In the directions of least variance they look flatter
than their population is, so a Gaussian is too sure of what one latent says about another, and posteriors inherit that:
for what sweeps do not say about a latent the prior concludes from the others. And a Gaussian's tails are thin: one
unusual neuron is a thousand nats away. So, of ``n`` neurons with mean ``m`` and covariance ``C``,

    x ~ MultivariateStudentT(df, m, S),    S = width^2 ((1 - share) C + share diag(C))

``share`` is chosen by the density of neurons *left out of the fit* (ten folds): the largest whose density is within
one standard error of the best (the rule of Breiman et al. 1984; Ledoit and Wolf 2004 shrink alike), since density alone
asks for so little that conditional intervals stay too narrow. ``width`` is no choice: it makes the central 89 % of
every latent by itself the classical prediction interval of the next neuron, ``m +- t(n - 1) sd sqrt(1 + 1 / n)``, so
draws are as diverse as the population, and by as much more as ``n`` neurons leave open. ``df`` is not fitted: one odd
neuron in fifty decides it.

``S`` is the scale matrix, not the covariance, which is ``df / (df - 2)`` times as large: of fifty neurons and six
degrees of freedom the SDs of draws are 1.07 times the sample's, for the tails. ``analyses/priors_comparison.py``
compares with the other kinds.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any

import pyro.distributions as dist
import torch
from jaxtyping import Float
from scipy import stats
from torch import Tensor

from noble_prob.priors.base import builder

DF = 6.0
"""Degrees of freedom: unusual neurons are foreseen, and most draws stay among the known ones."""
SHARES = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Shares of the diagonal that are tried; with none, fewer neurons than latents would have no density."""
FOLDS = 10
CENTRAL = 0.89
"""Content of the interval that has the right width."""


@builder("student")
def build(tensors: Mapping[str, Tensor], _settings: Mapping[str, Any]) -> dist.TorchDistribution:
    """The fitted Student t."""
    return dist.MultivariateStudentT(tensors["df"], tensors["loc"], tensors["scale_tril"])


def fit(x: Float[Tensor, "n latent"], *, df: float = DF, seed: int = 0) -> dict[str, Tensor]:
    """Mean and scale of the neurons, their correlations shrunk as far as neurons left out ask for.

    Args:
        x: Standardised latents of the neurons (float64), each of which varies.
        df: Degrees of freedom, above two.
        seed: Seed of the folds.
    """
    nu = torch.tensor(df, dtype=x.dtype)
    variance = x.var(0)
    fold = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed)) % FOLDS
    density = x.new_empty(len(x), len(SHARES))
    for out in (fold == k for k in fold.unique()):
        for k, share in enumerate(SHARES):
            rest = dist.MultivariateStudentT(nu, x[~out].mean(0), scale(x[~out], share, df, variance))
            density[out, k] = rest.log_prob(x[out])
    share = SHARES[largest_within_error(density)]
    return {
        "loc": x.mean(0),
        "scale_tril": scale(x, share, df, variance),
        "df": nu,
        "share": torch.tensor(share, dtype=x.dtype),
    }


def largest_within_error(density: Float[Tensor, "n choice"]) -> int:
    """Last choice whose mean density is below the best one's by no more than the standard error of the difference.

    Args:
        density: Log density of every neuron under every choice, from the least shrunken to the most.
    """
    short = density[:, [int(density.mean(0).argmax())]] - density
    within = short.mean(0) <= short.std(0) / len(density) ** 0.5
    return int(within.nonzero().max())


def scale(
    x: Float[Tensor, "n latent"], share: float, df: float, variance: Float[Tensor, " latent"]
) -> Float[Tensor, "latent latent"]:
    """Cholesky factor of the scale matrix of neurons.

    Args:
        x: Standardised latents of the neurons.
        share: By which their correlations are smaller, above 0 (nearly as they are) to 1 (none is left).
        df: Degrees of freedom.
        variance: What the diagonal's share is made of. Of a part of the neurons it is that of all, since a latent may
            not vary in the part.
    """
    covariance = (1 - share) * torch.atleast_2d(torch.cov(x.T)) + share * torch.diag(variance)
    return width(len(x), df) * torch.linalg.cholesky(covariance)


def width(n: int, df: float) -> float:
    """Scale of a Student t, in SDs of a sample, whose central interval is the prediction interval of the next one.

    Args:
        n: Size of the sample, of a Gaussian population.
        df: Degrees of freedom.
    """
    edge = (1 + CENTRAL) / 2
    return sqrt(1 + 1 / n) * float(stats.t.ppf(edge, n - 1) / stats.t.ppf(edge, df))
