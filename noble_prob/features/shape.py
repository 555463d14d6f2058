"""Shape of single action potentials: where they begin, how wide they are, how deep they fall.

For every spike, with its peak at the maximum of a cubic through four samples (:mod:`noble_prob.features.spikes`):

begin
    the last time before the peak at which dV/dt rises through 10 mV/ms and stays above it for 0.1 ms, not before the
    step and not before the previous trough; its voltage is interpolated at the crossing;
trough
    the first minimum after the peak that lasts: the first sample that none of the next 1 ms undercuts; not defined if
    the end of the step comes first;
half-width
    time between the two crossings of the voltage half-way from peak to trough, both linearly interpolated.

These are eFEL's definitions (``AP_begin_voltage``, ``min_AHP_values``, ``spike_half_width``), with interpolation in
place of the nearest sample, and a minimum that lasts 1 ms in place of one that lasts two samples, which noise moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.features.spikes import Spikes

BEGIN_SLOPE_MV_PER_MS = 10.0
"""dV/dt at which a spike begins (mV/ms)."""
BEGIN_HOLD_MS = 0.1
"""How long dV/dt must stay above it (ms)."""
REACH_MS = 10.0
"""How far from the peak a spike's begin and half-crossings are looked for (ms)."""
TROUGH_HOLD_MS = 1.0
"""How long the voltage must not fall below a trough (ms)."""


@dataclass(frozen=True, kw_only=True)
class SpikeShapes:
    """Shape of every spike of a batch of traces, NaN where it does not exist.

    Attributes:
        begin_mv: Voltage at which the spike begins (mV), shape ``(trace, spike)``.
        trough_mv: Voltage of the first lasting minimum after it (mV), shape ``(trace, spike)``.
        trough_ms: Time from the peak to the trough (ms), shape ``(trace, spike)``.
        half_width_ms: Width half-way between peak and trough (ms), shape ``(trace, spike)``.
    """

    begin_mv: Float[Tensor, "trace spike"]
    trough_mv: Float[Tensor, "trace spike"]
    trough_ms: Float[Tensor, "trace spike"]
    half_width_ms: Float[Tensor, "trace spike"]


def spike_shapes(
    voltage_mv: Float[Tensor, "trace time"], spikes: Spikes, *, dt_ms: float, first: int, last: int
) -> SpikeShapes:
    """Measure every spike.

    Args:
        voltage_mv: Membrane voltage (mV), shape ``(trace, time)``.
        spikes: Its spikes, as :func:`noble_prob.features.spikes.find_spikes` gives them.
        dt_ms: Sampling interval (ms).
        first: First sample of the window that the spikes lie in.
        last: Sample behind the window.

    Returns:
        One value per spike, padded as the spikes are.
    """
    trace, rank = (spikes.peak_index >= 0).nonzero(as_tuple=True)
    peak, peak_mv = spikes.peak_index[trace, rank], spikes.peak_mv[trace, rank]
    bound = spikes.peak_index.new_full((len(spikes.peak_index), 1), -1)
    before = torch.cat([bound, spikes.peak_index[:, :-1]], 1)[trace, rank].clamp(min=max(first - 2, 0))
    after = torch.cat([spikes.peak_index[:, 1:], bound], 1)[trace, rank]
    reach = max(round(REACH_MS / dt_ms), 3)
    edge = torch.where(after < 0, last, after)
    trough, trough_mv = _troughs(voltage_mv, trace, peak, edge, max(round(TROUGH_HOLD_MS / dt_ms), 2))
    left = _window(voltage_mv, trace, peak - reach, reach + 1)
    valid = torch.arange(-reach, 1, device=peak.device) + peak[:, None] >= before[:, None]
    width = _half_width(voltage_mv, trace, peak, 0.5 * (peak_mv + trough_mv), left, valid, reach) * dt_ms
    begin = _begin(left, valid, dt_ms)

    def table(values: Tensor) -> Tensor:
        out = voltage_mv.new_full(spikes.peak_index.shape, torch.nan)
        out[trace, rank] = values.to(out)
        return out

    return SpikeShapes(
        begin_mv=table(begin),
        trough_mv=table(trough_mv),
        half_width_ms=table(width),
        trough_ms=table(torch.where(torch.isfinite(trough_mv), (trough - peak) * dt_ms, torch.nan)),
    )


def _window(v: Tensor, trace: Tensor, start: Tensor, width: int) -> Tensor:
    """Samples ``start .. start + width`` of each spike's trace, shape ``(event, width)``; edges repeat."""
    index = (start[:, None] + torch.arange(width, device=v.device)).clamp(0, v.shape[1] - 1)
    return v.reshape(-1).take(trace[:, None] * v.shape[1] + index)


def _troughs(v: Tensor, trace: Tensor, peak: Tensor, edge: Tensor, hold: int) -> tuple[Tensor, Tensor]:
    """Sample and voltage (NaN if there is none) of the first lasting minimum between each peak and ``edge``."""
    length = edge - peak
    begin = length.cumsum(0) - length  # of each stretch, once all stretches are laid end to end
    index = torch.repeat_interleave(trace * v.shape[1] + peak - begin, length)
    index = index.add_(torch.arange(len(index), device=v.device))
    lasting = (v[:, :-1] <= _lowest_ahead(v, hold)).reshape(-1)
    row = index.div(v.shape[1], rounding_mode="floor")
    candidates = lasting.take((index - row).clamp(max=len(lasting) - 1)).nonzero()[:, 0]
    if not len(candidates):
        return peak, v.new_full(peak.shape, torch.nan)
    first = candidates[torch.searchsorted(candidates, begin).clamp(max=len(candidates) - 1)]
    found = (first >= begin) & (first < begin + length)
    trough = torch.where(found, peak + first - begin, peak)
    return trough, torch.where(found, v.reshape(-1).take(trace * v.shape[1] + trough), torch.nan)


def _lowest_ahead(v: Tensor, hold: int) -> Tensor:
    """Minimum of the next ``hold`` samples, by doubling; shape ``(trace, time - 1)``, cut at the end of the trace."""
    low, reach = v[:, 1:], 1
    while reach < hold:
        step = min(reach, hold - reach)
        low = torch.cat([torch.minimum(low[:, :-step], low[:, step:]), low[:, -step:]], 1)
        reach += step
    return low


def _half_width(
    v: Tensor, trace: Tensor, peak: Tensor, half: Tensor, left: Tensor, valid: Tensor, reach: int
) -> Tensor:
    """Samples between the last upward crossing before the peak and the first downward crossing after it."""
    reverse = left.flip(1)  # walks back from the peak
    rise = _first_below(reverse, half, valid.flip(1))
    return rise + _first_below(_window(v, trace, peak, reach + 1), half, torch.ones_like(valid))


def _first_below(walk: Tensor, level: Tensor, valid: Tensor) -> Tensor:
    """Interpolated number of steps along ``walk`` until it first is at or below ``level``; NaN if never."""
    below = (walk <= level[:, None]) & valid
    k = below.to(torch.uint8).argmax(1, keepdim=True).clamp(min=1)
    inner, outer = walk.gather(1, k - 1).squeeze(1), walk.gather(1, k).squeeze(1)
    steps = (k.squeeze(1) - 1) + (inner - level) / (inner - outer)
    return torch.where(below[:, 1:].any(1), steps, torch.nan)


def _begin(left: Tensor, valid: Tensor, dt_ms: float) -> Tensor:
    """Voltage (mV) where dV/dt last rises through the criterion in windows that end at the peak."""
    slope = torch.full_like(left, -torch.inf)
    slope[:, 1:-1] = (left[:, 2:] - left[:, :-2]) / (2 * dt_ms)
    slope = slope.masked_fill(~valid, -torch.inf)
    hold = max(round(BEGIN_HOLD_MS / dt_ms), 1)
    fast = slope >= BEGIN_SLOPE_MV_PER_MS
    steady = fast.unfold(1, hold, 1).all(2)
    onset = steady[:, 1:] & ~fast[:, : steady.shape[1] - 1]
    position = torch.arange(1, steady.shape[1], device=left.device)
    k = torch.where(onset, position, 0).amax(1, keepdim=True).clamp(min=1)
    low, high = slope.gather(1, k - 1), slope.gather(1, k)
    share = ((BEGIN_SLOPE_MV_PER_MS - low) / (high - low)).where(torch.isfinite(low), torch.ones_like(low))
    v0, v1 = left.gather(1, k - 1), left.gather(1, k)
    return torch.where(onset.any(1), (v0 + share * (v1 - v0)).squeeze(1), torch.nan)
