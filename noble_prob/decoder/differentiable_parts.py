"""Parts of the operator as functions of autograd: each is one Triton kernel forward and one backward.

Only what a part was given is kept; what its kernel computes inside is computed again backward. Sums over tiles are
taken in a fixed order, so that equal inputs give equal gradients. Products are TF32 where
``torch.set_float32_matmul_precision`` allows it and three TF32 products, nearly exact, elsewhere.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from noble_prob.decoder.kernels import layer, mix
from noble_prob.decoder.kernels_backward import layer_backward
from noble_prob.decoder.kernels_mlp import mlp, mlp_backward
from noble_prob.decoder.spectral import BLOCK

SUB = 1024
"""Numbers of one activation that a backward kernel holds at once."""

PROGRAMS = 1056
"""Programs of a backward kernel that fill a large GPU: eight on each of 132 multiprocessors."""

PLAIN = {"PROJECT": 16, "INNER": True, "OUTER": False, "LAST": False, "PER": 1}
"""Of the forward kernel: a GELU after the convolution and none after the residual, no projection, one tile each."""


def _share(blocks: int, batch: int) -> tuple[int, int]:
    """How many programs of a backward kernel share the tiles of one trace, and how many tiles each has."""
    parts = max(1, min(blocks, PROGRAMS // batch))
    return parts, -(-blocks // parts)


class FourierLayer(torch.autograd.Function):
    """Activation and coefficients of the convolution to the next activation and its coefficients."""

    @staticmethod
    def forward(
        ctx: Any,
        h: Tensor,
        wave: Tensor,
        local: Tensor,
        scale: Tensor,
        shift: Tensor,
        skip: Tensor,
        w1: Tensor,
        b1: Tensor,
        w2: Tensor,
        b2: Tensor,
        last: bool,
    ) -> tuple[Tensor, Tensor]:
        """One launch of ``layer``; after the ``last`` one nobody takes the coefficients."""
        batch, n, width = h.shape
        out, moments, one = torch.empty_like(h), torch.empty_like(wave), _ones(width, h.device)
        sizes = {
            "WIDTH": width,
            "HIDDEN": len(w1),
            "TILE": local.shape[0],
            "RANK": local.shape[1],
            "PRECISION": _precision(),
        }
        given = (h, wave, local, skip, w1, b1, w2, b2, one, scale, shift)
        projection = (one, one, one, one, one, 0.0)  # not used
        layer[(batch, len(wave))](*given, out, moments, *projection, n, batch, width, num_warps=4, **sizes, **PLAIN)
        ctx.save_for_backward(h, wave, local, scale, shift, skip, w1, b1, w2)
        ctx.sizes, ctx.last = sizes, last
        return out, moments

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor, gm: Tensor) -> tuple[Tensor | None, ...]:
        """One launch of ``layer_backward``; gradients of weights only where one of them is wanted."""
        h, wave, local, scale, shift, skip, w1, b1, w2 = ctx.saved_tensors
        (batch, n, width), hidden, blocks = h.shape, len(w1), len(wave)
        (parts, per), weights = _share(blocks, batch), any(ctx.needs_input_grad[5:10])
        dh, dwave = torch.empty_like(h), torch.empty_like(wave)
        film = h.new_empty(batch, parts, 2, width)
        lengths = [width * width, hidden * width, width * hidden, hidden, width]
        sums = h.new_empty(batch * parts if weights else 0, sum(lengths))
        given = (h, wave, local, skip, w1, b1, w2, scale, shift, g.contiguous(), gm.contiguous())
        results = (dh, dwave, film, sums)
        layer_backward[(batch, parts)](
            *given,
            *results,
            n,
            batch,
            blocks,
            per,
            width,
            MOMENTS=not ctx.last,
            WEIGHTS=weights,
            SUB=SUB // max(width, hidden),
            num_warps=4,
            **ctx.sizes,
        )
        dscale, dshift = film.sum(1).unbind(1)
        if not weights:
            return dh, dwave, None, dscale, dshift, None, None, None, None, None, None
        dskip, dw1, dw2, db1, db2 = sums.sum(0).split(lengths)
        return (dh, dwave, None, dscale, dshift, dskip.view_as(skip), dw1.view_as(w1), db1, dw2.view_as(w2), db2, None)


class ChannelMLP(torch.autograd.Function):
    """A channel MLP of two layers, and the coefficients of its output on a local basis (empty without one)."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, local: Tensor | None, outputs: int
    ) -> tuple[Tensor, Tensor]:
        """One launch of ``mlp``; the first layer may differ from trace to trace."""
        batch, n, count = x.shape
        basis = b2 if local is None else local
        tile, rank = (BLOCK, 16) if local is None else local.shape
        blocks = -(-n // tile)
        out = x.new_empty(batch, n, outputs)
        moments = x.new_empty((0,) if local is None else (blocks, rank, batch, outputs))
        strides = (w1.stride(0) if w1.ndim == 3 else 0, b1.stride(0) if b1.ndim == 2 else 0)
        layout = (*x.stride(), count, outputs, *strides)
        sizes = {
            "CHANNELS": w1.shape[-1],
            "HIDDEN": w1.shape[-2],
            "OUT": len(w2),
            "MOMENTS": local is not None,
            "TILE": tile,
            "RANK": rank,
            "PRECISION": _precision(),
        }
        given = (x, w1, b1, w2, b2, basis)
        mlp[(batch, blocks)](*given, out, moments, n, batch, *layout, num_warps=4, **sizes)
        ctx.save_for_backward(x, w1, b1, w2, basis)
        ctx.sizes, ctx.layout, ctx.shape = sizes, layout, (batch, n, blocks)
        return out, moments

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor, gm: Tensor) -> tuple[Tensor | None, ...]:
        """One launch of ``mlp_backward``; gradients of input and weights only where they are wanted."""
        x, w1, b1, w2, basis = ctx.saved_tensors
        batch, n, blocks = ctx.shape
        (parts, per), weights = _share(blocks, batch), any(ctx.needs_input_grad[1:5])
        lengths = [w1.shape[-2] * w1.shape[-1], w2.numel(), b1.shape[-1], len(w2)]
        sums = x.new_empty(batch, parts if weights else 0, sum(lengths))
        wanted = ctx.needs_input_grad[0]
        dx = torch.empty_strided(x.shape, x.stride(), device=x.device) if wanted else g
        tensors = (x, w1, b1, w2, g.contiguous(), gm.contiguous(), basis, dx, sums)
        mlp_backward[(batch, parts)](
            *tensors,
            n,
            batch,
            blocks,
            per,
            *ctx.layout,
            INPUT=wanted,
            WEIGHTS=weights,
            SUB=32,
            num_warps=4,
            **ctx.sizes,
        )
        if not weights:
            return dx if wanted else None, None, None, None, None, None, None
        of_w1, of_w2, of_b1, of_b2 = sums.sum(1).split(lengths, -1)
        dw1 = of_w1.unflatten(-1, w1.shape[-2:]) if w1.ndim == 3 else of_w1.sum(0).view_as(w1)
        db1 = of_b1 if b1.ndim == 2 else of_b1.sum(0)
        dw2 = of_w2.sum(0).view_as(w2) if ctx.needs_input_grad[3] else None
        db2 = of_b2.sum(0) if ctx.needs_input_grad[4] else None
        return dx if wanted else None, dw1, db1, dw2, db2, None, None


class FrozenModes(torch.autograd.Function):
    """Modes times their matrices, without a gradient of the matrices: one kernel each way and no copies."""

    @staticmethod
    def forward(ctx: Any, spectrum: Tensor, weights: Tensor) -> Tensor:
        """One launch of ``mix``; ``weights`` are the matrices and their adjoints, as ``frozen_pair`` gives them."""
        ctx.save_for_backward(weights)
        return _mix(spectrum, weights[0])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        """The same with the adjoints."""
        return _mix(g.contiguous(), ctx.saved_tensors[0][1]), None


def _mix(spectrum: Tensor, weight: Tensor) -> Tensor:
    """``(2 modes, batch, width)`` by matrices ``(2, modes, width, width)``."""
    (_, batch, width), modes, out = spectrum.shape, weight.shape[1], torch.empty_like(spectrum)
    tile = 16 if batch <= 16 else 64
    mix[(modes, -(-batch // tile))](
        spectrum, weight, out, batch, modes, 1.0, WIDTH=width, TILE=tile, PRECISION=_precision(), num_warps=4
    )
    return out


def _precision() -> str:
    """Of the kernels' products."""
    return "tf32x3" if torch.get_float32_matmul_precision() == "highest" else "tf32"


@cache
def _ones(width: int, device: torch.device) -> Tensor:
    with torch.inference_mode(mode=False):
        return torch.ones(width, device=device)
