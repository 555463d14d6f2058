"""White coordinates of a posterior that is a funnel: an ellipsoid in coordinates that widen with the noise.

Chains in coordinates of one width for all noise scales take the steps of the narrowest place; in those of
:mod:`noble_prob.inference.funnel` one step size fits everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, Self

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.inference.density import LogDensity
from noble_prob.inference.funnel import Funnel
from noble_prob.inference.whiten import Affine


class Coordinates(Protocol):
    """Coordinates in which chains move: :class:`~noble_prob.inference.whiten.Affine` or :class:`Straight`."""

    def __call__(self, w: Tensor) -> Tensor:
        """Unconstrained coordinates of white ones."""
        ...

    def white(self, u: Tensor) -> Tensor:
        """Inverse of the map."""
        ...

    def log_density(self, density: LogDensity, w: Tensor) -> Tensor:
        """Log density over white coordinates, up to a constant."""
        ...

    def pull_back(self, density: LogDensity, w: Tensor) -> tuple[Tensor, Tensor]:
        """Log density over white coordinates, up to a constant, and its gradient."""
        ...

    def refitted(self, draws: Tensor) -> Self:
        """Coordinates that draws ``(draw, *recording, size)`` are white in, nearly."""
        ...


@dataclass(frozen=True, kw_only=True)
class Straight:
    """The map from white to straight and on to unconstrained coordinates.

    Attributes:
        affine: From white to straight coordinates.
        funnel: From straight to unconstrained ones.
    """

    affine: Affine
    funnel: Funnel

    def __call__(self, w: Float[Tensor, "*draws size"]) -> Float[Tensor, "*draws size"]:
        """Unconstrained coordinates of white ones."""
        return self.funnel(self.affine(w))

    def white(self, u: Float[Tensor, "*draws size"]) -> Float[Tensor, "*draws size"]:
        """Inverse of the map."""
        return self.affine.white(self.funnel.straight(u)[0])

    def log_density(self, density: LogDensity, w: Float[Tensor, "*draws size"]) -> Float[Tensor, "*draws"]:
        """Log density over white coordinates, up to a constant."""
        straight = self.affine(w)
        return density(self.funnel(straight)) + self.funnel.log_volume(straight)

    def pull_back(
        self, density: LogDensity, w: Float[Tensor, "*draws size"]
    ) -> tuple[Float[Tensor, "*draws"], Float[Tensor, "*draws size"]]:
        """Log density over white coordinates and its gradient."""
        x = w.detach().requires_grad_()
        with torch.enable_grad():
            straight = self.affine(x)
            flat, volume = self.funnel(straight), self.funnel.log_volume(straight)
            value, slope = density.gradient(flat.detach())
            (pulled,) = torch.autograd.grad((flat * slope).sum() + volume.sum(), x)
        return value + volume.detach(), pulled

    def refitted(self, draws: Float[Tensor, "draw *recording size"]) -> Straight:
        """The same funnel around an ellipsoid fitted to draws."""
        return replace(self, affine=self.affine.refitted(self.funnel.straight(draws)[0]))


def white_coordinates(affine: Affine, funnel: Funnel | None) -> Coordinates:
    """The coordinates of a proposal.

    Args:
        affine: From white to straight coordinates.
        funnel: From straight to unconstrained ones; None if they are the same.
    """
    return affine if funnel is None else Straight(affine=affine, funnel=funnel)
