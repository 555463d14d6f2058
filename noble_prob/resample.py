"""Another sampling rate for a recording, without inventing or folding frequencies.

Voltage is band-limited by the amplifier's filter, so it is resampled by a polyphase FIR filter (Kaiser window, -80 dB
beyond the lower of the two Nyquist frequencies, flat to 84 % of it) at the rational ratio of the two intervals: a
spike's time is kept to microseconds where the first rate resolves it. An injected current is what a converter holds
between two samples, so it is held (zero order), which keeps a step a step.

Missing voltage stays missing: gaps (NaN) are bridged by straight lines for the filter and masked again after it.

Reference: Crochiere & Rabiner (1983), Multirate Digital Signal Processing, ch. 4.

Limits: the filter is symmetric, so an abrupt electrode artefact rings for some samples of the lower rate to both sides;
the record's ends are extended by odd reflection.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import signal
from torch import Tensor

from noble_prob.errors import require
from noble_prob.recording import Protocol, Recording

HALF_LENGTH = 32
"""Samples of the lower rate on each side of the filter."""
_CUTOFF, _KAISER_BETA, _LARGEST = 0.92, 7.86, 2000


def ratio(dt_from_ms: float, dt_to_ms: float) -> Fraction:
    """Samples of the new grid per sample of the old one, as a fraction of integers up to 2000 that is right to 1 ppm.

    Args:
        dt_from_ms: Present sampling interval (ms).
        dt_to_ms: Wanted sampling interval (ms).

    Raises:
        UsageError: If an interval is not positive, or one is more than 1000 times the other.
    """
    for name, value in (("dt_from_ms", dt_from_ms), ("dt_to_ms", dt_to_ms)):
        require(
            np.isfinite(value) and value > 0, name, "a positive interval in ms", value, "pass the sampling interval"
        )
    exact = dt_from_ms / dt_to_ms
    require(
        1e-3 <= exact <= 1e3,
        "dt_ms",
        f"within a factor of 1000 of the recording's interval of {dt_from_ms:g} ms",
        f"{dt_to_ms:g}",
        "check that both are in ms",
    )
    return Fraction(exact).limit_denominator(_LARGEST)


def resample_voltage(voltage_mv: Tensor, up_per_down: Fraction) -> Tensor:
    """Resample the last axis; output sample ``k`` lies at input sample ``k / up_per_down``.

    Args:
        voltage_mv: Voltage (mV), shape ``(*batch, time)``; NaN marks missing samples.
        up_per_down: Output samples per input sample.

    Returns:
        Voltage on the new grid, shape ``(*batch, ceil(time * up_per_down))``, same dtype and device.
    """
    if up_per_down == 1:
        return voltage_mv
    rows = voltage_mv.detach().reshape(-1, voltage_mv.shape[-1])
    out = [torch.from_numpy(_resample_row(row.cpu().double().numpy(), up_per_down)).to(row) for row in rows]
    return torch.stack(out).reshape(*voltage_mv.shape[:-1], -1)


def hold(current_pa: Tensor, up_per_down: Fraction) -> Tensor:
    """Sample a held (piecewise constant) signal on the new grid: each output takes the latest input.

    Args:
        current_pa: Values held from one sample to the next, shape ``(*batch, time)``.
        up_per_down: Output samples per input sample.

    Returns:
        The held values, shape ``(*batch, ceil(time * up_per_down))``.
    """
    return current_pa[..., torch.from_numpy(_latest(current_pa.shape[-1], up_per_down))]


def resample(recording: Recording, *, dt_ms: float) -> Recording:
    """The same recording at another sampling interval; steps keep their times.

    Args:
        recording: With or without leading axes.
        dt_ms: New sampling interval (ms).

    Returns:
        A recording that begins with the same sample; ``provenance["resampled"]`` tells both intervals.

    Raises:
        UsageError: If the intervals differ by a factor of 1000 or are not positive.
    """
    fraction = ratio(recording.dt_ms, dt_ms)
    if fraction == 1:
        return recording
    current = hold(recording.current_pa, fraction)
    time = float(recording.time_ms[0]) + torch.arange(current.shape[-1], dtype=torch.float64) * dt_ms
    return replace(
        recording,
        protocol=Protocol(time_ms=time, current_pa=current, steps=recording.steps),
        voltage_mv=resample_voltage(recording.voltage_mv, fraction),
        provenance={**recording.provenance, "resampled": {"from_dt_ms": recording.dt_ms, "to_dt_ms": dt_ms}},
    )


def _latest(n: int, up_per_down: Fraction) -> NDArray[np.int64]:
    """Index of the input sample that is held at each output sample (exact integers)."""
    k = np.arange(-(-n * up_per_down.numerator // up_per_down.denominator))
    return np.minimum(k * up_per_down.denominator // up_per_down.numerator, n - 1)


def _resample_row(row: NDArray[np.float64], up_per_down: Fraction) -> NDArray[np.float64]:
    known = np.isfinite(row)
    index = _latest(len(row), up_per_down)
    if not known.any():
        return np.full(len(index), np.nan)
    if not known.all():
        row = np.interp(np.arange(len(row)), np.flatnonzero(known), row[known])
    up, down = up_per_down.numerator, up_per_down.denominator
    margin = HALF_LENGTH * (1 + max(1, -(-down // up)))
    margin = -(-margin // down) * down
    padded = (
        np.pad(row, margin, mode="reflect", reflect_type="odd")
        if len(row) > margin
        else np.pad(row, margin, mode="edge")
    )
    out = signal.resample_poly(padded, up, down, window=_filter(up, down))
    out = out[margin // down * up :][: len(index)]
    return np.where(known[index], out, np.nan)


def _filter(up: int, down: int) -> NDArray[np.float64]:
    """Low-pass at the lower Nyquist frequency, at the rate of the upsampled signal."""
    largest = max(up, down)
    return signal.firwin(2 * HALF_LENGTH * largest + 1, _CUTOFF / largest, window=("kaiser", _KAISER_BETA))
