"""The operator with gradients on CUDA devices: each layer one Triton kernel forward and one backward.

Between the kernels stand the products that autograd knows: coefficients of blocks to modes, modes times their matrices,
and back. Only the activation between two layers is kept; what a layer computes inside is computed again backward. Sums
over tiles are taken in a fixed order, so that equal inputs give equal gradients. Products are TF32 where
``torch.set_float32_matmul_precision`` allows it and three TF32 products, nearly exact, elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from noble_prob.decoder.kernels import layer, mix
from noble_prob.decoder.kernels_backward import layer_backward
from noble_prob.decoder.kernels_mlp import mlp, mlp_backward
from noble_prob.decoder.spectral import BLOCK, frozen_pair, local_basis, mode_blocks, power

if TYPE_CHECKING:
    from noble_prob.decoder.operator import VoltageOperator

SUB = 1024
"""Numbers of one activation that a backward kernel holds at once."""

PROGRAMS = 1056
"""Programs of a backward kernel that fill a large GPU: eight on each of 132 multiprocessors."""


_tried: set[tuple[Any, ...]] = set()


class _Layer(torch.autograd.Function):
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
        batch, n, width = h.shape
        tile, rank = local.shape
        precision = _precision()
        out, moments = torch.empty_like(h), torch.empty_like(wave)
        one = _ones(width, h.device)
        layer[(batch, len(wave))](
            h,
            wave,
            local,
            skip,
            w1,
            b1,
            w2,
            b2,
            one,
            scale,
            shift,
            out,
            moments,
            one,
            one,
            one,
            one,
            one,
            0.0,
            n,
            batch,
            width,
            WIDTH=width,
            HIDDEN=len(w1),
            PROJECT=16,
            INNER=True,
            OUTER=False,
            LAST=False,
            TILE=tile,
            RANK=rank,
            PER=1,
            PRECISION=precision,
            num_warps=4,
        )
        ctx.save_for_backward(h, wave, local, scale, shift, skip, w1, b1, w2)
        ctx.precision, ctx.last = precision, last
        return out, moments

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor, gm: Tensor) -> tuple[Tensor | None, ...]:
        h, wave, local, scale, shift, skip, w1, b1, w2 = ctx.saved_tensors
        (batch, n, width), hidden, blocks = h.shape, len(w1), len(wave)
        weights = any(ctx.needs_input_grad[5:10])
        parts = max(1, min(blocks, PROGRAMS // batch))
        per = -(-blocks // parts)
        dh, dwave = torch.empty_like(h), torch.empty_like(wave)
        film = h.new_empty(batch, parts, 2, width)
        sizes = [width * width, hidden * width, width * hidden, hidden, width]
        sums = h.new_empty(batch * parts if weights else 0, sum(sizes))
        layer_backward[(batch, parts)](
            h,
            wave,
            local,
            skip,
            w1,
            b1,
            w2,
            scale,
            shift,
            g.contiguous(),
            gm.contiguous(),
            dh,
            dwave,
            film,
            sums,
            n,
            batch,
            blocks,
            per,
            width,
            WIDTH=width,
            HIDDEN=hidden,
            MOMENTS=not ctx.last,
            WEIGHTS=weights,
            TILE=local.shape[0],
            SUB=SUB // max(width, hidden),
            RANK=local.shape[1],
            PRECISION=ctx.precision,
            num_warps=4,
        )
        dscale, dshift = film.sum(1).unbind(1)
        if not weights:
            return dh, dwave, None, dscale, dshift, None, None, None, None, None, None
        dskip, dw1, dw2, db1, db2 = sums.sum(0).split(sizes)
        return (dh, dwave, None, dscale, dshift, dskip.view_as(skip), dw1.view_as(w1), db1, dw2.view_as(w2), db2, None)


class _MLP(torch.autograd.Function):
    """A channel MLP of two layers, and the coefficients of its output on a local basis (empty without one)."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, local: Tensor | None, outputs: int
    ) -> tuple[Tensor, Tensor]:
        batch, n, count = x.shape
        basis = b2 if local is None else local
        tile, rank = (BLOCK, 16) if local is None else local.shape
        blocks, precision = -(-n // tile), _precision()
        out = x.new_empty(batch, n, outputs)
        moments = x.new_empty((0,) if local is None else (blocks, rank, batch, outputs))
        strides = (w1.stride(0) if w1.ndim == 3 else 0, b1.stride(0) if b1.ndim == 2 else 0)
        sizes = {
            "CHANNELS": w1.shape[-1],
            "HIDDEN": w1.shape[-2],
            "OUT": len(w2),
            "MOMENTS": local is not None,
            "TILE": tile,
            "RANK": rank,
            "PRECISION": precision,
        }
        mlp[(batch, blocks)](
            x,
            w1,
            b1,
            w2,
            b2,
            basis,
            out,
            moments,
            n,
            batch,
            *x.stride(),
            count,
            outputs,
            *strides,
            num_warps=4,
            **sizes,
        )
        ctx.save_for_backward(x, w1, b1, w2, basis)
        ctx.sizes, ctx.strides, ctx.shape = sizes, strides, (batch, n, count, outputs, blocks)
        return out, moments

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor, gm: Tensor) -> tuple[Tensor | None, ...]:
        x, w1, b1, w2, basis = ctx.saved_tensors
        batch, n, count, outputs, blocks = ctx.shape
        parts, weights = max(1, min(blocks, PROGRAMS // batch)), any(ctx.needs_input_grad[1:5])
        lengths = [w1.shape[-2] * w1.shape[-1], w2.numel(), b1.shape[-1], len(w2)]
        sums = x.new_empty(batch, parts if weights else 0, sum(lengths))
        wanted = ctx.needs_input_grad[0]
        dx = torch.empty_strided(x.shape, x.stride(), device=x.device) if wanted else g
        mlp_backward[(batch, parts)](
            x,
            w1,
            b1,
            w2,
            g.contiguous(),
            gm.contiguous(),
            basis,
            dx,
            sums,
            n,
            batch,
            blocks,
            -(-blocks // parts),
            *x.stride(),
            count,
            outputs,
            *ctx.strides,
            INPUT=wanted,
            WEIGHTS=weights,
            SUB=32,
            num_warps=4,
            **ctx.sizes,
        )
        if not weights:
            return dx if wanted else None, None, None, None, None, None, None
        dw1, dw2, db1, db2 = sums.sum(1).split(lengths, -1)
        return (
            dx if wanted else None,
            dw1.unflatten(-1, w1.shape[-2:]) if w1.ndim == 3 else dw1.sum(0).view_as(w1),
            db1 if b1.ndim == 2 else db1.sum(0),
            dw2.sum(0).view_as(w2) if ctx.needs_input_grad[3] else None,
            db2.sum(0) if ctx.needs_input_grad[4] else None,
            None,
            None,
        )


def _precision() -> str:
    """Of the kernels' products."""
    return "tf32x3" if torch.get_float32_matmul_precision() == "highest" else "tf32"


def trial(operator: VoltageOperator) -> bool:
    """Compile and run the kernels once per size and arithmetic, forward and backward, on one short trace.

    Args:
        operator: The operator.

    Raises:
        RuntimeError: Or what else compilers and drivers raise, if they do not run here.
    """
    sizes = (operator.width, *operator.layers[0].mix.fcs[0].weight.shape, len(operator.layers), operator.kept)  # type: ignore[union-attr, index]
    weights = [p for p in operator.kept_parameters() if p.requires_grad]
    key = (*sizes, torch.get_float32_matmul_precision(), bool(weights))
    if key in _tried:
        return True
    with torch.inference_mode(mode=False), torch.enable_grad():
        device = operator.lift.fcs[0].weight.device
        channels = torch.zeros(1, operator.lift.fcs[0].in_channels, 2 * BLOCK, device=device, requires_grad=True)
        film = torch.ones(2, 1, len(operator.layers) + 1, operator.width, device=device, requires_grad=True)
        torch.autograd.grad(voltage(operator, channels, *film).sum(), [channels, film, *weights], allow_unused=True)
        torch.cuda.synchronize()
    _tried.add(key)
    return True


class _FrozenModes(torch.autograd.Function):
    """Modes times their matrices, without a gradient of the matrices: one kernel each way and no copies."""

    @staticmethod
    def forward(ctx: Any, spectrum: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(weights)
        return _mix(spectrum, weights[0])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        return _mix(g.contiguous(), ctx.saved_tensors[0][1]), None


def _mix(spectrum: Tensor, weight: Tensor) -> Tensor:
    """``(2 modes, batch, width)`` by matrices ``(2, modes, width, width)``."""
    (_, batch, width), modes, out = spectrum.shape, weight.shape[1], torch.empty_like(spectrum)
    tile = 16 if batch <= 16 else 64
    mix[(modes, -(-batch // tile))](
        spectrum, weight, out, batch, modes, 1.0, WIDTH=width, TILE=tile, PRECISION=_precision(), num_warps=4
    )
    return out


def _mixed(moments: Tensor, weight: Tensor, forward: Tensor, inverse: Tensor) -> Tensor:
    """The spectral convolution from coefficients to coefficients, ``(block, rank, batch, width)``."""
    (batch, width), modes = moments.shape[2:], forward.shape[1] // 2
    spectrum = forward.T @ moments.view(-1, batch * width)
    if not weight.requires_grad:
        mixed = _FrozenModes.apply(spectrum.view(-1, batch, width), frozen_pair(weight, modes))
    else:
        parts = spectrum.view(2, -1, batch, width).permute(1, 2, 0, 3).flatten(2)  # mode, batch, (part, channel)
        mixed = torch.bmm(parts, mode_blocks(weight, modes)).view(-1, batch, 2, width).permute(2, 0, 1, 3)
    return (inverse.T @ mixed.reshape(-1, batch * width)).view(moments.shape)


@cache
def _ones(width: int, device: torch.device) -> Tensor:
    with torch.inference_mode(mode=False):
        return torch.ones(width, device=device)


def _film(operator: VoltageOperator, scale: Tensor, shift: Tensor) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """Scale and shift of every layer and of the projection, each ``(batch, width)``; shifts hold the spectral bias."""
    bias = torch.stack([part.spectral.bias.reshape(1, -1) for part in operator.layers])  # type: ignore[union-attr, operator]
    s = scale.transpose(0, 1).contiguous()
    t = torch.addcmul(shift.transpose(0, 1), s, nn.functional.pad(bias, (0, 0, 0, 0, 0, 1)))
    return s.unbind(), t.contiguous().unbind()


def voltage(
    operator: VoltageOperator, channels: Float[Tensor, "batch channel time"], scale: Tensor, shift: Tensor
) -> Float[Tensor, "batch time"]:
    """The operator's voltage (mV), differentiable once.

    Args:
        operator: The operator, in single precision; width and hidden channels are 16, 32 or 64.
        channels: Input channels.
        scale: Scale of every layer and of the projection, ``(batch, layer, width)``.
        shift: Shift likewise.
    """
    n = channels.shape[-1]
    modes = min(operator.kept, n // 2 + 1)
    local, forward, inverse = local_basis(n, modes, channels.device, torch.float32, padded=True)
    w1, b1, w2, b2 = _weights(operator.lift)
    grown = power(w1.shape[-1]) - w1.shape[-1]
    h, moments = _MLP.apply(channels.mT, nn.functional.pad(w1, (0, grown)), b1, w2, b2, local, operator.width)
    scales, shifts = _film(operator, scale, shift)
    for i, part in enumerate(operator.layers):
        wave = _mixed(moments, part.weight, forward, inverse)  # type: ignore[arg-type]
        skip = part.skip.weight[..., 0].contiguous()  # type: ignore[union-attr, index]
        last = i == len(operator.layers) - 1
        h, moments = _Layer.apply(h, wave, local, scales[i], shifts[i], skip, *_weights(part.mix), last)
    w1, b1, w2, b2 = _weights(operator.project)
    s, t = scales[-1], torch.addmm(b1, shifts[-1], w1.T)  # FiLM before the projection becomes part of it
    w2, b2 = nn.functional.pad(w2, (0, 0, 0, 15)), nn.functional.pad(b2, (0, 15))
    out, _ = _MLP.apply(h, w1 * s[:, None], t, w2, b2, None, 1)
    return 20.0 * out[..., 0] - 70.0


def _weights(mix: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weights ``(out, in)`` and biases of a channel MLP of two layers."""
    one, two = mix.fcs
    return one.weight[..., 0].contiguous(), one.bias, two.weight[..., 0].contiguous(), two.bias
