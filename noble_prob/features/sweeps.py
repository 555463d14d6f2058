"""A bundle of traces with one common step: what every feature definition looks at.

All traces of a :class:`Sweeps` share the grid, the onset and the end of the window, so that a window of time is a
slice. Quantities that several features need (baseline, spikes, threshold and trough of each spike) are computed once,
when first asked for. A value that does not exist is NaN here; :func:`noble_prob.features.measure` turns NaN into the
mask.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from noble_prob.features.shape import SpikeShapes, spike_shapes
from noble_prob.features.spikes import Spikes, find_spikes


@dataclass(frozen=True, kw_only=True)
class Sweeps:
    """Traces that share one grid and one window.

    Attributes:
        voltage_mv: Membrane voltage (mV), shape ``(trace, time)``.
        time_ms: Regular sample times (ms), shape ``(time,)``.
        onset_ms: Start of the window (ms): the step's onset, or the first sample where there is no step.
        stop_ms: End of the window (ms): the step's end or earlier.
        step_end_ms: End of the step (ms); NaN where there is no step.
        amplitude_pa: Height of the step (pA), shape ``(trace,)``; NaN where there is no step.
        rest_ms: From when to when the neurons were at rest (ms), see :mod:`noble_prob.features.rest`; None for never.
        threshold_mv: Voltage that a spike exceeds (mV).
    """

    voltage_mv: Float[Tensor, "trace time"]
    time_ms: Float[Tensor, " time"]
    onset_ms: float
    stop_ms: float
    step_end_ms: float
    amplitude_pa: Float[Tensor, " trace"]
    rest_ms: tuple[float, float] | None
    threshold_mv: float = -20.0

    @cached_property
    def dt_ms(self) -> float:
        """Sampling interval (ms)."""
        return float(self.time_ms[-1] - self.time_ms[0]) / (len(self.time_ms) - 1)

    @property
    def duration_ms(self) -> float:
        """Length of the window (ms)."""
        return self.stop_ms - self.onset_ms

    def sample(self, t_ms: float) -> int:
        """First sample at or after a time, within ``0 .. time``."""
        return min(max(math.ceil((t_ms - float(self.time_ms[0])) / self.dt_ms - 1e-6), 0), len(self.time_ms))

    def between(self, start_ms: float, stop_ms: float) -> Float[Tensor, "trace window"]:
        """Voltage from ``start_ms`` up to, not including, ``stop_ms`` (mV)."""
        return self.voltage_mv[:, self.sample(start_ms) : self.sample(stop_ms)]

    def average(self, start_ms: float, stop_ms: float) -> Float[Tensor, " trace"]:
        """Mean voltage in a window (mV); NaN if it is empty, leaves the recording or has a missing sample."""
        inside = start_ms >= float(self.time_ms[0]) - 1e-6 and stop_ms <= float(self.time_ms[-1]) + self.dt_ms + 1e-6
        window = self.between(start_ms, stop_ms)
        return window.mean(-1) if inside and window.shape[1] else self.nan

    def where(self, condition: Bool[Tensor, " trace"], value: Tensor) -> Float[Tensor, " trace"]:
        """The value where the condition holds, NaN elsewhere."""
        return torch.where(condition, value.to(self.nan), self.nan)

    @cached_property
    def nan(self) -> Float[Tensor, " trace"]:
        """Undefined, for every trace."""
        return self.voltage_mv.new_full((len(self.voltage_mv),), torch.nan)

    @cached_property
    def complete(self) -> Bool[Tensor, " trace"]:
        """Whether every sample of the window was recorded."""
        reaches = float(self.time_ms[-1]) + self.dt_ms >= self.stop_ms - 1e-6
        window = self.between(self.onset_ms, self.stop_ms)
        return torch.isfinite(window).all(-1) & (reaches and window.shape[1] > 0)

    @cached_property
    def spikes(self) -> Spikes:
        """Spikes that peak within the window."""
        return find_spikes(
            self.voltage_mv, self.time_ms, threshold_mv=self.threshold_mv, start_ms=self.onset_ms, stop_ms=self.stop_ms
        )

    @cached_property
    def silent(self) -> Bool[Tensor, " trace"]:
        """Complete and without a spike."""
        return self.complete & (self.spikes.count == 0)

    @cached_property
    def hyperpolarised(self) -> Bool[Tensor, " trace"]:
        """Silent, under a negative current."""
        return self.silent & (self.amplitude_pa < 0)

    @cached_property
    def baseline_mv(self) -> Float[Tensor, " trace"]:
        """Mean of the samples that exist at rest before the step (mV); NaN if a spike falls into it."""
        base = self.voltage_mv[:, :0] if self.rest_ms is None else self.between(*self.rest_ms)
        if not base.shape[1]:
            return self.nan
        return self.where(~(base > self.threshold_mv).any(-1), base.nanmean(-1))

    @cached_property
    def steady_mv(self) -> Float[Tensor, " trace"]:
        """Mean voltage of the last tenth of the window (mV), whatever the trace does there."""
        return self.average(self.stop_ms - 0.1 * self.duration_ms, self.stop_ms)

    @cached_property
    def minimum_mv(self) -> Float[Tensor, " trace"]:
        """Lowest voltage of the window (mV); NaN if no sample lies in it."""
        window = self.between(self.onset_ms, self.stop_ms)
        return window.amin(-1) if window.shape[1] else self.nan

    @cached_property
    def shapes(self) -> SpikeShapes:
        """Threshold, trough and half-width of every spike of the window."""
        return spike_shapes(
            self.voltage_mv,
            self.spikes,
            dt_ms=self.dt_ms,
            first=self.sample(self.onset_ms),
            last=self.sample(self.stop_ms),
        )
