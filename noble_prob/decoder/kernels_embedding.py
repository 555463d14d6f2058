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
    x = tl.where(
        c[None, :] < 5,
        t[:, None],
        tl.where(c[None, :] < 9, after_step[:, None], tl.where(c[None, :] < 21, since[:, None], until[:, None])),
    )
    out = tl.where(x >= -1e-6, tl.exp(-tl.maximum(x, 0.0) * rate[None, :]), 0.0)
    out = tl.where(c[None, :] == 0, (amount * on)[:, None], out)
    out = tl.where(c[None, :] == 9, (sine * on)[:, None], out)
    out = tl.where(c[None, :] == 10, (cosine * on)[:, None], out)
    out = tl.where(c[None, :] == 11, (2 * sine * cosine * on)[:, None], out)
    out = tl.where(c[None, :] == 12, ((1 - 2 * sine * sine) * on)[:, None], out)
    out = tl.where(c[None, :] == 28, (tl.log(1.0 + count) / 3)[:, None], out)
    out = tl.where(c[None, :] == 29, (tl.exp(-count / 2) * on)[:, None], out)
    return tl.where(c[None, :] < 30, out, 0.0)


@triton.jit
def channels(
    times_p, happens_p, current_p, at_p, rate_p, out_p, n, duration_ms, SPIKES: tl.constexpr, TILE: tl.constexpr
):
    """Channels of a tile of samples of one trace, stored as ``(batch, n, 32)``; grid ``(batch, tiles)``."""
    b, c = tl.program_id(0).to(tl.int64), tl.arange(0, 32)
    row = tl.program_id(1) * TILE + tl.arange(0, TILE)
    t = tl.load(at_p + row, mask=row < n, other=0.0)
    amount = tl.load(current_p + b) / 100
    x = firing(times_p + b * SPIKES, happens_p + b * SPIKES, t, tl.load(rate_p + c), c, amount, duration_ms, SPIKES)
    tl.store(out_p + b * n * 32 + row[:, None] * 32 + c[None, :], x, mask=(row < n)[:, None])


@triton.jit
def _to_spikes(k, of_last, of_following, SLOTS: tl.constexpr):
    """Sum what belongs to the spike before a sample, the ``k``-th, and to the one after it, by spike."""
    s = tl.arange(0, SLOTS)[None, :] + 1.0
    last = tl.where(s == k[:, None], of_last[:, None], 0.0)
    return tl.sum(last + tl.where(s == k[:, None] + 1.0, of_following[:, None], 0.0), 0)


@triton.jit
def channels_backward(
    times_p,
    happens_p,
    at_p,
    rate_p,
    g_p,
    sums_p,
    n,
    g_trace,
    g_channel,
    g_row,
    duration_ms,
    SPIKES: tl.constexpr,
    SLOTS: tl.constexpr,
    TILE: tl.constexpr,
):
    """Gradient of a tile's channels with respect to spike times, spikes that happen and current; grid as ``channels``.

    ``sums``, ``(batch, tiles, 2 SLOTS + 1)``, holds them in a row. Spikes rise, so that the count of those before a
    sample is the place of the last one.
    """
    b, tile, c = tl.program_id(0).to(tl.int64), tl.program_id(1), tl.arange(0, 32)
    row = tile * TILE + tl.arange(0, TILE)
    t = tl.load(at_p + row, mask=row < n, other=0.0)
    g = tl.load(
        g_p + b * g_trace + row[:, None] * g_row + c[None, :] * g_channel,
        mask=(row < n)[:, None] & (c < 30)[None, :],
        other=0.0,
    )
    g = tl.where(((t >= -1e-6) & (t < duration_ms - 1e-6))[:, None] | (c > 12)[None, :], g, 0.0)  # else nothing is on
    k, last, following = _neighbours(times_p + b * SPIKES, t, SPIKES)
    start, comes = tl.where(k == 0.0, 0.0, last), following < BIG_MS
    length = tl.where(comes, following - start, 1.0)
    part = (t - start) / length
    phase = k + tl.where(comes, tl.minimum(tl.maximum(part, 0.0), 1.0), 0.0)
    sine, cosine = circle(phase - tl.floor(phase))
    turns = tl.where(c[None, :] == 9, cosine[:, None], 0.0)
    turns = tl.where(c[None, :] == 10, -sine[:, None], turns)
    turns = tl.where(c[None, :] == 11, (2 - 4 * sine * sine)[:, None], turns)
    turns = tl.where(c[None, :] == 12, (-4 * sine * cosine)[:, None], turns)
    dphase = tl.sum(g * turns, 1) * (2 * HALF_TURN)
    dphase = tl.where(comes & (part >= 0) & (part <= 1), dphase / length, 0.0)
    dtimes = _to_spikes(k, tl.where(k > 0.0, (part - 1) * dphase, 0.0), -part * dphase, SLOTS)
    m, past, coming = _neighbours(happens_p + b * SPIKES, t, SPIKES)
    since = (c >= 13) & (c < 21)
    gap = tl.where(since[None, :], (t - past)[:, None], (coming - t)[:, None])
    rate = tl.load(rate_p + c)[None, :]
    decay = g * tl.exp(-tl.maximum(gap, 0.0) * rate) * rate
    after = tl.sum(tl.where(since[None, :], decay, 0.0), 1)
    before = tl.sum(tl.where((c >= 21)[None, :] & (c < 28)[None, :], decay, 0.0), 1)
    to = sums_p + (b * tl.num_programs(1) + tile) * (2 * SLOTS + 1)
    tl.store(to + tl.arange(0, SLOTS), dtimes)
    tl.store(to + SLOTS + tl.arange(0, SLOTS), _to_spikes(m, after, -before, SLOTS))
    tl.store(to + 2 * SLOTS, tl.sum(tl.sum(tl.where(c[None, :] == 0, g, 0.0), 1), 0) / 100)
