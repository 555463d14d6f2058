"""Action potentials of many traces at once.

A spike is an excursion above a threshold (-20 mV unless told otherwise, as in the published features of the models).
Its time and height are those of the maximum of the cubic through the highest sample, the one before and the two after
it, so that they do not snap to the sampling grid. The upstroke of a spike is sharper than its fall, hence the second
sample on the later side: on simulated spikes of 0.45 ms half-width sampled at 0.06 ms the height is off by 0.4 mV RMS
and the time by 0.004 ms; a parabola leaves 1.0 mV and 0.009 ms, the highest sample alone 1.2 mV and 0.02 ms.

Only the samples above threshold are looked at one by one (some per cent of a trace), everything stays on the tensor's
device, and the batch is padded only at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from numbers import Real

import torch
from jaxtyping import Float, Int
from torch import Tensor

from noble_prob.errors import require
from noble_prob.recording.numbers import numbers

VOLTS = 0.5
"""Thresholds below it in size, zero apart, are in volts: no spike is told from noise by so many mV."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Spikes:
    """Spikes of a batch of traces, padded with NaN behind the last one of each trace.

    Attributes:
        count: Number of spikes, shape ``(*batch,)``.
        peak_ms: Times of the peaks (ms), shape ``(*batch, spike)``; in double precision, for single precision is off by
            0.1 ms an hour into a session.
        peak_mv: Voltage at the peaks (mV), shape ``(*batch, spike)``.
        peak_index: Highest sample of each spike, -1 behind the last, shape ``(*batch, spike)``.
    """

    count: Int[Tensor, "*batch"]
    peak_ms: Float[Tensor, "*batch spike"]
    peak_mv: Float[Tensor, "*batch spike"]
    peak_index: Int[Tensor, "*batch spike"]

    def __repr__(self) -> str:
        """One line for people."""
        return f"Spikes(traces {self.count.numel()}, spikes {int(self.count.sum())})"


def find_spikes(
    voltage_mv: Float[Tensor, "*batch time"],
    time_ms: Float[Tensor, " time"],
    *,
    threshold_mv: float = -20.0,
    start_ms: float | Float[Tensor, "*batch"] = -float("inf"),
    stop_ms: float | Float[Tensor, "*batch"] = float("inf"),
) -> Spikes:
    """Find the spikes whose peak lies in a window of time.

    Args:
        voltage_mv: Membrane voltage (mV), shape ``(*batch, time)``: a tensor, an array or lists; NaN samples count as
            below threshold.
        time_ms: Regular sample times (ms), shape ``(time,)``.
        threshold_mv: Voltage an excursion must exceed (mV).
        start_ms: Peaks before it are dropped (ms); one number, or one per trace.
        stop_ms: Peaks at or after it are dropped (ms); one number, or one per trace.

    Returns:
        Spikes padded to the largest count of the batch (at least one column).

    Raises:
        UsageError: If voltage and times are no numbers or do not fit each other, or the threshold is none in mV.
    """
    require_threshold(threshold_mv)
    voltage_mv, time_ms = numbers(voltage_mv, "voltage_mv"), numbers(time_ms, "time_ms")
    _require_traces(voltage_mv, time_ms)
    batch = voltage_mv.shape[:-1]
    v = voltage_mv.reshape(-1, voltage_mv.shape[-1])
    trace, index = _peaks(v, threshold_mv)
    shift, height = _vertex(v, trace, index)
    dt = float(time_ms[-1] - time_ms[0]) / max(len(time_ms) - 1, 1)  # the first interval alone is rounded
    t = float(time_ms[0]) + dt * (index + shift)
    start, stop = (_per_trace(bound, v, batch)[trace] for bound in (start_ms, stop_ms))
    kept = (t >= start) & (t < stop)
    return _pad(trace[kept], index[kept], t[kept], height[kept], batch, len(v), v.dtype)


def require_threshold(threshold_mv: float) -> None:
    """Refuse a threshold that is no voltage in mV; zero is one.

    Args:
        threshold_mv: Voltage that a spike exceeds (mV).

    Raises:
        UsageError: If it is not finite, or so small that it is in volts.
    """
    known = isinstance(threshold_mv, Real) and isfinite(threshold_mv)
    require(known, "threshold_mv", "a finite voltage in mV", repr(threshold_mv), "pass -20 for the usual one")
    require(
        threshold_mv == 0 or abs(threshold_mv) >= VOLTS,
        "threshold_mv",
        "a voltage in mV",
        f"{threshold_mv:g}, which looks like volts",
        "multiply it by 1000",
    )


def _require_traces(v: Tensor, time_ms: Tensor) -> None:
    """Refuse voltage and times that do not fit each other."""
    fits = v.ndim >= 1 and time_ms.ndim == 1 and len(time_ms) == v.shape[-1] > 0
    require(
        fits,
        "time_ms",
        "one time for each sample of the last axis of `voltage_mv`",
        f"shapes {tuple(time_ms.shape)} and {tuple(v.shape)}",
        "give the sample times of one trace",
    )


def _per_trace(bound: float | Tensor, v: Tensor, batch: torch.Size) -> Tensor:
    """One bound per trace, shape ``(trace,)``."""
    return torch.as_tensor(bound, dtype=torch.float64, device=v.device).expand(batch).reshape(-1)


def _peaks(v: Tensor, threshold_mv: float) -> tuple[Tensor, Tensor]:
    """Trace and sample of the highest point of every excursion; a point at the edge of a trace is no peak."""
    trace, sample = (v > threshold_mv).nonzero(as_tuple=True)
    if not len(trace):
        return trace, sample
    begins = torch.ones_like(trace, dtype=torch.bool)
    begins[1:] = (trace[1:] != trace[:-1]) | (sample[1:] != sample[:-1] + 1)
    excursion = begins.cumsum(0) - 1
    height = v[trace, sample]
    n = int(excursion[-1]) + 1
    peak = height.new_full((n,), -torch.inf).scatter_reduce(0, excursion, height, "amax")
    candidate = torch.where(height == peak[excursion], sample, v.shape[1])
    index = sample.new_full((n,), v.shape[1]).scatter_reduce(0, excursion, candidate, "amin")
    inner = (index > 0) & (index < v.shape[1] - 1)
    return trace[begins][inner], index[inner]


def _vertex(v: Tensor, trace: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """Offset (samples, below one) and height (mV) of the maximum of the cubic through samples -1, 0, 1, 2 of a peak."""
    y = [v[trace, (index + k).clamp(max=v.shape[1] - 1)].to(torch.float64) for k in (-1, 0, 1, 2)]
    cubic = (y[3] - y[0] - 3 * (y[2] - y[1])) / 6
    bend = 0.5 * (y[2] + y[0]) - y[1]
    root = bend**2 - 3 * cubic * (0.5 * (y[2] - y[0]) - cubic)
    cubic = torch.where((root >= 0) & torch.isfinite(root), cubic, 0.0)  # else a parabola
    slope = 0.5 * (y[2] - y[0]) - cubic
    steep = (bend**2 - 3 * cubic * slope).clamp(min=0).sqrt() - bend
    curved = (bend < 0) & (steep > 0)  # false also where a neighbour is missing (NaN)
    x = torch.where(curved, slope / steep.clamp(min=1e-12), 0.0).clamp(-1, 1)
    return x, y[1] + torch.where(curved, ((cubic * x + bend) * x + slope) * x, 0.0)


def _pad(
    trace: Tensor, index: Tensor, t: Tensor, height: Tensor, batch: torch.Size, n: int, dtype: torch.dtype
) -> Spikes:
    """Lay a list of spikes, ordered by trace and time, out as a table with one row per trace."""
    count = torch.bincount(trace, minlength=n)
    rank = torch.arange(len(trace), device=trace.device) - (count.cumsum(0) - count)[trace]
    width = max(int(count.max()) if n else 0, 1)

    def table(values: Tensor, fill: float) -> Tensor:
        out = values.new_full((n, width), fill)
        out[trace, rank] = values
        return out.reshape(*batch, width)

    return Spikes(
        count=count.reshape(batch),
        peak_ms=table(t, torch.nan),
        peak_mv=table(height.to(dtype), torch.nan),
        peak_index=table(index, -1),
    )
