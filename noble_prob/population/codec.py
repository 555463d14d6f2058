"""Voltages as bytes: lossless for what was quantised, and small.

A trace is rounded to int16 steps of 0.01 mV around -70 mV (so it spans -397.68..257.67 mV, error at most 0.005 mV),
differenced twice with wrap-around, and split into a plane of low and a plane of high bytes. The membrane is smooth, so
the second difference is almost always a few units and the high bytes are almost all equal: deflate then leaves some
2 kB of a trace of 8,192 samples. Two cumulative sums with the same wrap-around undo it exactly.
"""

from __future__ import annotations

import numpy as np

from noble_prob.errors import require

SCALE_MV = 0.01
OFFSET_MV = -70.0


def quantise(voltage_mv: np.ndarray) -> np.ndarray:
    """Voltage (mV) to int16 steps of 0.01 mV around -70 mV.

    Raises:
        UsageError: If a voltage is not finite or out of range.
    """
    steps = np.round((voltage_mv.astype(np.float64) - OFFSET_MV) / SCALE_MV)
    fits = bool(np.isfinite(steps).all()) and bool((np.abs(steps) < 2**15).all())
    require(fits, "voltage_mv", "finite, within -397..257 mV", "a value outside", "record the trace as failed instead")
    return steps.astype(np.int16)


def dequantise(steps: np.ndarray) -> np.ndarray:
    """Int16 steps to voltage (mV, float32)."""
    return steps.astype(np.float32) * np.float32(SCALE_MV) + np.float32(OFFSET_MV)


def encode(steps: np.ndarray) -> np.ndarray:
    """Second differences of int16 traces as byte planes.

    Args:
        steps: Quantised traces, shape ``(*batch, time)``.

    Returns:
        Bytes, uint8 of shape ``(*batch, 2, time)``: low plane, high plane.
    """
    first = np.diff(steps.astype(np.int16), axis=-1, prepend=np.int16(0))
    second = np.diff(first, axis=-1, prepend=np.int16(0)).view(np.uint16)
    return np.stack([second & 0xFF, second >> 8], axis=-2).astype(np.uint8)


def decode(planes: np.ndarray) -> np.ndarray:
    """Inverse of :func:`encode`: int16 of shape ``(*batch, time)``."""
    second = planes[..., 0, :].astype(np.uint16) | (planes[..., 1, :].astype(np.uint16) << 8)
    first = np.cumsum(second, axis=-1, dtype=np.uint16)
    return np.cumsum(first, axis=-1, dtype=np.uint16).view(np.int16)
