"""Distance of two voltage traces, with timing and without.

A spike that comes half its width late costs as much as two spikes that are missing, so an L2 error on voltage mostly
measures timing. The aligned error takes the timing out: the prediction's time axis is stretched, piecewise linearly,
so that its k-th spike falls on the k-th true one, and what is left is the error of the waveform.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.features import Spikes

SMALLEST_RMS_MV = 1.0
"""Least deviation from rest that the normalised error is taken relative to (mV)."""


def relative_l2(
    truth_mv: Float[Tensor, "trace time"], prediction_mv: Float[Tensor, "trace time"]
) -> Float[Tensor, " trace"]:
    """``||prediction - truth|| / ||truth||`` of every trace, millivolt with their offset."""
    return torch.linalg.vector_norm(prediction_mv - truth_mv, dim=-1) / torch.linalg.vector_norm(truth_mv, dim=-1)


def normalised_rmse(
    truth_mv: Float[Tensor, "trace time"],
    prediction_mv: Float[Tensor, "trace time"],
    rest_mv: Float[Tensor, " trace"],
) -> Float[Tensor, " trace"]:
    """RMS error over the RMS deviation of the truth from rest, or over 1 mV if that is larger: a flat line scores 1."""
    scale = (truth_mv - rest_mv[:, None]).square().mean(-1).sqrt().clamp(min=SMALLEST_RMS_MV)
    return (prediction_mv - truth_mv).square().mean(-1).sqrt() / scale


def align(
    prediction_mv: Float[Tensor, "trace time"],
    time_ms: Float[Tensor, " time"],
    truth: Spikes,
    prediction: Spikes,
    *,
    onset_ms: Float[Tensor, " trace"],
    offset_ms: Float[Tensor, " trace"],
) -> Float[Tensor, "trace time"]:
    """Warp every prediction so that its spikes fall on the true ones; unchanged where the counts differ.

    The axis is pinned at both ends, at the spikes, and at the step's onset and offset where as many spikes precede
    them in truth and prediction. Voltage between samples is interpolated by a cubic (Keys 1981).

    Args:
        prediction_mv: Predicted voltage (mV), shape ``(trace, time)``.
        time_ms: Regular sample times (ms), shape ``(time,)``.
        truth: True spikes, one row per trace.
        prediction: Predicted spikes, one row per trace.
        onset_ms: Onset of the step (ms), shape ``(trace,)``; the first sample where there is none.
        offset_ms: End of the step (ms), shape ``(trace,)``; the last sample where there is none.
    """
    t = time_ms.to(prediction_mv.device, torch.float64)
    a, b = _knots(t, truth.peak_ms, prediction.peak_ms, onset_ms, offset_ms)
    grid = t.expand(len(a), -1).contiguous()
    j = torch.searchsorted(a, grid, right=True).clamp(1, a.shape[1] - 1)
    a0, a1, b0, b1 = a.gather(1, j - 1), a.gather(1, j), b.gather(1, j - 1), b.gather(1, j)
    share = ((grid - a0) / (a1 - a0).clamp(min=1e-9)).clamp(0, 1)
    warped = torch.where((a0 == b0) & (a1 == b1), grid, b0 + share * (b1 - b0))
    same = (truth.count == prediction.count) & (truth.count > 0)
    out = _cubic(prediction_mv, (warped - t[0]) / ((t[-1] - t[0]) / (len(t) - 1)))
    return torch.where(same[:, None], out, prediction_mv)


def _knots(t: Tensor, true_ms: Tensor, pred_ms: Tensor, onset: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    """Corresponding times of truth and prediction, sorted, shape ``(trace, knot)``; unused ones repeat the end."""
    width = min(true_ms.shape[1], pred_ms.shape[1])
    true_ms, pred_ms = true_ms[:, :width].to(t), pred_ms[:, :width].to(t)
    ends = torch.stack([t[0], t[-1]]).expand(len(true_ms), 2)
    pins = []
    for event in (onset.to(t)[:, None], offset.to(t)[:, None]):
        shared = ((true_ms <= event).sum(1) == (pred_ms <= event).sum(1))[:, None]
        pins.append(torch.where(shared, event.clamp(t[0], t[-1]), t[-1]))
    sides = (torch.cat([ends, *pins, side.nan_to_num(nan=float(t[-1]))], 1) for side in (true_ms, pred_ms))
    a, b = (side.sort(1).values.contiguous() for side in sides)
    return a, b


def _cubic(v: Tensor, position: Tensor) -> Tensor:
    """Voltage at fractional samples by Keys' cubic convolution; exact at whole samples and on parabolas."""
    base = position.floor().clamp(0, v.shape[1] - 1)
    x = (position - base).to(v.dtype)
    i = base.to(torch.int64)
    p = [v.gather(1, (i + k).clamp(0, v.shape[1] - 1)) for k in (-1, 0, 1, 2)]
    slope = p[2] - p[0]
    bend = 2 * p[0] - 5 * p[1] + 4 * p[2] - p[3]
    twist = 3 * (p[1] - p[2]) + p[3] - p[0]
    return p[1] + 0.5 * x * (slope + x * (bend + x * twist))
