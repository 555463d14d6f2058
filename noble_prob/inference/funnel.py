"""Coordinates that widen with the noise: a posterior whose width depends on its scale sites, made straight.

A latent is the better known the smaller the noise that blurs it, so that a posterior over latents and noise scales
together is a funnel (Neal 2003), which no ellipsoid covers. Its shape can be measured before anything is drawn. Let
``H(s)`` be the Hessian of minus the log density over the latents, in coordinates in which it is near one, and ``h`` the
logarithms of the scales in posterior SDs; then ``log H = log H(0) + sum_k h_k G_k`` with ``G_k`` from differences of
the matrix logarithm at one SD up and down. In an orthogonal basis in which all the ``G_k`` are nearly diagonal (the
criterion of Cardoso and Souloumiac 1996, ascended by polar decompositions) with diagonals ``g_k``, latents are

    ``x = centre + A (s - s_0) + L V exp(-sum_k h_k g_k / 2) y``,

and ``(y, h)`` has less of a funnel than ``(x, s)``. The map is a bijection with a volume in closed form, whatever the
density: where it fits badly, importance weights tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.distributions.transforms import ExpTransform, Transform

from noble_prob.inference.density import LogDensity
from noble_prob.inference.whiten import Affine

REACH = 4.0
"""Posterior SDs of a scale at which widths level off."""
STEP = 0.3
"""Step of the differences that give Hessians, in conditional SDs."""
PRECISION = (0.05, 400.0)
"""Limits of a curvature in units of the one that the given coordinates suggest."""
ROWS = 3_200
"""Points of all recordings together whose gradients are taken at once."""


@dataclass(frozen=True, kw_only=True)
class Funnel:
    """The map from straight to unconstrained coordinates.

    Attributes:
        scales: Which coordinates are logarithms of scales, ``(scale,)``.
        rest: Which are not, ``(rest,)``.
        centre: Image of the origin, ``(*recording, size)``.
        sd: Posterior SDs of the scales' logarithms, ``(*recording, scale)``.
        slope: Shift of the others with them, ``(*recording, rest, scale)``.
        basis: Directions that widen, by columns, with their width at the origin, ``(*recording, rest, rest)``.
        rate: Change of log precision along each per SD of a scale, ``(*recording, scale, rest)``.
    """

    scales: Int[Tensor, " scale"]
    rest: Int[Tensor, " rest"]
    centre: Float[Tensor, "*recording size"]
    sd: Float[Tensor, "*recording scale"]
    slope: Float[Tensor, "*recording rest scale"]
    basis: Float[Tensor, "*recording rest rest"]
    rate: Float[Tensor, "*recording scale rest"]

    def __call__(self, straight: Float[Tensor, "*draws size"]) -> Float[Tensor, "*draws size"]:
        """Unconstrained coordinates of straight ones; leading axes before the recordings are draws."""
        h = straight[..., self.scales]
        y = straight[..., self.rest] * (0.5 * self._log_precision(h)).neg().exp()
        offset = _times(self.slope, self.sd * h) + _times(self.basis, y)
        return self.centre + self._joined(offset, self.sd * h)

    def straight(self, flat: Float[Tensor, "*draws size"]) -> tuple[Float[Tensor, "*draws size"], Tensor]:
        """Inverse of the map, and the logarithm of how much it enlarges volumes, shape ``(*draws)``."""
        off = flat - self.centre
        h = off[..., self.scales] / self.sd
        residual = off[..., self.rest] - _times(self.slope, off[..., self.scales])
        half = 0.5 * self._log_precision(h)
        y = torch.linalg.solve(self.basis, residual.unsqueeze(-1)).squeeze(-1) * half.exp()
        volume = half.sum(-1) - torch.linalg.slogdet(self.basis).logabsdet - self.sd.log().sum(-1)
        return self._joined(y, h), volume

    def log_volume(self, straight: Float[Tensor, "*draws size"]) -> Float[Tensor, "*draws"]:
        """Logarithm of how much the map enlarges volumes at straight coordinates, up to a constant."""
        return -0.5 * self._log_precision(straight[..., self.scales]).sum(-1)

    def _log_precision(self, h: Tensor) -> Tensor:
        bounded = REACH * torch.tanh(h / REACH)
        return (bounded.unsqueeze(-2) @ self.rate).squeeze(-2)

    def _joined(self, rest: Tensor, scales: Tensor) -> Tensor:
        place = torch.argsort(torch.cat([self.rest, self.scales]))
        return torch.cat([rest, scales], -1)[..., place]


def measure(density: LogDensity, coordinates: Affine) -> Funnel | None:
    """The funnel of a density around a point; None where it has no scales, or nothing else.

    Args:
        density: Log density; its scales are the sites with positive values.
        coordinates: White coordinates: where the posterior is and how wide.
    """
    scales, rest = _parts(density, coordinates.centre.device)
    if len(scales) == 0 or len(rest) == 0:
        return None
    covariance = coordinates.scale @ coordinates.scale.mT
    own = covariance[..., scales, :][..., scales]
    slope = torch.linalg.solve(own, covariance[..., scales, :][..., rest]).mT
    given = covariance[..., rest, :][..., rest] - slope @ own @ slope.mT
    basis = torch.linalg.cholesky(0.5 * (given + given.mT))
    sd = own.diagonal(dim1=-2, dim2=-1).sqrt()
    plain = Funnel(
        scales=scales,
        rest=rest,
        centre=coordinates.centre,
        sd=sd,
        slope=slope,
        basis=basis,
        rate=sd.new_zeros(*sd.shape, len(rest)),
    )
    change = _log_curvature_change(density, plain)
    turn = _joint_basis(change)
    rate = (turn.mT.unsqueeze(-3) @ change @ turn.unsqueeze(-3)).diagonal(dim1=-2, dim2=-1)
    return Funnel(
        scales=scales, rest=rest, centre=coordinates.centre, sd=sd, slope=slope, basis=basis @ turn, rate=rate
    )


def _parts(density: LogDensity, device: torch.device) -> tuple[Tensor, Tensor]:
    """Columns of the scales and of the rest."""
    bounded = [_is_bounded_below(s.transform) for s in density.sites for _ in range(s.free_shape.numel())]
    is_scale = torch.tensor(bounded, dtype=torch.bool, device=device)
    return is_scale.nonzero().squeeze(-1), (~is_scale).nonzero().squeeze(-1)


def _is_bounded_below(transform: Transform) -> bool:
    """Whether a site's coordinate is the logarithm of a positive number."""
    return any(isinstance(part, ExpTransform) for part in getattr(transform, "parts", [transform]))


def _log_curvature_change(density: LogDensity, plain: Funnel) -> Float[Tensor, "*recording scale rest rest"]:
    """Change of the matrix logarithm of the curvature over the rest per SD of every scale."""
    n, m, size = len(plain.scales), len(plain.rest), plain.centre.shape[-1]
    eye = torch.eye(size, dtype=plain.centre.dtype, device=plain.centre.device)
    moved = torch.cat([eye[plain.scales], -eye[plain.scales]])
    probe = torch.cat([torch.zeros_like(eye[:1]), STEP * eye[plain.rest]])
    lead = plain.sd.shape[:-1]
    points = (moved[:, None] + probe).reshape(-1, *[1] * len(lead), size).expand(-1, *lead, size)
    rows = max(1, ROWS // max(1, lead.numel()))
    slopes = torch.cat([density.gradient(part)[1][..., plain.rest] for part in plain(points).split(rows)])
    white = (plain.basis.mT @ slopes.unsqueeze(-1)).squeeze(-1).reshape(2 * n, m + 1, *lead, m)
    hessian = ((white[:, :1] - white[:, 1:]) / STEP).movedim(1, -2)
    value, vector = torch.linalg.eigh(0.5 * (hessian + hessian.mT))
    log = (vector * value.clamp(*PRECISION).log().unsqueeze(-2)) @ vector.mT
    return (0.5 * (log[:n] - log[n:])).movedim(0, -3)


def _joint_basis(matrices: Float[Tensor, "*recording scale rest rest"], rounds: int = 30) -> Tensor:
    """Orthogonal matrix in which symmetric matrices are as diagonal as possible, shape ``(*recording, rest, rest)``.

    Args:
        matrices: The symmetric matrices.
        rounds: Polar decompositions.
    """
    weight = torch.arange(1, matrices.shape[-3] + 1, dtype=matrices.dtype, device=matrices.device).sqrt()
    basis = torch.linalg.eigh((weight[:, None, None] * matrices).sum(-3)).eigenvectors
    for _ in range(rounds):
        image = matrices @ basis.unsqueeze(-3)
        diagonal = (basis.unsqueeze(-3) * image).sum(-2, keepdim=True)
        left, _, right = torch.linalg.svd((image * diagonal).sum(-3) + 0.3 * basis)
        basis = left @ right
    return basis


def _times(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)
