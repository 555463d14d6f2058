r"""What recordings say about their neurons, as Gaussians: the likelihoods that their posteriors' moments imply.

In coordinates in which the reference prior is a standard normal (:class:`Frame`), a posterior of precision :math:`P`
had a likelihood of precision :math:`P - 1`. Estimated from ``S`` draws in ``d`` dimensions (unbiased: the inverse of a
sample covariance is too large by ``(S - 1) / (S - d - 2)``), each entry is off by some :math:`\sqrt{2/S}`, and what is
negative by chance is no likelihood: cut off recording by recording, the rest is information out of nothing, which adds
up over recordings. So what is common to all recordings is estimated from all of them. Directions whose mean precision
lies within the scatter that no information has (Marchenko and Pastur 1967) are taken to say nothing, in every
recording; elsewhere each recording's precision is drawn towards the mean as far as chance explains their differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Coordinates in which a reference prior is a standard normal: its principal directions, in units of its SDs there.

    A population is described in these, too. Latents of one cell may be correlated up to 0.99; a population near its
    prior then has scales near one and correlations near zero, whatever the prior's are.

    Attributes:
        mean: Of the prior (standardised latents), shape ``(latent,)``.
        root: Directions times SDs, in columns, shape ``(latent, latent)``.
    """

    mean: Float[Tensor, " latent"]
    root: Float[Tensor, "latent latent"]

    @classmethod
    def of(cls, prior: Prior) -> Frame:
        """The frame of a prior, by its moments."""
        mean, covariance = prior.moments
        value, vector = torch.linalg.eigh(covariance)
        return cls(mean=mean, root=vector * value.clamp(min=1e-12).sqrt())

    def white(self, z: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch latent"]:
        """Standardised latents in this frame."""
        return torch.linalg.solve(self.root, (z.to(self.mean) - self.mean)[..., None])[..., 0]

    def back(self, y: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch latent"]:
        """Standardised latents of points in this frame."""
        return self.mean + y @ self.root.T


def implied_likelihoods(
    points: Sequence[Float[Tensor, "draw latent"]], effective: Float[Tensor, " recording"] | None = None
) -> tuple[Float[Tensor, "recording latent"], Float[Tensor, "recording latent latent"]]:
    """Gaussian likelihoods that turn a standard normal's moments into those of each posterior.

    Args:
        points: Draws of each recording, in the reference prior's frame.
        effective: Independent draws that these are worth; all of them if not given.

    Returns:
        Centres and covariances; a direction that the recordings say nothing about has the SD :data:`WIDEST`.
    """
    centre = torch.stack([y.mean(0) for y in points])
    size = centre.shape[-1]
    worth = torch.tensor([len(y) for y in points]).to(centre) if effective is None else effective.to(centre)
    precision = _pooled(torch.stack([torch.cov(y.T).reshape(size, size) for y in points]), worth)
    value, vector = torch.linalg.eigh(precision)
    along = (vector.transpose(-1, -2) @ centre[..., None])[..., 0]
    silent, moved = value <= WIDEST**-2, along.abs() > MOVED
    farthest = torch.where(silent, 2.0, 4.0)  # SDs by which a mean is let be moved: what little is known may be chance
    strong = (along / farthest).square().clamp(max=0.9)
    value = value.clamp(min=WIDEST**-2).maximum(torch.where(moved, strong / (1 - strong), 0.0))
    there = torch.where(silent & ~moved, 0.0, along * (1 + value) / value)  # the posterior's mean is this, shrunk
    return (vector @ there[..., None])[..., 0], (vector / value[..., None, :]) @ vector.transpose(-1, -2)


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
    loc: Float[Tensor, "draw latent"],
    tril: Float[Tensor, "draw latent latent"],
    seen: Float[Tensor, " latent"],
    blur: Float[Tensor, "latent latent"],
    generator: torch.Generator,
) -> Float[Tensor, "draw latent"]:
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
