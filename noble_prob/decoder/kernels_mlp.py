"""A channel MLP of two layers as Triton kernels, forward and backward: hidden channels stay in registers.

The input may lie in memory in any order, ``(batch, channel, time)`` or ``(batch, time, channel)``; the first layer may
differ from trace to trace, which is how FiLM before an MLP is folded into it.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import triton
import triton.language as tl

from noble_prob.decoder.kernels import coefficients, keep, waves
from noble_prob.decoder.kernels_arithmetic import gelu, product
from noble_prob.decoder.kernels_backward import back, outer, slope

SMALL = ["batch", "per", "blocks", "count", "outputs", "w_stride", "b_stride"]


@triton.jit(do_not_specialize=SMALL)
def mlp(
    x_p,
    w1_p,
    b1_p,
    w2_p,
    b2_p,
    local_p,
    out_p,
    moment_p,
    n,
    batch,
    x_trace,
    x_row,
    x_channel,
    count,
    outputs,
    w_stride,
    b_stride,
    CHANNELS: tl.constexpr,
    HIDDEN: tl.constexpr,
    OUT: tl.constexpr,
    MOMENTS: tl.constexpr,
    TILE: tl.constexpr,
    RANK: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """``w2 GELU(w1 x + b1) + b2`` of a tile of samples, stored as ``(batch, n, outputs)``; grid ``(batch, tiles)``.

    With ``MOMENTS`` the coefficients of the output on the local basis are stored too.
    """
    b = tl.program_id(0).to(tl.int64)
    row = tl.program_id(1) * TILE + tl.arange(0, TILE)
    c, j, o = tl.arange(0, CHANNELS), tl.arange(0, HIDDEN), tl.arange(0, OUT)
    inside = (row < n)[:, None]
    x = tl.load(
        x_p + b * x_trace + row[:, None] * x_row + c[None, :] * x_channel, mask=inside & (c < count)[None, :], other=0.0
    )
    h = product(x, w1_p + b * w_stride, CHANNELS, HIDDEN, PRECISION) + tl.load(b1_p + b * b_stride + j)[None, :]
    y = product(gelu(h, PRECISION), w2_p, HIDDEN, OUT, PRECISION) + tl.load(b2_p + o)[None, :]
    y = tl.where(inside, y, 0.0)
    tl.store(out_p + b * n * outputs + row[:, None] * outputs + o[None, :], y, mask=inside & (o < outputs)[None, :])
    if MOMENTS:
        keep(coefficients(y, local_p, TILE, RANK, PRECISION), moment_p, tl.program_id(1), b, batch, OUT, RANK)


@triton.jit(do_not_specialize=SMALL)
def mlp_backward(
    x_p,
    w1_p,
    b1_p,
    w2_p,
    g_p,
    gm_p,
    local_p,
    dx_p,
    sums_p,
    n,
    batch,
    blocks,
    per,
    x_trace,
    x_row,
    x_channel,
    count,
    outputs,
    w_stride,
    b_stride,
    CHANNELS: tl.constexpr,
    HIDDEN: tl.constexpr,
    OUT: tl.constexpr,
    MOMENTS: tl.constexpr,
    INPUT: tl.constexpr,
    WEIGHTS: tl.constexpr,
    TILE: tl.constexpr,
    SUB: tl.constexpr,
    RANK: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Gradients from that of the output, and, with ``MOMENTS``, that of its coefficients on the local basis.

    A program takes ``per`` tiles of one trace; ``sums``, ``(batch, parts, -1)``, holds w1, w2, b1, b2 in a row if
    ``WEIGHTS``. With ``INPUT`` the gradient of ``x`` is stored, laid out as ``x``.
    """
    b, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    c, j, o = tl.arange(0, CHANNELS), tl.arange(0, HIDDEN), tl.arange(0, OUT)
    w1, b1 = w1_p + b * w_stride, tl.load(b1_p + b * b_stride + j)
    dw1, dw2 = tl.zeros((HIDDEN, CHANNELS), tl.float32), tl.zeros((OUT, HIDDEN), tl.float32)
    db1, db2 = tl.zeros((HIDDEN,), tl.float32), tl.zeros((OUT,), tl.float32)
    for tile in range(part * per, tl.minimum(part * per + per, blocks)):
        for piece in range(0, TILE, SUB):
            row = tile * TILE + piece + tl.arange(0, SUB)
            inside = (row < n)[:, None]
            at, known = row[:, None] * x_row + c[None, :] * x_channel, inside & (c < count)[None, :]
            x = tl.load(x_p + b * x_trace + at, mask=known, other=0.0)
            g = tl.load(
                g_p + b * n * outputs + row[:, None] * outputs + o[None, :],
                mask=inside & (o < outputs)[None, :],
                other=0.0,
            )
            if MOMENTS:
                g += waves(local_p + piece * RANK, gm_p, tile, b, batch, OUT, SUB, RANK, PRECISION)
                g = tl.where(inside, g, 0.0)
            u = product(x, w1, CHANNELS, HIDDEN, PRECISION) + b1[None, :]
            if WEIGHTS:
                dw2 = outer(g, gelu(u, PRECISION), dw2, PRECISION)
                db2 += tl.sum(g, 0)
            du = back(g, w2_p, HIDDEN, OUT, PRECISION) * slope(u, PRECISION)
            if WEIGHTS:
                dw1 = outer(du, x, dw1, PRECISION)
                db1 += tl.sum(du, 0)
            if INPUT:
                tl.store(dx_p + b * x_trace + at, back(du, w1, CHANNELS, HIDDEN, PRECISION), mask=known)
    if WEIGHTS:
        to = sums_p + (b * tl.num_programs(1) + part) * (HIDDEN * CHANNELS + OUT * HIDDEN + HIDDEN + OUT)
        tl.store(to + j[:, None] * CHANNELS + c[None, :], dw1)
        to += HIDDEN * CHANNELS
        tl.store(to + o[:, None] * HIDDEN + j[None, :], dw2)
        to += OUT * HIDDEN
        tl.store(to + j, db1)
        tl.store(to + HIDDEN + o, db2)
