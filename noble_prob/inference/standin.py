r"""What recordings say about their neurons, as Gaussians: the likelihoods that their posteriors' moments imply.

In coordinates in which the reference prior is a standard normal, a posterior of precision :math:`P` had a likelihood of
precision :math:`P - 1`. Estimated from ``S`` draws in ``d`` dimensions (unbiased: the inverse of a sample covariance is
too large by ``(S - 1) / (S - d - 2)``), each entry is off by some :math:`\sqrt{2/S}`, and what is negative by chance is
no likelihood: cut off recording by recording, the rest is information out of nothing, which adds up over recordings. So
what is common to all recordings is estimated from all of them. Directions whose mean precision lies within the scatter
that no information has (Marchenko and Pastur 1967) are taken to say nothing, in every recording; elsewhere each
recording's precision is drawn towards the mean as far as chance explains their differences.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.priors import Prior

WIDEST = 30.0
"""SD (in units of the reference prior's) of a likelihood that says nothing."""
MARGIN = 2.0
"""How far beyond the edge of the scatter, in units of ``(S R) ** (-2 / 3)``, the largest chance value may lie."""
MOVED = 0.5
"""A mean so far from the reference prior's (in its SDs) was moved by the recording, even where it narrowed nothing."""


def implied_likelihoods(
    points: Sequence[Float[Tensor, "draw latent"]], prior: Prior, effective: Float[Tensor, " recording"] | None = None
) -> tuple[Float[Tensor, "recording latent"], Float[Tensor, "recording latent latent"]]:
    """Gaussian likelihoods that turn the prior's moments into those of each posterior.

    Args:
        points: Draws of the standardised latents of each recording.
        prior: The reference prior.
        effective: Independent draws that these are worth; all of them if not given.

    Returns:
        Centres and covariances; a direction that the recordings say nothing about has the SD :data:`WIDEST`, where the
        reference prior is a standard normal.
    """
    mean, covariance = prior.moments
    root = torch.linalg.cholesky(covariance)
    white = [torch.linalg.solve_triangular(root, (z.to(mean) - mean).T, upper=False) for z in points]
    worth = torch.tensor([z.shape[1] for z in white]).to(mean) if effective is None else effective.to(mean)
    centre = torch.stack([z.mean(1) for z in white])
    precision = _pooled(torch.stack([torch.cov(z).reshape(len(z), len(z)) for z in white]), worth)
    value, vector = torch.linalg.eigh(precision)
    along = (vector.transpose(-1, -2) @ centre[..., None])[..., 0]
    silent, moved = value <= WIDEST**-2, along.abs() > MOVED
    strong = (0.5 * along).square().clamp(max=0.9)  # enough to move a mean so far by no more than two SDs
    value = torch.where(silent & moved, strong / (1 - strong), value.clamp(min=WIDEST**-2))
    there = torch.where(silent & ~moved, 0.0, along * (1 + value) / value)  # the posterior's mean is this, shrunk
    scale = root @ vector
    return mean + (scale @ there[..., None])[..., 0], (scale / value[..., None, :]) @ scale.transpose(-1, -2)


def _pooled(
    covariance: Float[Tensor, "recording latent latent"], worth: Float[Tensor, " recording"]
) -> Float[Tensor, "recording latent latent"]:
    """Precisions of the likelihoods in white coordinates: nothing where nobody knows anything, near the mean elsewhere.

    Args:
        covariance: Of the draws.
        worth: How many independent draws each comes from.
    """
    d, eye = covariance.shape[-1], torch.eye(covariance.shape[-1]).to(covariance)
    unbiased = ((worth - d - 2) / (worth - 1)).clamp(min=0)[:, None, None]
    own = unbiased * torch.linalg.inv(covariance + 1e-9 * eye) - eye
    total = worth.sum()
    value, vector = torch.linalg.eigh(torch.einsum("r,rij->ij", worth / total, own))
    edge = (1 - (d / total).clamp(max=0.99).sqrt()).square() * (1 - MARGIN * total ** (-2 / 3)).clamp(min=0.01)
    told = value > 1 / edge - 1
    own = vector.T @ own @ vector
    size = 1 + value.clamp(min=0)
    chance = size[:, None] * size * (1 + eye) / worth[:, None, None]
    off = own - torch.diag(value)
    differ = off.square().sum(0) / max(len(off) - 1, 1)
    share = (1 - chance.mean(0) / differ.clamp(min=1e-30)).clamp(min=0)  # of the differences that chance leaves open
    kept = (torch.diag(value) + share * off) * (told[:, None] & told)
    return vector @ kept @ vector.T


def conditional_draws(
    loc: Float[Tensor, "draw latent"], tril: Float[Tensor, "draw latent latent"],
    seen: Float[Tensor, " latent"], blur: Float[Tensor, "latent latent"], generator: torch.Generator,
) -> Float[Tensor, "draw latent"]:  # fmt: skip
    """A neuron's latents given its Gaussian likelihood and each draw of its population.

    Args:
        loc: Means of the population.
        tril: Cholesky factors of its covariance.
        seen: Centre of the likelihood.
        blur: Its covariance.
        generator: Source of randomness.
    """
    covariance = tril @ tril.transpose(-1, -2)
    gain = torch.linalg.solve(covariance + blur, covariance).transpose(-1, -2)
    mean = loc + (gain @ (seen - loc)[..., None])[..., 0]
    left = covariance - gain @ covariance
    root = torch.linalg.cholesky(0.5 * (left + left.transpose(-1, -2)) + 1e-10 * torch.eye(loc.shape[-1]).to(loc))
    noise = torch.randn(loc.shape, generator=generator, dtype=loc.dtype)
    return mean + (root @ noise[..., None])[..., 0]
