"""The backward pass of a Fourier layer as one Triton kernel; see :mod:`noble_prob.decoder.kernels` for the forward."""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import triton
import triton.language as tl

from noble_prob.decoder.kernels import coefficients, keep, waves
from noble_prob.decoder.kernels_arithmetic import dot, gelu, normal, product


@triton.jit
def slope(x, PRECISION: tl.constexpr):
    """Derivative of the GELU."""
    return normal(x, PRECISION) + x * tl.exp(-0.5 * x * x) * 0.3989422804014327


@triton.jit
def back(g, w_p, N_IN: tl.constexpr, N_OUT: tl.constexpr, PRECISION: tl.constexpr):
    """``g @ w`` for a weight ``(out, in)`` in memory."""
    i, o = tl.arange(0, N_IN), tl.arange(0, N_OUT)
    w = tl.load(w_p + o[:, None] * N_IN + i[None, :])
    return dot(g.to(w.dtype), w, None, PRECISION)


@triton.jit
def outer(g, x, acc, PRECISION: tl.constexpr):
    """``acc + g.T @ x``: the gradient of a weight ``(out, in)``."""
    return dot(tl.trans(g), x, acc, PRECISION)


@triton.jit(do_not_specialize=["batch", "blocks", "per", "film_stride"])
def layer_backward(
    h_p,
    wave_p,
    local_p,
    skip_p,
    w1_p,
    b1_p,
    w2_p,
    scale_p,
    shift_p,
    g_p,
    gm_p,
    dh_p,
    dwave_p,
    film_p,
    sums_p,
    n,
    batch,
    blocks,
    per,
    film_stride,
    WIDTH: tl.constexpr,
    HIDDEN: tl.constexpr,
    MOMENTS: tl.constexpr,
    WEIGHTS: tl.constexpr,
    TILE: tl.constexpr,
    SUB: tl.constexpr,
    RANK: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Gradients of ``layer`` (GELU after the convolution, plain residual) from those of its two results.

    A program takes ``per`` tiles of one trace, ``SUB`` samples at a time, grid ``(batch, parts)``, and sums the
    gradients of scale and shift (``film``, ``(batch, parts, 2, WIDTH)``) and of the weights (``sums``: skip, w1, w2,
    b1, b2 in a row) over them in a fixed order. What the forward pass computed is computed again.
    """
    b, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    w, m = tl.arange(0, WIDTH), tl.arange(0, HIDDEN)
    scale, shift = tl.load(scale_p + b * film_stride + w), tl.load(shift_p + b * film_stride + w)
    b1 = tl.load(b1_p + m)
    dscale, dshift = tl.zeros((WIDTH,), tl.float32), tl.zeros((WIDTH,), tl.float32)
    dskip, dw1 = tl.zeros((WIDTH, WIDTH), tl.float32), tl.zeros((HIDDEN, WIDTH), tl.float32)
    dw2 = tl.zeros((WIDTH, HIDDEN), tl.float32)
    db1, db2 = tl.zeros((HIDDEN,), tl.float32), tl.zeros((WIDTH,), tl.float32)
    for tile in range(part * per, tl.minimum(part * per + per, blocks)):
        dwave = tl.zeros((RANK, WIDTH), tl.float32)
        for piece in range(0, TILE, SUB):
            row = tile * TILE + piece + tl.arange(0, SUB)
            inside = (row < n)[:, None]
            at = b * n * WIDTH + row[:, None] * WIDTH + w[None, :]
            h = tl.load(h_p + at, mask=inside, other=0.0)
            g = tl.load(g_p + at, mask=inside, other=0.0)
            here = local_p + piece * RANK
            if MOMENTS:
                g += waves(here, gm_p, tile, b, batch, WIDTH, SUB, RANK, PRECISION)
                g = tl.where(inside, g, 0.0)
            k = waves(here, wave_p, tile, b, batch, WIDTH, SUB, RANK, PRECISION)
            k += product(h, skip_p, WIDTH, WIDTH, PRECISION)
            a = k * scale[None, :] + shift[None, :]
            y = gelu(a, PRECISION)
            u = product(y, w1_p, WIDTH, HIDDEN, PRECISION) + b1[None, :]
            if WEIGHTS:
                dw2 = outer(g, gelu(u, PRECISION), dw2, PRECISION)
                db2 += tl.sum(g, 0)
            du = back(g, w2_p, HIDDEN, WIDTH, PRECISION) * slope(u, PRECISION)
            if WEIGHTS:
                dw1 = outer(du, y, dw1, PRECISION)
                db1 += tl.sum(du, 0)
            da = back(du, w1_p, WIDTH, HIDDEN, PRECISION) * slope(a, PRECISION)
            dscale += tl.sum(da * k, 0)
            dshift += tl.sum(da, 0)
            dk = da * scale[None, :]
            if WEIGHTS:
                dskip = outer(dk, h, dskip, PRECISION)
            tl.store(dh_p + at, g + back(dk, skip_p, WIDTH, WIDTH, PRECISION), mask=inside)
            dwave += coefficients(dk, here, SUB, RANK, PRECISION)
        keep(dwave, dwave_p, tile, b, batch, WIDTH, RANK)
    index = b * tl.num_programs(1) + part
    tl.store(film_p + index * 2 * WIDTH + w, dscale)
    tl.store(film_p + index * 2 * WIDTH + WIDTH + w, dshift)
    if WEIGHTS:
        to = sums_p + index * (WIDTH * WIDTH + 2 * WIDTH * HIDDEN + WIDTH + HIDDEN)
        tl.store(to + w[:, None] * WIDTH + w[None, :], dskip)
        to += WIDTH * WIDTH
        tl.store(to + m[:, None] * WIDTH + w[None, :], dw1)
        to += WIDTH * HIDDEN
        tl.store(to + w[:, None] * HIDDEN + m[None, :], dw2)
        to += WIDTH * HIDDEN
        tl.store(to + m, db1)
        tl.store(to + HIDDEN + w, db2)
