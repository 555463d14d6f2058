"""Firing channels of the decoder as Triton kernels; :mod:`noble_prob.decoder.embedding` says what they mean.

``channels`` writes them for a path with gradients, ``channels_backward`` takes their gradient to spike times and
current; the path without gradients makes them in the registers of its first kernel (:func:`firing`).
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import triton
import triton.language as tl

BIG_MS = tl.constexpr(1e9)
HALF_TURN = tl.constexpr(3.141592653589793)


@triton.jit
def _neighbours(stamps_p, t, SPIKES: tl.constexpr):
    """How many stamps are not after ``t``, the last of them and the first of the others."""
    count, last, following = tl.zeros_like(t), t * 0.0 - BIG_MS, t * 0.0 + BIG_MS
    for s in range(SPIKES):
        stamp = tl.minimum(tl.load(stamps_p + s), BIG_MS)
        past = stamp <= t
        count += past.to(tl.float32)
        last = tl.maximum(last, tl.where(past, stamp, -BIG_MS))
        following = tl.minimum(following, tl.where(past, BIG_MS, stamp))
    return count, last, following


@triton.jit
def circle(turn):
    """Sine and cosine of 0 to 1 turns, to rounding, from the series of half the angle: no table, no branch."""
    x = (turn - tl.floor(turn + 0.5)) * HALF_TURN
    q = x * x
    s = x * (1 - q / 6 * (1 - q / 20 * (1 - q / 42 * (1 - q / 72 * (1 - q / 110)))))
    c = 1 - q / 2 * (1 - q / 12 * (1 - q / 30 * (1 - q / 56 * (1 - q / 90 * (1 - q / 132)))))
    return 2 * s * c, 1 - 2 * s * s


@triton.jit
def firing(times_p, happens_p, t, rate, c, amount, duration_ms, SPIKES: tl.constexpr):
    """Firing channels of a tile of samples, shape ``(time, 32)``; the order is that of ``embedding``."""
    on = ((t >= -1e-6) & (t < duration_ms - 1e-6)).to(tl.float32)
    k, last, following = _neighbours(times_p, t, SPIKES)
    start = tl.where(k == 0.0, 0.0, last)
    part = tl.where(following < BIG_MS, (t - start) / (following - start), 0.0)
    phase = k + tl.minimum(tl.maximum(part, 0.0), 1.0)
    whole = tl.floor(phase)
    sine, cosine = circle(phase - whole)
    count = whole * on
    _, past, coming = _neighbours(happens_p, t, SPIKES)
    after_step, since, until = t - duration_ms, t - past, coming - t
    x = tl.where(c[None, :] < 5, t[:, None], tl.where(c[None, :] < 9, after_step[:, None],
                 tl.where(c[None, :] < 21, since[:, None], until[:, None])))  # fmt: skip
    out = tl.where(x >= -1e-6, tl.exp(-tl.maximum(x, 0.0) * rate[None, :]), 0.0)
    out = tl.where(c[None, :] == 0, (amount * on)[:, None], out)
    out = tl.where(c[None, :] == 9, (sine * on)[:, None], out)
    out = tl.where(c[None, :] == 10, (cosine * on)[:, None], out)
    out = tl.where(c[None, :] == 11, (2 * sine * cosine * on)[:, None], out)
    out = tl.where(c[None, :] == 12, ((1 - 2 * sine * sine) * on)[:, None], out)
    out = tl.where(c[None, :] == 28, (tl.log(1.0 + count) / 3)[:, None], out)
    out = tl.where(c[None, :] == 29, (tl.exp(-count / 2) * on)[:, None], out)
    return tl.where(c[None, :] < 30, out, 0.0)
