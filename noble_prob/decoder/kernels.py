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

BIG_MS = tl.constexpr(1e9)
HALF_TURN = tl.constexpr(3.141592653589793)


@triton.jit
def normal(x, PRECISION: tl.constexpr):
    """Distribution function of the standard normal, to 1e-5 where products are no better (TF32, half precision).

    An odd polynomial, 1/2 at the ends of [-4.4, 4.4] and constant beyond, takes half the instructions of ``erf``.
    """
    if PRECISION == "tf32":
        x = tl.minimum(tl.maximum(x, -4.4), 4.4)
        q = x * x
        p = -9.812096724548904e-14 * q + 4.5197393007314406e-11
        p = p * q - 4.144622420801924e-09
        p = p * q + 1.8295254555108263e-07
        p = p * q - 4.846140754670457e-06
        p = p * q + 8.531417310265846e-05
        p = p * q - 0.0010601815415260496
        p = p * q + 0.009657926263473216
        p = p * q - 0.06609736079155287
        p = p * q + 0.3987717040924626
        phi = 0.5 + x * p
    else:
        phi = 0.5 * (1.0 + tl.erf(x * 0.7071067811865476))
    return phi


@triton.jit
def gelu(x, PRECISION: tl.constexpr):
    """The GELU by its definition, not by tanh."""
    return x * normal(x, PRECISION)


@triton.jit
def near(x, PRECISION: tl.constexpr):
    """Round single precision to the nearest TF32 where products are in TF32."""
    if PRECISION == "tf32" and x.dtype == tl.float32:
        x = ((x.to(tl.int32, bitcast=True) + 0x1000) & -0x2000).to(tl.float32, bitcast=True)
    return x


@triton.jit
def product(x, w_p, N_IN: tl.constexpr, N_OUT: tl.constexpr, PRECISION: tl.constexpr):
    """``x @ w.T`` for a weight ``(out, in)`` in memory, in the weight's precision."""
    i, o = tl.arange(0, N_IN), tl.arange(0, N_OUT)
    w = tl.load(w_p + o[None, :] * N_IN + i[:, None])
    return tl.dot(near(x.to(w.dtype), PRECISION), near(w, PRECISION), input_precision=PRECISION)


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
def _circle(turn):
    """Sine and cosine of 0 to 1 turns, to rounding, from the series of half the angle: no table, no branch."""
    x = (turn - tl.floor(turn + 0.5)) * HALF_TURN
    q = x * x
    s = x * (1 - q / 6 * (1 - q / 20 * (1 - q / 42 * (1 - q / 72 * (1 - q / 110)))))
    c = 1 - q / 2 * (1 - q / 12 * (1 - q / 30 * (1 - q / 56 * (1 - q / 90 * (1 - q / 132)))))
    return 2 * s * c, 1 - 2 * s * s


@triton.jit
def _channels(times_p, happens_p, t, rate, c, amount, duration_ms, SPIKES: tl.constexpr):
    """Firing channels of a tile of samples, shape ``(time, 32)``; the order is that of ``embedding``."""
    on = ((t >= -1e-6) & (t < duration_ms - 1e-6)).to(tl.float32)
    k, last, following = _neighbours(times_p, t, SPIKES)
    start = tl.where(k == 0.0, 0.0, last)
    part = tl.where(following < BIG_MS, (t - start) / (following - start), 0.0)
    phase = k + tl.minimum(tl.maximum(part, 0.0), 1.0)
    whole = tl.floor(phase)
    sine, cosine = _circle(phase - whole)
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


@triton.jit
def coefficients(h, local_p, TILE: tl.constexpr, RANK: tl.constexpr, PRECISION: tl.constexpr):
    """Coefficients of a tile on the local basis, ``(RANK, WIDTH)``."""
    j, k = tl.arange(0, RANK), tl.arange(0, TILE)
    local = near(tl.load(local_p + k[None, :] * RANK + j[:, None]), PRECISION)
    return tl.dot(local, near(h.to(local.dtype), PRECISION), input_precision=PRECISION)


@triton.jit
def keep(moment, moment_p, tile, b, batch, WIDTH: tl.constexpr, RANK: tl.constexpr):
    """Store a tile's coefficients into ``(tile, RANK, batch, WIDTH)``."""
    j, w = tl.arange(0, RANK), tl.arange(0, WIDTH)
    at = ((tile * RANK + j[:, None]) * batch + b) * WIDTH + w[None, :]
    tl.store(moment_p + at, moment.to(moment_p.dtype.element_ty))


@triton.jit
def waves(local_p, wave_p, tile, b, batch, WIDTH: tl.constexpr, TILE: tl.constexpr, RANK: tl.constexpr,
          PRECISION: tl.constexpr):  # fmt: skip
    """A tile of the signal from its coefficients on the local basis."""
    k, j, w = tl.arange(0, TILE), tl.arange(0, RANK), tl.arange(0, WIDTH)
    local = tl.load(local_p + k[:, None] * RANK + j[None, :])
    wave = tl.load(wave_p + ((tile * RANK + j[:, None]) * batch + b) * WIDTH + w[None, :])
    return tl.dot(near(local, PRECISION), near(wave.to(local.dtype), PRECISION), input_precision=PRECISION)


@triton.jit
def _first(x, w1_p, b1_p, w2_p, b2_p, local_p, out_p, moment_p, b, n, batch, CHANNELS: tl.constexpr,
           WIDTH: tl.constexpr, HIDDEN: tl.constexpr, TILE: tl.constexpr, RANK: tl.constexpr,
           PRECISION: tl.constexpr):  # fmt: skip
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
    times_p, happens_p, current_p, at_p, rate_p, w1_p, b1_p, w2_p, b2_p, local_p, out_p, moment_p,
    n, batch, duration_ms, SPIKES: tl.constexpr, WIDTH: tl.constexpr, HIDDEN: tl.constexpr, TILE: tl.constexpr,
    RANK: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """First activation of a tile of samples of one trace, from its spike times; grid ``(batch, tiles)``."""
    b = tl.program_id(0).to(tl.int64)
    row = tl.program_id(1) * TILE + tl.arange(0, TILE)
    c = tl.arange(0, 32)
    t = tl.load(at_p + row, mask=row < n, other=0.0)
    amount = tl.load(current_p + b) / 100
    x = _channels(times_p + b * SPIKES, happens_p + b * SPIKES, t, tl.load(rate_p + c), c, amount, duration_ms, SPIKES)
    _first(x, w1_p, b1_p, w2_p, b2_p, local_p, out_p, moment_p, b, n, batch, 32, WIDTH, HIDDEN, TILE, RANK, PRECISION)


@triton.jit(do_not_specialize=["batch", "onset", "offset"])
def lift_sines(
    turns_p, shift_p, current_p, phase_p, w1_p, b1_p, w2_p, b2_p, local_p, out_p, moment_p, n, batch, onset, offset,
    count, CHANNELS: tl.constexpr, WIDTH: tl.constexpr, HIDDEN: tl.constexpr, TILE: tl.constexpr, RANK: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """First activation of the paper's operator from frequencies, ``(batch, CHANNELS)`` in float64; grid as ``lift``.

    Channel 0 is the current from sample ``onset`` to ``offset``, channel ``count - 1`` the grid from 0 to 1, the others
    are sines of ``turns * phase + shift`` turns: the product is exact enough in float64 only.
    """
    b = tl.program_id(0).to(tl.int64)
    row, c = tl.program_id(1) * TILE + tl.arange(0, TILE), tl.arange(0, CHANNELS)
    phase = tl.load(phase_p + row, mask=row < n, other=0.0)
    turn = tl.load(turns_p + b * CHANNELS + c)[None, :] * phase[:, None]
    x, _ = _circle((turn - tl.floor(turn)).to(tl.float32) + tl.load(shift_p + c)[None, :])
    on = ((row >= onset) & (row < offset)).to(tl.float32)
    x = tl.where(c[None, :] == 0, (tl.load(current_p + b) / 100 * on)[:, None], x)
    x = tl.where(c[None, :] == count - 1, (row.to(tl.float32) / n)[:, None], x)
    x = tl.where(c[None, :] < count, x, 0.0)
    _first(x, w1_p, b1_p, w2_p, b2_p, local_p, out_p, moment_p, b, n, batch, CHANNELS, WIDTH, HIDDEN, TILE, RANK,
           PRECISION)  # fmt: skip


@triton.jit(do_not_specialize=["batch"])
def mix(spectrum_p, weight_p, out_p, batch, modes, unit,
        WIDTH: tl.constexpr, TILE: tl.constexpr, PRECISION: tl.constexpr):  # fmt: skip
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
    re = near(tl.load(spectrum_p + at, mask=inside, other=0.0), PRECISION)
    im = near(tl.load(spectrum_p + other, mask=inside, other=0.0), PRECISION)
    a = near(tl.load(weight_p + square), PRECISION)
    z = near(tl.load(weight_p + square + modes * WIDTH * WIDTH), PRECISION)
    real = tl.dot(re, a, input_precision=PRECISION) - tl.dot(im, z, input_precision=PRECISION)
    imag = tl.dot(re, z, input_precision=PRECISION) + tl.dot(im, a, input_precision=PRECISION)
    tl.store(out_p + at, (real * unit).to(out_p.dtype.element_ty), mask=inside)
    tl.store(out_p + other, (imag * unit).to(out_p.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["batch", "film_stride"])
def layer(
    h_p, wave_p, local_p, skip_p, w1_p, b1_p, w2_p, b2_p, gate_p, scale_p, shift_p, out_p, moment_p,
    last_scale_p, last_shift_p, p1_p, q1_p, p2_p, q2, n, batch, film_stride,
    WIDTH: tl.constexpr, HIDDEN: tl.constexpr, PROJECT: tl.constexpr, INNER: tl.constexpr, OUTER: tl.constexpr,
    LAST: tl.constexpr, TILE: tl.constexpr, RANK: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """A whole layer but for the modes, for a tile of samples of one trace; grid ``(batch, tiles)``.

    ``wave`` and ``moment`` are coefficients on the local basis, ``(tile, RANK, batch, WIDTH)``: the spectral
    convolution of this layer's input, and the activation that the next layer transforms. ``INNER``: GELU after the
    convolution; ``OUTER``: after the residual; ``LAST``: the projection to millivolts follows.
    """
    b, tile = tl.program_id(0).to(tl.int64), tl.program_id(1)
    row, w, m = tile * TILE + tl.arange(0, TILE), tl.arange(0, WIDTH), tl.arange(0, HIDDEN)
    inside = (row < n)[:, None]
    h = tl.load(h_p + b * n * WIDTH + row[:, None] * WIDTH + w[None, :], mask=inside, other=0.0)
    y = waves(local_p, wave_p, tile, b, batch, WIDTH, TILE, RANK, PRECISION)
    y += product(h, skip_p, WIDTH, WIDTH, PRECISION)
    scale, shift = tl.load(scale_p + b * film_stride + w), tl.load(shift_p + b * film_stride + w)
    y = y * scale[None, :] + shift[None, :]
    if INNER:
        y = gelu(y, PRECISION)
    y = gelu(product(y, w1_p, WIDTH, HIDDEN, PRECISION) + tl.load(b1_p + m)[None, :], PRECISION)
    y = product(y, w2_p, HIDDEN, WIDTH, PRECISION) + tl.load(b2_p + w)[None, :]
    y += h.to(tl.float32) * tl.load(gate_p + w)[None, :]
    if OUTER:
        y = gelu(y, PRECISION)
    if LAST:
        i = tl.arange(0, PROJECT)
        scale, shift = tl.load(last_scale_p + b * film_stride + w), tl.load(last_shift_p + b * film_stride + w)
        y = y * scale[None, :] + shift[None, :]
        y = gelu(product(y, p1_p, WIDTH, PROJECT, PRECISION) + tl.load(q1_p + i)[None, :], PRECISION)
        voltage = 20.0 * (tl.sum(y * tl.load(p2_p + i)[None, :], 1) + q2) - 70.0
        tl.store(out_p + b * n + row, voltage, mask=row < n)
    else:
        y = tl.where(inside, y, 0.0).to(out_p.dtype.element_ty)
        tl.store(out_p + b * n * WIDTH + row[:, None] * WIDTH + w[None, :], y, mask=inside)
        keep(coefficients(y, local_p, TILE, RANK, PRECISION), moment_p, tile, b, batch, WIDTH, RANK)
