"""The proposal of importance sampling: a multivariate Student t, in coordinates that may widen with the noise.

It is refitted to weighted draws of its own by their mean and covariance (adaptive importance sampling, Cappé et al.
2008), in the coordinates in which it is a t. A hundred effective draws say little about a covariance in 28 dimensions:
weights too uneven are tempered first, and the new covariance is averaged with the old one, as many draws each is worth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.inference.funnel import Funnel
from noble_prob.inference.whiten import Affine

DF, WIDEN = 8.0, 1.2
"""Degrees of freedom of the t, and its width in SDs."""
TRUST, LEAST = 6.0, 2.0
"""Draws per dimension that the curvature at the mode is worth, and that weights are tempered to give."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A Student t in white coordinates of straight coordinates.

    Attributes:
        coordinates: From white to straight coordinates.
        count: Draws that its covariance is worth, shape ``(*recording,)``.
        funnel: From straight to unconstrained coordinates; None if they are the same.
    """

    coordinates: Affine
    count: Float[Tensor, "*recording"]
    funnel: Funnel | None = None

    def sample(self, n: int, *, seed: int) -> Float[Tensor, "draw *recording size"]:
        """``n`` draws for every recording, unconstrained."""
        generator = torch.Generator().manual_seed(seed)
        centre = self.coordinates.centre
        shape, size = centre.shape[:-1], centre.shape[-1]
        normal = torch.randn(n, *shape, size, generator=generator, dtype=torch.float64)
        gamma = torch._standard_gamma(torch.full((n, *shape), DF / 2, dtype=torch.float64), generator=generator)
        straight = self.coordinates(WIDEN * (normal * (DF / (2 * gamma)).sqrt()[..., None]).to(centre))
        return straight if self.funnel is None else self.funnel(straight)

    def log_prob(self, flat: Float[Tensor, "draw *recording size"]) -> Tensor:
        """Log density at unconstrained points, normalised, shape ``(draw, *recording)``."""
        straight, volume = self._straight(flat)
        size = flat.shape[-1]
        norm = math.lgamma((DF + size) / 2) - math.lgamma(DF / 2) - 0.5 * size * math.log(DF * math.pi)
        volume = volume - torch.linalg.slogdet(self.coordinates.scale).logabsdet - size * math.log(WIDEN)
        distance = (self.coordinates.white(straight) / WIDEN).square().sum(-1)
        return norm + volume - 0.5 * (DF + size) * torch.log1p(distance / DF)

    def refit(self, flat: Float[Tensor, "draw *recording size"], log_weight: Tensor) -> Proposal:
        """The proposal with the mean of weighted draws, and their covariance averaged with its own.

        Args:
            flat: Draws, unconstrained.
            log_weight: Their log weights, ``(draw, *recording)``, up to a constant.
        """
        weight = _tempered(log_weight, LEAST * flat.shape[-1])
        points, n = self._straight(flat)[0], 1.0 / weight.square().sum(0)
        centre = (weight[..., None] * points).sum(0)
        off = points - centre
        seen = torch.einsum("n...,n...i,n...j->...ij", weight, off, off)
        old = self.coordinates.scale @ self.coordinates.scale.mT
        covariance = old + (n / (n + self.count))[..., None, None] * (seen - old)
        coordinates = Affine(centre=centre, scale=torch.linalg.cholesky(covariance))
        return replace(self, coordinates=coordinates, count=self.count + n)

    def _straight(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        return (flat, flat.new_zeros(())) if self.funnel is None else self.funnel.straight(flat)


def around(coordinates: Affine, funnel: Funnel | None = None) -> Proposal:
    """The proposal before its first draws.

    Args:
        coordinates: White coordinates of a mode, from its curvature.
        funnel: Measured there; None for an ordinary t.
    """
    count = torch.full_like(coordinates.centre[..., 0], TRUST * coordinates.centre.shape[-1])
    if funnel is None:
        return Proposal(coordinates=coordinates, count=count)
    size, scales = coordinates.centre.shape[-1], funnel.scales
    covariance = coordinates.scale @ coordinates.scale.mT
    own = covariance[..., scales, :][..., scales] / (funnel.sd[..., :, None] * funnel.sd[..., None, :])
    root = torch.eye(size).to(covariance).expand(covariance.shape).clone()
    root[..., scales[:, None], scales] = torch.linalg.cholesky(own)
    straight = Affine(centre=torch.zeros_like(coordinates.centre), scale=root)
    return Proposal(coordinates=straight, count=count, funnel=funnel)


def _tempered(log_weight: Tensor, least: float) -> Tensor:
    """Weights to a power at which at least so many draws count, summing to one over draws."""
    power = torch.ones_like(log_weight[0])
    for _ in range(12):
        weight = torch.softmax(power * log_weight, 0)
        power = torch.where(1.0 / weight.square().sum(0) < least, 0.7 * power, power)
    return torch.softmax(power * log_weight, 0)
