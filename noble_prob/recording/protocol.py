"""What is injected: one current waveform per sweep, and the step in each."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.errors import require
from noble_prob.recording.checks import require_grid, require_pulse, require_steps
from noble_prob.recording.numbers import numbers
from noble_prob.recording.step import Step


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Protocol:
    """What is injected: one current waveform per sweep on a shared grid; equal to itself only.

    Tensors are kept, not copied; arrays, tables and lists are copied.

    Attributes:
        time_ms: Sample times, regular and increasing (ms), shape ``(time,)``.
        current_pa: Injected current (pA), shape ``(sweep, time)``.
        steps: Per sweep the pulse it contains, or None where the waveform is not a single step. A pulse begins on the
            time axis; it may last longer (see :func:`noble_prob.windows.to_grid`).

    Raises:
        UsageError: If the grid is not regular, shapes do not fit, or the current is not what a step says.
    """

    time_ms: Float[Tensor, " time"]
    current_pa: Float[Tensor, "sweep time"]
    steps: tuple[Step | None, ...]

    def __post_init__(self) -> None:
        for name in ("time_ms", "current_pa"):
            object.__setattr__(self, name, numbers(getattr(self, name), name))
        object.__setattr__(self, "steps", tuple(self.steps))
        require_grid(self.time_ms)
        require(
            self.current_pa.shape == (len(self.steps), len(self.time_ms)),
            "current_pa",
            f"of shape (sweep, time) = {(len(self.steps), len(self.time_ms))}",
            tuple(self.current_pa.shape),
            "give one row per sweep on the grid of `time_ms`",
        )
        require_steps(self.steps, self.time_ms, self.current_pa)

    @classmethod
    def step_family(
        cls,
        amplitudes_pa: Sequence[float] | Tensor,
        *,
        onset_ms: float = 12.0,
        duration_ms: float = 400.0,
        total_ms: float = 512.0,
        dt_ms: float = 0.0625,
        holding_pa: float = 0.0,
    ) -> Protocol:
        """Square pulses of several amplitudes, one sweep each.

        Args:
            amplitudes_pa: Pulse heights (pA), one per sweep. Where none but zeros reaches 1 pA they look like nA, and a
                warning says so.
            onset_ms: Start of every pulse (ms).
            duration_ms: Length of every pulse (ms).
            total_ms: Length of a sweep (ms).
            dt_ms: Sampling interval (ms).
            holding_pa: Current outside the pulse (pA).

        Raises:
            UsageError: If the pulse does not fit into the sweep or something is not a finite number.
        """
        amps = numbers(amplitudes_pa, "amplitudes_pa").to(torch.float64).reshape(-1)
        require(
            bool(torch.isfinite(amps).all()) and len(amps) > 0,
            "amplitudes_pa",
            "at least one finite current in pA",
            amps.tolist(),
            "pass the pulse heights as numbers",
        )
        _warn_of_na(amps.tolist())
        require_pulse(onset_ms=onset_ms, duration_ms=duration_ms, total_ms=total_ms, dt_ms=dt_ms, holding_pa=holding_pa)
        time = torch.arange(round(total_ms / dt_ms), dtype=torch.float64) * dt_ms
        on = (time >= onset_ms - 1e-9) & (time < onset_ms + duration_ms - 1e-9)
        steps = tuple(
            Step(onset_ms=onset_ms, duration_ms=duration_ms, amplitude_pa=a, holding_pa=holding_pa)
            for a in amps.tolist()
        )
        return cls(time_ms=time, current_pa=holding_pa + amps[:, None] * on, steps=steps)

    def __repr__(self) -> str:
        return f"Protocol({self.outline()})"

    def outline(self) -> str:
        """Sizes and steps in a few words."""
        known = [step.amplitude_pa for step in self.steps if step is not None]
        low, high = (f"{edge:.4g}" for edge in (min(known, default=0.0), max(known, default=0.0)))
        span = f" of {low if low == high else f'{low} to {high}'} pA" if known else ""
        counts = (len(self.steps), "sweep"), (len(known), "step")
        sweeps, steps = (f"{n} {word}{'s' * (n != 1)}" for n, word in counts)
        return f"{sweeps} of {len(self.time_ms)} samples, {self.dt_ms:g} ms apart; {steps}{span}"

    @property
    def dt_ms(self) -> float:
        """Sampling interval (ms), by the whole time axis: times are often rounded."""
        return round(float(self.time_ms[-1] - self.time_ms[0]) / (len(self.time_ms) - 1), 12)

    @property
    def amplitudes_pa(self) -> Float[Tensor, " sweep"]:
        """Step heights (pA); NaN for a sweep that is not a step."""
        return torch.tensor([float("nan") if s is None else s.amplitude_pa for s in self.steps], dtype=torch.float64)


def _warn_of_na(amplitudes_pa: Sequence[float]) -> None:
    """Warn where every step but zero is below 1 pA, which no neuron feels."""
    largest = max(map(abs, amplitudes_pa))
    if 0 < largest < 1:
        warnings.warn(
            f"no step of these reaches 1 pA (the largest is {largest:g} pA), which no neuron feels: if they are in nA, "
            "multiply them by 1000",
            UserWarning,
            skip_file_prefixes=(str(Path(__file__).parents[1]),),
        )
