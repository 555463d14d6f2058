"""Observed intervals in the basis where their noise is independent, whatever its size.

Given the smooth errors, the log intervals of a sweep have covariance ``sigma^2 diag(x) + E``: phase diffusion plus
timing errors of single spikes, where ``E`` is tridiagonal because neighbouring intervals share a spike. With ``D =
diag(x)^(1/2)`` and the eigenvectors ``D^-1 E D^-1 = V diag(lambda) V^T`` the rotated residuals ``V^T D^-1 r`` are
independent with variances ``sigma^2 + lambda``. The rotation depends on data only: it is made once, and a change of
``sigma`` costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

TINY_MS = 1e-3
FIRST = 0.1
"""Share of a latency's diffusion that is taken at the observed latency."""
MOST_LEAN = 0.05
"""An interval as short as four of its errors says nothing of them to second order."""


@dataclass(frozen=True, kw_only=True)
class Intervals:
    """Latency and intervals of a set of sweeps, diagonalised.

    Attributes:
        times_ms: The spike times it was made from, infinity behind the last, shape ``(*batch, sweep, spike)``.
        log_ms: Log latency and log intervals, zero where unseen, shape ``(*batch, sweep, width)``.
        lean: What errors of single times add to a residual on average (see :mod:`noble_prob.noise.trains`), same shape.
        seen: Which of them exist.
        rotation: ``V^T D^-1``, shape ``(*batch, sweep, width, width)``.
        eigen: Timing variance per coordinate, in units of the diffusion's (spikes^2 per second).
        basis: Rotated indicators of "latency" and of "interval", shape ``(*batch, sweep, width, 2)``.
        log_scale: Sum of ``log D`` of every sweep, shape ``(*batch, sweep)``.
    """

    times_ms: Float[Tensor, "*batch sweep spike"]
    log_ms: Float[Tensor, "*batch sweep width"]
    lean: Float[Tensor, "*batch sweep width"]
    seen: Bool[Tensor, "*batch sweep width"]
    rotation: Float[Tensor, "*batch sweep width width"]
    eigen: Float[Tensor, "*batch sweep width"]
    basis: Float[Tensor, "*batch sweep width 2"]
    log_scale: Float[Tensor, "*batch sweep"]

    @property
    def width(self) -> int:
        """Largest number of spikes in a sweep."""
        return self.seen.shape[-1]

    @property
    def count(self) -> Float[Tensor, "*batch"]:
        """Number of observed times."""
        return self.seen.sum((-1, -2)).to(self.log_ms)

    def to(self, times_ms: Float[Tensor, "*batch sweep spike"]) -> Intervals:
        """The same on the device of the spike times, which are those it was made from."""
        moved = {k: v.to(times_ms.device) for k, v in vars(self).items()}
        return Intervals(**{**moved, "times_ms": times_ms})

    def take(self, sweeps: Int[Tensor, " some"]) -> Intervals:
        """Those of some of the sweeps."""
        axis = self.times_ms.ndim - 2
        return Intervals(**{k: v.index_select(axis, sweeps.to(v.device)) for k, v in vars(self).items()})

    def rotate(self, r: Float[Tensor, "*more sweep width"]) -> Float[Tensor, "*more sweep width"]:
        """Residuals in the basis; leading axes beyond the recordings' (chains, draws) become columns of one product."""
        own = self.rotation.ndim - 2
        extra = r.shape[: max(r.ndim - 1 - own, 0)]
        if not extra:
            return (self.rotation @ r.unsqueeze(-1)).squeeze(-1)
        columns = r.reshape(extra.numel(), *r.shape[len(extra) :]).movedim(0, -1)
        return (self.rotation @ columns).movedim(-1, 0).reshape(r.shape)

    def log_variances(self, sigma2: Float[Tensor, "*batch 1 1"]) -> Float[Tensor, "*batch"]:
        """Log determinant of the covariance given ``sigma^2`` (spikes^2 per second)."""
        padding = (~self.seen).sum((-1, -2))
        every = (sigma2 + self.eigen).log().sum((-1, -2))
        return every - padding * (sigma2[..., 0, 0] + 1.0).log() + 2 * self.log_scale.sum(-1)


def diagonalise(times_ms: Float[Tensor, "*batch sweep spike"], error_ms: float, most: int) -> Intervals:
    """Find the basis.

    Args:
        times_ms: Spike times (ms after onset), infinity behind the last.
        error_ms: SD of a single spike's time (ms).
        most: Spikes beyond this number in a sweep are not looked at.
    """
    width = min(int(torch.isfinite(times_ms).sum(-1).max()), most)
    t = times_ms[..., :width]
    seen = torch.isfinite(t)
    filled = torch.where(seen, t, 0.0)
    x = torch.diff(filled, dim=-1, prepend=torch.zeros_like(filled[..., :1])) if width else filled
    x = torch.where(seen, x.clamp(min=TINY_MS), 1000.0)  # unseen ones count one second: D = 1
    root = (x / 1000.0).sqrt()
    root[..., :1] = root[..., :1] * FIRST**0.5
    relative = torch.where(seen, error_ms / x / root, 0.0)
    ends = torch.full_like(x, 2.0)
    ends[..., :1] = 1.0
    diagonal = torch.where(seen, ends * relative**2, 1.0)
    shared = (
        torch.diag_embed(-relative[..., :-1] * relative[..., 1:], offset=1) if width > 1 else 0.0 * diagonal[..., None]
    )
    both = shared + shared.transpose(-1, -2) if width > 1 else shared
    eigen, vectors = torch.linalg.eigh(torch.diag_embed(diagonal) + both)
    rotation = vectors.transpose(-1, -2) / root[..., None, :]
    first = torch.zeros_like(x)
    first[..., :1] = seen[..., :1].to(x)
    return Intervals(
        times_ms=times_ms,
        log_ms=torch.where(seen, x.log(), 0.0),
        seen=seen,
        rotation=rotation,
        lean=0.5 * ends * torch.where(seen, (error_ms / x).square(), 0.0).clamp(max=MOST_LEAN),
        eigen=eigen.clamp(min=1e-12),
        basis=rotation @ torch.stack([first, seen.to(x) - first], -1),
        log_scale=(root.log() * seen).sum(-1),
    )
