"""Products and the GELU of the Triton kernels, by the precision of the numbers they work on.

``PRECISION`` is one of

``tf32x3``
    single precision to rounding: three TF32 products for one, ``erf``;
``tf32``
    TF32 products or half precision in memory, a polynomial for the normal distribution function;
``half``
    the same products, the whole GELU two numbers at a time in half precision.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import os

import triton
import triton.language as tl

INTERPRETED = tl.constexpr(os.environ.get("TRITON_INTERPRET", "0") == "1")
"""The interpreter knows no assembly: what is written in it has a second form for tests."""


@triton.jit
def dot(a, b, acc, PRECISION: tl.constexpr):
    """``acc + a @ b``; operands in single precision are rounded to nearest where products are TF32."""
    PRODUCTS: tl.constexpr = "tf32x3" if PRECISION == "tf32x3" else "tf32"
    return tl.dot(near(a, PRECISION), near(b, PRECISION), acc, input_precision=PRODUCTS)


@triton.jit
def near(x, PRECISION: tl.constexpr):
    """Round single precision to the nearest TF32 where products are in TF32."""
    if PRECISION != "tf32x3" and x.dtype == tl.float32:
        x = ((x.to(tl.int32, bitcast=True) + 0x1000) & -0x2000).to(tl.float32, bitcast=True)
    return x


@triton.jit
def matrix(w_p, N_IN: tl.constexpr, N_OUT: tl.constexpr):
    """A weight ``(out, in)`` in memory as the right factor ``(in, out)`` of a product."""
    i, o = tl.arange(0, N_IN), tl.arange(0, N_OUT)
    return tl.load(w_p + o[None, :] * N_IN + i[:, None])


@triton.jit
def product(x, w_p, N_IN: tl.constexpr, N_OUT: tl.constexpr, PRECISION: tl.constexpr):
    """``x @ w.T`` for a weight ``(out, in)`` in memory, in the weight's precision."""
    w = matrix(w_p, N_IN, N_OUT)
    return dot(x.to(w.dtype), w, None, PRECISION)


@triton.jit
def normal(x, PRECISION: tl.constexpr):
    """Distribution function of the standard normal, to 1e-5 where products are no better.

    An odd polynomial, 1/2 at the ends of [-4.4, 4.4] and constant beyond, takes half the instructions of ``erf``.
    """
    if PRECISION == "tf32x3":
        phi = 0.5 * (1.0 + tl.erf(x * 0.7071067811865476))
    else:
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
    return phi


@triton.jit
def gelu(x, PRECISION: tl.constexpr):
    """The GELU by its definition; ``half`` answers in half precision, to 3e-5 before rounding."""
    if PRECISION == "half":  # noqa: SIM108 - one branch is compiled
        y = _gelu_of_halves(x.to(tl.float16))
    else:
        y = x * normal(x, PRECISION)
    return y


@triton.jit
def _gelu_of_halves(x):
    """The GELU of half precision in half precision: eight instructions for two numbers."""
    if INTERPRETED:
        q = tl.minimum(x * x, 16.0)
        p = (-0.00035381317138671875 * q + 0.037078857421875).to(tl.float16)
        p = ((p * q + 0.79736328125).to(tl.float16) * x).to(tl.float32)
        half = x * 0.5
        y = half + half * (1.0 - 2.0 / (1.0 + tl.exp(2.0 * p))).to(tl.float16)
    else:
        y = tl.inline_asm_elementwise(
            """
            {
            .reg .b32 q, p, c;
            mov.b32 c, 0x4c004c00;
            mul.rn.f16x2 q, $1, $1;
            min.f16x2 q, q, c;
            mov.b32 c, 0x8dcc8dcc;
            mov.b32 p, 0x28bf28bf;
            fma.rn.f16x2 p, q, c, p;
            mov.b32 c, 0x3a613a61;
            fma.rn.f16x2 p, p, q, c;
            mul.rn.f16x2 p, p, $1;
            tanh.approx.f16x2 p, p;
            mov.b32 c, 0x38003800;
            mul.rn.f16x2 q, $1, c;
            fma.rn.f16x2 $0, q, p, q;
            }
            """,
            "=r,r",
            [x],
            dtype=tl.float16,
            is_pure=True,
            pack=2,
        )
    return y
