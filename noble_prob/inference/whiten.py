"""Coordinates in which the posterior is nearly a standard normal: find the mode, measure the curvature, divide by it.

A spike train can pin one direction of the latent space to a thousandth of its prior width and leave the next one
free. A sampler that steps equally far in both either crawls or diverges. So: climb from draws of the prior to the
best mode by a damped quasi-Newton method (L-BFGS), take the Hessian there, and sample ``w`` in ``u = mode + A w``
with ``A A^T`` the inverse Hessian (Laplace's approximation). The Hessian is taken from *differences of gradients*
over a step of about one posterior standard deviation: one batched gradient, blind to the decoder's rounding errors,
and nearer to the average curvature than the curvature in a point.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.inference.density import LogDensity

MEMORY = 12
"""Pairs of steps and slopes that an ascent remembers."""
ROUNDS = 2
"""Times the Hessian is taken; each uses the step length the last one suggests."""
LARGEST_SD = 3.0
"""No direction is stretched beyond so many times its starting scale: the prior bounds it anyway."""


@dataclass(frozen=True, kw_only=True)
class Affine:
    """The map ``u = centre + w A^T`` from white to unconstrained coordinates.

    Attributes:
        centre: Image of the origin, shape ``(*batch, size)``.
        scale: ``A``, shape ``(*batch, size, size)``.
    """

    centre: Float[Tensor, "*batch size"]
    scale: Float[Tensor, "*batch size size"]

    def __call__(self, w: Float[Tensor, "*draws size"]) -> Float[Tensor, "*draws size"]:
        """Unconstrained coordinates of white ones; leading axes before the batch are draws or chains."""
        return self.centre + (self.scale @ w.unsqueeze(-1)).squeeze(-1)

    def white(self, u: Float[Tensor, "*draws size"]) -> Float[Tensor, "*draws size"]:
        """Inverse of the map."""
        return torch.linalg.solve(self.scale, (u - self.centre).unsqueeze(-1)).squeeze(-1)

    def log_density(self, density: LogDensity, w: Float[Tensor, "*draws size"]) -> Float[Tensor, "*draws"]:
        """Log density over white coordinates (the constant Jacobian is left out)."""
        return density(self(w))

    def pull_back(
        self, density: LogDensity, w: Float[Tensor, "*draws size"]
    ) -> tuple[Float[Tensor, "*draws"], Float[Tensor, "*draws size"]]:
        """Log density and gradient in white coordinates (the constant Jacobian is left out)."""
        value, slope = density.gradient(self(w))
        return value, (self.scale.transpose(-1, -2) @ slope.unsqueeze(-1)).squeeze(-1)

    def refitted(self, draws: Float[Tensor, "draw *batch size"]) -> Affine:
        """Coordinates from the mean and covariance of draws, shrunk towards the present ones.

        Args:
            draws: Unconstrained; the present covariance counts as twice as many of them as there are dimensions.
        """
        n, size = draws.shape[0], draws.shape[-1]
        centre = draws.mean(0)
        off = draws - centre
        old = self.scale @ self.scale.transpose(-1, -2)
        covariance = (torch.einsum("n...i,n...j->...ij", off, off) + 2 * size * old) / (n + 2 * size)
        return Affine(centre=centre, scale=torch.linalg.cholesky(covariance))


def climb(
    density: LogDensity, start: Affine, w: Float[Tensor, "*starts size"], *, steps: int = 60
) -> tuple[Float[Tensor, "*starts size"], Float[Tensor, "*starts"]]:
    """Ascend from many starting points at once (L-BFGS with backtracking, every point with its own history).

    Args:
        density: What to ascend.
        start: Coordinates to ascend in.
        w: Starting points in these coordinates.
        steps: Iterations.

    Returns:
        The points reached and their log densities.
    """
    value, slope = start.pull_back(density, w)
    pairs: list[tuple[Tensor, Tensor]] = []
    for _ in range(steps):
        direction = _two_loop(slope, pairs)
        length = direction.norm(dim=-1, keepdim=True)
        direction = direction * (2.0 / length.clamp(min=2.0))  # never farther than two prior widths at once
        rate = torch.ones_like(value)
        new, new_value, new_slope = w, value, slope
        for _ in range(8):
            trial = w + rate[..., None] * direction
            trial_value, trial_slope = start.pull_back(density, trial)
            better = trial_value >= value + 1e-4 * rate * (slope * direction).sum(-1)
            take = better & (new_value <= value)
            new = torch.where(take[..., None], trial, new)
            new_value = torch.where(take, trial_value, new_value)
            new_slope = torch.where(take[..., None], trial_slope, new_slope)
            if bool((better | (slope.norm(dim=-1) < 1e-6)).all()):
                break
            rate = torch.where(better, rate, 0.4 * rate)
        gain = float((new_value - value).max())
        pairs = [*pairs[-MEMORY + 1 :], (new - w, slope - new_slope)]
        w, value, slope = new, new_value, new_slope
        if gain < 1e-4:
            break
    return w, value


def _two_loop(slope: Tensor, pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Inverse Hessian times slope from remembered pairs; a pair without positive curvature is passed over."""
    q, alphas = slope, []
    scale = torch.ones_like(slope[..., 0])
    for s, y in reversed(pairs):
        sy = (s * y).sum(-1)
        rho = torch.where(sy > 1e-10, 1.0 / sy.clamp(min=1e-10), 0.0)
        alpha = rho * (s * q).sum(-1)
        q = q - alpha[..., None] * y
        alphas.append((rho, alpha))
    if pairs:
        s, y = pairs[-1]
        ratio = (s * y).sum(-1) / y.square().sum(-1).clamp(min=1e-12)
        scale = torch.where((s * y).sum(-1) > 1e-10, ratio, 0.1)
    else:
        scale = 1.0 / slope.norm(dim=-1).clamp(min=1.0)
    q = q * scale[..., None]
    for (s, y), (rho, alpha) in zip(pairs, reversed(alphas), strict=True):
        beta = rho * (y * q).sum(-1)
        q = q + (alpha - beta)[..., None] * s
    return q


def laplace(density: LogDensity, start: Affine, w: Float[Tensor, "*batch size"]) -> Affine:
    """White coordinates around a mode.

    Args:
        density: The log density.
        start: Coordinates the mode is given in.
        w: The mode.
    """
    here = Affine(centre=start(w), scale=start.scale.expand(*w.shape, w.shape[-1]))
    step = 0.02
    for _ in range(ROUNDS):
        size = w.shape[-1]
        eye = torch.eye(size, dtype=w.dtype, device=w.device)
        probe = step * torch.cat([eye, -eye]).reshape(2 * size, *[1] * (w.ndim - 1), size)
        _, slope = here.pull_back(density, probe.expand(2 * size, *w.shape))
        columns = (slope[size:] - slope[:size]) / (2 * step)
        hessian = columns.movedim(0, -1)
        value, vectors = torch.linalg.eigh(0.5 * (hessian + hessian.transpose(-1, -2)))
        sd = value.clamp(min=LARGEST_SD**-2).rsqrt()
        here = Affine(centre=here.centre, scale=here.scale @ (vectors * sd[..., None, :]))
        step = 0.5
    return here
