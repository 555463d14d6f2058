"""What was asked of a neuron, and what it answered, reduced to what the likelihood looks at."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.errors import require
from noble_prob.features.registry import FEATURES, NOTHING
from noble_prob.noise.intervals import Intervals, diagonalise


@dataclass(frozen=True, kw_only=True)
class Design:
    """The stimulus side of a set of sweeps, of one recording or of a batch of recordings.

    Attributes:
        current_pa: Step of every sweep (pA), shape ``(*batch, sweep)``.
        end_ms: How long each step was looked at (ms after onset), shape ``(*batch, sweep)``.
        summary_names: Names of the summary features.
    """

    current_pa: Float[Tensor, "*batch sweep"]
    end_ms: Float[Tensor, "*batch sweep"]
    summary_names: tuple[str, ...]

    def __post_init__(self) -> None:
        shapes = tuple(self.current_pa.shape), tuple(self.end_ms.shape)
        require(
            shapes[0] == shapes[1] and self.current_pa.numel() > 0,
            "current_pa",
            "one value per sweep, as end_ms",
            shapes,
            "give one step and one end per sweep",
        )
        require(bool((self.end_ms > 0).all()), "end_ms", "positive", self.end_ms.tolist(), "look at some of the step")

    def __len__(self) -> int:
        return self.current_pa.shape[-1]

    def to(self, device: str | torch.device) -> Design:
        """The same on a device."""
        return replace(self, current_pa=self.current_pa.to(device), end_ms=self.end_ms.to(device))

    def take(self, sweeps: Tensor) -> Design:
        """Some of the sweeps."""
        return Design(
            current_pa=self.current_pa[..., sweeps], end_ms=self.end_ms[..., sweeps], summary_names=self.summary_names
        )


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The response side.

    Attributes:
        design: The stimulus side.
        times_ms: Spike times (ms after onset) before the end, then infinity, shape ``(*batch, sweep, spike)``.
        summary: Summary features in their units, NaN where undefined, shape ``(*batch, sweep, feature)``.
    """

    design: Design
    times_ms: Float[Tensor, "*batch sweep spike"]
    summary: Float[Tensor, "*batch sweep feature"]

    def __post_init__(self) -> None:
        rows = tuple(self.design.current_pa.shape)
        require(
            tuple(self.times_ms.shape[:-1]) == rows,
            "times_ms",
            f"of shape {(*rows, 'spike')}",
            tuple(self.times_ms.shape),
            "give one row of spike times per sweep",
        )
        wanted = (*rows, len(self.design.summary_names))
        require(
            tuple(self.summary.shape) == wanted,
            "summary",
            f"of shape {wanted}",
            tuple(self.summary.shape),
            "give one row per sweep and one column per summary feature, NaN where undefined",
        )
        forward = torch.diff(torch.where(torch.isfinite(self.times_ms), self.times_ms, 1e12), dim=-1) >= 0
        require(
            bool(forward.all() and (self.times_ms > 0).all()),
            "times_ms",
            "positive and increasing along a sweep",
            "a step back or a spike before the onset",
            "sort the spikes and count time from the onset",
        )

    def __repr__(self) -> str:
        """One line for people."""
        shape, spikes = " x ".join(map(str, self.counts.shape)), int(self.counts.sum())
        return f"Evidence(sweeps {shape}, spikes {spikes}; {', '.join(self.design.summary_names)})"

    def intervals(self, error_ms: float, most: int) -> Intervals:
        """Latencies and intervals, diagonalised; remembered, since samplers ask thousands of times.

        Args:
            error_ms: SD of a single spike's time (ms).
            most: Spikes of a sweep that are looked at.
        """
        memory: dict[tuple[float, int], Intervals] = self.__dict__.setdefault("_intervals", {})
        if (error_ms, most) not in memory:
            on_cpu = diagonalise(
                self.times_ms.cpu(), error_ms, most
            )  # thousands of small eigenproblems: the CPU's work
            memory[error_ms, most] = on_cpu.to(self.times_ms)
        return memory[error_ms, most]

    def to(self, device: str | torch.device) -> Evidence:
        """The same on a device, what was remembered included."""
        if self.times_ms.device == torch.device(device):
            return self
        moved = replace(
            self, design=self.design.to(device), times_ms=self.times_ms.to(device), summary=self.summary.to(device)
        )
        kept = {key: value.to(moved.times_ms) for key, value in self.__dict__.get("_intervals", {}).items()}
        moved.__dict__["_intervals"] = kept
        return moved

    @property
    def counts(self) -> Tensor:
        """Spikes of every sweep, shape ``(*batch, sweep)``."""
        return torch.isfinite(self.times_ms).sum(-1)

    def take(self, sweeps: Tensor) -> Evidence:
        """Some of the sweeps."""
        return Evidence(
            design=self.design.take(sweeps),
            times_ms=self.times_ms[..., sweeps, :],
            summary=self.summary[..., sweeps, :],
        )


def defined(names: tuple[str, ...], count: Tensor, current_pa: Tensor) -> Tensor:
    """Which summary features exist in a sweep with so many spikes (the conditions of :mod:`noble_prob.features`).

    Args:
        names: Feature names.
        count: Spikes, shape ``(*batch, sweep)``.
        current_pa: Steps (pA), shape ``(sweep,)``.

    Returns:
        Mask of shape ``(*batch, sweep, feature)``.
    """
    columns = []
    for name in names:
        needs = FEATURES[name].needs if name in FEATURES else NOTHING
        exists = (count == 0) if needs.silence else count >= needs.spikes
        exists = exists & (current_pa != 0) if needs.current == "not zero" else exists
        columns.append(exists & (current_pa < 0) if needs.current == "negative" else exists)
    return torch.stack(columns, -1)
