r"""Triton kernels of the decoder on CUDA devices: one for the inputs, two per Fourier layer beside matrix products.

Activations are ``(batch, time, channel)`` with channels padded to a power of two, so that a row of one sample is one
transaction and everything pointwise happens in registers:

``lift``
    spike times to firing channels (:mod:`noble_prob.decoder.embedding`) to the first activation; nothing else is read;
``lift_sines``
    the first activation of the paper's operator from the frequencies of its embedding;
``mix``
    the complex matrix of every kept mode;
``layer``
    a tile of the inverse transform, skip, FiLM, GELU, channel MLP, residual, and a tile of the next forward transform;
    after the last layer the projection to millivolts.

Over the few samples of a tile the kept modes are smooth, so that a tile is seen and made by the transforms through
some 12 numbers per channel (:func:`noble_prob.decoder.spectral.local_basis`): each activation is read once and written
once per layer.

Weights of products are ``(out, in)``, as modules hold them. Every product accumulates in single precision; operands in
TF32 are rounded to nearest, which the hardware would truncate. The kernels also run in Triton's
interpreter (``TRITON_INTERPRET=1``), which is how machines without a GPU test them.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import triton
import triton.language as tl

from noble_prob.decoder.kernels_arithmetic import dot, gelu, matrix, product
from noble_prob.decoder.kernels_embedding import circle, firing


@triton.jit
def coefficients(h, local_p, TILE: tl.constexpr, RANK: tl.constexpr, PRECISION: tl.constexpr):
    """Coefficients of a tile on the local basis, ``(RANK, WIDTH)``."""
    j, k = tl.arange(0, RANK), tl.arange(0, TILE)
    local = tl.load(local_p + k[None, :] * RANK + j[:, None])
    return dot(local, h.to(local.dtype), None, PRECISION)


@triton.jit
def keep(moment, moment_p, tile, b, batch, WIDTH: tl.constexpr, RANK: tl.constexpr):
    """Store a tile's coefficients into ``(tile, RANK, batch, WIDTH)``."""
    j, w = tl.arange(0, RANK), tl.arange(0, WIDTH)
    at = ((tile * RANK + j[:, None]) * batch + b) * WIDTH + w[None, :]
    tl.store(moment_p + at, moment.to(moment_p.dtype.element_ty))


@triton.jit
def waves(
    local_p,
    wave_p,
    tile,
    b,
    batch,
    WIDTH: tl.constexpr,
    TILE: tl.constexpr,
    RANK: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """A tile of the signal from its coefficients on the local basis."""
    k, j, w = tl.arange(0, TILE), tl.arange(0, RANK), tl.arange(0, WIDTH)
    local = tl.load(local_p + k[:, None] * RANK + j[None, :])
    wave = tl.load(wave_p + ((tile * RANK + j[:, None]) * batch + b) * WIDTH + w[None, :])
    return dot(local, wave.to(local.dtype), None, PRECISION)


@triton.jit
def _first(
    x,
    w1_p,
    b1_p,
    w2_p,
    b2_p,
    local_p,
    out_p,
    moment_p,
    b,
    n,
    batch,
    CHANNELS: tl.constexpr,
    WIDTH: tl.constexpr,
    HIDDEN: tl.constexpr,
    TILE: tl.constexpr,
    RANK: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Channels of a tile of samples to the first activation and its coefficients."""
    tile = tl.program_id(1)
    row, w, j = tile * TILE + tl.arange(0, TILE), tl.arange(0, WIDTH), tl.arange(0, HIDDEN)
    inside = (row < n)[:, None]
    h = gelu(product(x, w1_p, CHANNELS, HIDDEN, PRECISION) + tl.load(b1_p + j)[None, :], PRECISION)
    h = product(h, w2_p, HIDDEN, WIDTH, PRECISION) + tl.load(b2_p + w)[None, :]
    h = tl.where(inside, h, 0.0).to(out_p.dtype.element_ty)
    tl.store(out_p + b * n * WIDTH + row[:, None] * WIDTH + w[None, :], h, mask=inside)
    keep(coefficients(h, local_p, TILE, RANK, PRECISION), moment_p, tile, b, batch, WIDTH, RANK)


@triton.jit(do_not_specialize=["batch"])
def lift(
    times_p,
    happens_p,
    current_p,
    at_p,
    rate_p,
    w1_p,
    b1_p,
    w2_p,
    b2_p,
    local_p,
    out_p,
    moment_p,
    n,
    batch,
    duration_ms,
    SPIKES: tl.constexpr,
    WIDTH: tl.constexpr,
    HIDDEN: tl.constexpr,
    TILE: tl.constexpr,
    RANK: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """First activation of a tile of samples of one trace, from its spike times; grid ``(batch, tiles)``."""
    b = tl.program_id(0).to(tl.int64)
    row = tl.program_id(1) * TILE + tl.arange(0, TILE)
    c = tl.arange(0, 32)
    t = tl.load(at_p + row, mask=row < n, other=0.0)
    amount = tl.load(current_p + b) / 100
    x = firing(times_p + b * SPIKES, happens_p + b * SPIKES, t, tl.load(rate_p + c), c, amount, duration_ms, SPIKES)
    _first(x, w1_p, b1_p, w2_p, b2_p, local_p, out_p, moment_p, b, n, batch, 32, WIDTH, HIDDEN, TILE, RANK, PRECISION)


@triton.jit(do_not_specialize=["batch", "onset", "offset"])
def lift_sines(
    turns_p,
    shift_p,
    current_p,
    phase_p,
    w1_p,
    b1_p,
    w2_p,
    b2_p,
    local_p,
    out_p,
    moment_p,
    n,
    batch,
    onset,
    offset,
    count,
    CHANNELS: tl.constexpr,
    WIDTH: tl.constexpr,
    HIDDEN: tl.constexpr,
    TILE: tl.constexpr,
    RANK: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """First activation of the paper's operator from frequencies, ``(batch, CHANNELS)`` in float64; grid as ``lift``.

    Channel 0 is the current from sample ``onset`` to ``offset``, channel ``count - 1`` the grid from 0 to 1, the others
    are sines of ``turns * phase + shift`` turns: the product is exact enough in float64 only.
    """
    b = tl.program_id(0).to(tl.int64)
    row, c = tl.program_id(1) * TILE + tl.arange(0, TILE), tl.arange(0, CHANNELS)
    phase = tl.load(phase_p + row, mask=row < n, other=0.0)
    turn = tl.load(turns_p + b * CHANNELS + c)[None, :] * phase[:, None]
    x, _ = circle((turn - tl.floor(turn)).to(tl.float32) + tl.load(shift_p + c)[None, :])
    on = ((row >= onset) & (row < offset)).to(tl.float32)
    x = tl.where(c[None, :] == 0, (tl.load(current_p + b) / 100 * on)[:, None], x)
    x = tl.where(c[None, :] == count - 1, (row.to(tl.float32) / n)[:, None], x)
    x = tl.where(c[None, :] < count, x, 0.0)
    _first(
        x, w1_p, b1_p, w2_p, b2_p, local_p, out_p, moment_p, b, n, batch, CHANNELS, WIDTH, HIDDEN, TILE, RANK, PRECISION
    )


@triton.jit(do_not_specialize=["batch"])
def mix(
    spectrum_p, weight_p, out_p, batch, modes, unit, WIDTH: tl.constexpr, TILE: tl.constexpr, PRECISION: tl.constexpr
):
    """Complex product of one mode with its matrix for a tile of traces; grid ``(modes, tiles)``.

    ``spectrum`` and ``out`` are ``(rows, batch, WIDTH)``, real parts in rows ``[0, modes)``, imaginary parts after
    them; ``weight`` is ``(2, modes, WIDTH, WIDTH)``, input channel before output channel.
    """
    k = tl.program_id(0).to(tl.int64)
    b = tl.program_id(1) * TILE + tl.arange(0, TILE)
    w = tl.arange(0, WIDTH)
    inside = (b < batch)[:, None]
    at = (k * batch + b[:, None]) * WIDTH + w[None, :]
    other = at + modes * batch * WIDTH
    square = k * WIDTH * WIDTH + w[:, None] * WIDTH + w[None, :]
    re = tl.load(spectrum_p + at, mask=inside, other=0.0)
    im = tl.load(spectrum_p + other, mask=inside, other=0.0)
    a = tl.load(weight_p + square)
    z = tl.load(weight_p + square + modes * WIDTH * WIDTH)
    real = dot(re, a, None, PRECISION) - dot(im, z, None, PRECISION)
    imag = dot(im, a, dot(re, z, None, PRECISION), PRECISION)
    tl.store(out_p + at, (real * unit).to(out_p.dtype.element_ty), mask=inside)
    tl.store(out_p + other, (imag * unit).to(out_p.dtype.element_ty), mask=inside)


@triton.jit
def _millivolts(
    y, scale_p, shift_p, p1_p, q1_p, p2_p, q2, WIDTH: tl.constexpr, PROJECT: tl.constexpr, PRECISION: tl.constexpr
):
    """The projection of a tile of the last activation."""
    w, i = tl.arange(0, WIDTH), tl.arange(0, PROJECT)
    y = y * tl.load(scale_p + w)[None, :] + tl.load(shift_p + w)[None, :]
    y = gelu(product(y, p1_p, WIDTH, PROJECT, PRECISION) + tl.load(q1_p + i)[None, :], PRECISION)
    return 20.0 * (tl.sum(y * tl.load(p2_p + i)[None, :], 1) + q2) - 70.0


@triton.jit(do_not_specialize=["batch", "film_stride"])
def layer(
    h_p,
    wave_p,
    local_p,
    skip_p,
    w1_p,
    b1_p,
    w2_p,
    b2_p,
    gate_p,
    scale_p,
    shift_p,
    out_p,
    moment_p,
    last_scale_p,
    last_shift_p,
    p1_p,
    q1_p,
    p2_p,
    q2,
    n,
    batch,
    film_stride,
    WIDTH: tl.constexpr,
    HIDDEN: tl.constexpr,
    PROJECT: tl.constexpr,
    INNER: tl.constexpr,
    OUTER: tl.constexpr,
    LAST: tl.constexpr,
    TILE: tl.constexpr,
    RANK: tl.constexpr,
    PER: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """A whole layer but for the modes, for ``PER`` tiles of samples of one trace; grid ``(batch, tiles / PER)``.

    ``wave`` and ``moment`` are coefficients on the local basis, ``(tile, RANK, batch, WIDTH)``: the spectral
    convolution of this layer's input, and the activation that the next layer transforms. ``INNER``: GELU after the
    convolution; ``OUTER``: after the residual; ``LAST``: the projection to millivolts follows.
    """
    b, part = tl.program_id(0).to(tl.int64), tl.program_id(1)
    w, m = tl.arange(0, WIDTH), tl.arange(0, HIDDEN)
    skip, w1, w2 = matrix(skip_p, WIDTH, WIDTH), matrix(w1_p, WIDTH, HIDDEN), matrix(w2_p, HIDDEN, WIDTH)
    b1, b2, gate = tl.load(b1_p + m), tl.load(b2_p + w), tl.load(gate_p + w)
    scale, shift = tl.load(scale_p + b * film_stride + w), tl.load(shift_p + b * film_stride + w)
    for step in range(PER):
        tile = part * PER + step
        row = tile * TILE + tl.arange(0, TILE)
        inside = (row < n)[:, None]
        at = b * n * WIDTH + row[:, None] * WIDTH + w[None, :]
        h = tl.load(h_p + at, mask=inside, other=0.0)
        y = waves(local_p, wave_p, tile, b, batch, WIDTH, TILE, RANK, PRECISION)
        y = dot(h.to(skip.dtype), skip, y, PRECISION) * scale[None, :] + shift[None, :]
        if INNER:
            y = gelu(y, PRECISION)
        y = gelu(dot(y.to(w1.dtype), w1, None, PRECISION) + b1[None, :], PRECISION)
        y = dot(y.to(w2.dtype), w2, None, PRECISION) + b2[None, :] + h.to(tl.float32) * gate[None, :]
        if OUTER:
            y = gelu(y, PRECISION)
        if LAST:
            voltage = _millivolts(
                y,
                last_scale_p + b * film_stride,
                last_shift_p + b * film_stride,
                p1_p,
                q1_p,
                p2_p,
                q2,
                WIDTH,
                PROJECT,
                PRECISION,
            )
            tl.store(out_p + b * n + row, voltage, mask=row < n)
        else:
            y = tl.where(inside, y, 0.0).to(out_p.dtype.element_ty)
            tl.store(out_p + at, y, mask=inside)
            keep(coefficients(y, local_p, TILE, RANK, PRECISION), moment_p, tile, b, batch, WIDTH, RANK)
