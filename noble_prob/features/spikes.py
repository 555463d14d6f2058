"""Action potentials of many traces at once.

A spike is an excursion above a threshold (-20 mV unless told otherwise, as in the published features of the models); its
time is that of the highest sample, refined by the parabola through the sample and its two neighbours, so that times
do not snap to the sampling grid. Everything is batched and stays on the tensor's device.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Spikes:
    """Spikes of a batch of traces, padded with NaN behind the last one of each trace.

    Attributes:
        count: Number of spikes, shape ``(*batch,)``.
        peak_ms: Times of the peaks (ms), shape ``(*batch, spike)``.
        peak_mv: Voltage at the peaks (mV), shape ``(*batch, spike)``.
        peak_index: Sample of each peak, -1 behind the last, shape ``(*batch, spike)``.
    """

    count: Int[Tensor, "*batch"]
    peak_ms: Float[Tensor, "*batch spike"]
    peak_mv: Float[Tensor, "*batch spike"]
    peak_index: Int[Tensor, "*batch spike"]


def find_spikes(
    voltage_mv: Float[Tensor, "*batch time"],
    time_ms: Float[Tensor, " time"],
    *,
    threshold_mv: float = -20.0,
    start_ms: float = -float("inf"),
    stop_ms: float = float("inf"),
) -> Spikes:
    """Find the spikes whose peak lies in a window of time.

    Args:
        voltage_mv: Membrane voltage (mV), shape ``(*batch, time)``; NaN samples count as below threshold.
        time_ms: Regular sample times (ms), shape ``(time,)``.
        threshold_mv: Voltage an excursion must exceed (mV).
        start_ms: Peaks before it are dropped (ms).
        stop_ms: Peaks at or after it are dropped (ms).

    Returns:
        Spikes padded to the largest count of the batch (at least one column).
    """
    batch = voltage_mv.shape[:-1]
    v = voltage_mv.reshape(-1, voltage_mv.shape[-1])
    inside = (time_ms >= start_ms) & (time_ms < stop_ms)
    above = (v > threshold_mv) & inside.to(v.device)
    rises = above & ~torch.nn.functional.pad(above, (1, 0))[:, :-1]
    segment = torch.where(above, rises.cumsum(-1), 0)  # 0: below threshold; k: inside the k-th excursion
    n = max(int(segment.max()) if segment.numel() else 0, 1)
    peak = v.new_full((len(v), n + 1), -torch.inf).scatter_reduce(1, segment, v.nan_to_num(-1e9), "amax")
    index = torch.arange(v.shape[1], device=v.device).expand_as(segment)
    at_peak = above & (v == peak.gather(1, segment))
    first = index.new_full((len(v), n + 1), v.shape[1]).scatter_reduce(
        1, torch.where(at_peak, segment, 0), torch.where(at_peak, index, v.shape[1]), "amin"
    )
    return _pack(v, time_ms, first[:, 1:], peak[:, 1:], batch)


def _pack(v: Tensor, time_ms: Tensor, first: Tensor, peak: Tensor, batch: torch.Size) -> Spikes:
    """Refine the peak times by a parabola and mask what does not exist."""
    exists = first < v.shape[1]
    centre = first.clamp(1, v.shape[1] - 2)
    left, mid, right = (v.gather(1, centre + k) for k in (-1, 0, 1))
    curvature = left - 2 * mid + right
    shift = torch.where(curvature < 0, 0.5 * (left - right) / curvature.clamp(max=-1e-6), 0.0).clamp(-0.5, 0.5)
    dt = float(time_ms[1] - time_ms[0])
    t = float(time_ms[0]) + dt * (centre + torch.where(first == centre, shift, 0.0).to(torch.float64))
    nan = torch.nan
    return Spikes(
        count=exists.sum(-1).reshape(batch),
        peak_ms=torch.where(exists, t, nan).to(v.dtype).reshape(*batch, -1),
        peak_mv=torch.where(exists, peak, nan).reshape(*batch, -1),
        peak_index=torch.where(exists, first, -1).reshape(*batch, -1),
    )
