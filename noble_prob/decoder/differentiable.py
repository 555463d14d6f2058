"""The operator with gradients on CUDA devices: each layer one Triton kernel forward and one backward.

Between the kernels stand the products that autograd knows: coefficients of blocks to modes, modes times their matrices,
and back. Only the activation between two layers is kept; what a layer computes inside is computed again backward. Sums
over tiles are taken in a fixed order, so that equal inputs give equal gradients. Products are TF32 where
``torch.set_float32_matmul_precision`` allows it and three TF32 products, nearly exact, elsewhere.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from noble_prob.decoder.fused import power
from noble_prob.decoder.kernels import layer
from noble_prob.decoder.kernels_backward import layer_backward
from noble_prob.decoder.spectral import BLOCK, local_basis, mode_blocks

if TYPE_CHECKING:
    from noble_prob.decoder.operator import VoltageOperator

SUB = 1024
"""Numbers of one activation that a backward kernel holds at once."""

PROGRAMS = 1056
"""Programs of a backward kernel that fill a large GPU: eight on each of 132 multiprocessors."""


class _Layer(torch.autograd.Function):
    """Activation and coefficients of the convolution to the next activation and its coefficients."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, wave: Tensor, local: Tensor, scale: Tensor, shift: Tensor, skip: Tensor,
                w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, last: bool) -> tuple[Tensor, Tensor]:  # fmt: skip
        batch, n, width = h.shape
        tile, rank = local.shape
        precision = "tf32x3" if torch.get_float32_matmul_precision() == "highest" else "tf32"
        out, moments = torch.empty_like(h), torch.empty_like(wave)
        one = torch.ones_like(b2)
        layer[(batch, len(wave))](
            h, wave, local, skip, w1, b1, w2, b2, one, scale, shift, out, moments, one, one, one, one, one, 0.0,
            n, batch, width, WIDTH=width, HIDDEN=len(w1), PROJECT=16, INNER=True, OUTER=False, LAST=False, TILE=tile,
            RANK=rank, PRECISION=precision, num_warps=4,
        )  # fmt: skip
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
            h, wave, local, skip, w1, b1, w2, scale, shift, g.contiguous(), gm.contiguous(), dh, dwave, film, sums,
            n, batch, blocks, per, width, WIDTH=width, HIDDEN=hidden, MOMENTS=not ctx.last, WEIGHTS=weights,
            TILE=local.shape[0], SUB=SUB // max(width, hidden), RANK=local.shape[1], PRECISION=ctx.precision,
            num_warps=4,
        )  # fmt: skip
        dscale, dshift = film.sum(1).unbind(1)
        if not weights:
            return dh, dwave, None, dscale, dshift, None, None, None, None, None, None
        dskip, dw1, dw2, db1, db2 = sums.sum(0).split(sizes)
        return (dh, dwave, None, dscale, dshift, dskip.view_as(skip), dw1.view_as(w1), db1, dw2.view_as(w2), db2,
                None)  # fmt: skip


@cache
def trial(width: int, hidden: int, _precision: str) -> bool:
    """Compile and run both kernels once on one small trace.

    Args:
        width: Channels of a layer.
        hidden: Hidden channels of the channel MLP.
        _precision: As of ``torch.set_float32_matmul_precision``; each has kernels of its own.

    Raises:
        RuntimeError: Or what else compilers and drivers raise, if they do not run here.
    """
    with torch.inference_mode(mode=False), torch.enable_grad():

        def some(*shape: int) -> Tensor:
            return torch.zeros(shape, device="cuda", requires_grad=True)

        local = _padded_basis(BLOCK, 2, torch.device("cuda"))[0]
        weights = some(width, width), some(hidden, width), some(hidden), some(width, hidden), some(width)
        film = some(1, width), some(1, width)
        wave = some(1, local.shape[1], 1, width)
        out, moments = _Layer.apply(some(1, BLOCK, width), wave, local, *film, *weights, False)
        (out.sum() + moments.sum()).backward()
        torch.cuda.synchronize()
    return True


def _mixed(moments: Tensor, blocks: Tensor, forward: Tensor, inverse: Tensor) -> Tensor:
    """The spectral convolution from coefficients to coefficients, ``(block, rank, batch, width)``."""
    batch, width = moments.shape[2:]
    spectrum = (forward.T @ moments.view(-1, batch * width)).view(2, -1, batch, width)
    parts = spectrum.permute(1, 2, 0, 3).flatten(2)  # mode, batch, (part, channel)
    mixed = torch.bmm(parts, blocks).view(-1, batch, 2, width).permute(2, 0, 1, 3).reshape(-1, batch * width)
    return (inverse.T @ mixed).view(moments.shape)


def _padded_basis(n: int, modes: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """The truncated transform with as many coefficients per block as a kernel takes."""
    local, forward, inverse = local_basis(n, modes, device, torch.float32)
    used = local.shape[1]
    grown = power(used) - used
    forward = nn.functional.pad(forward.unflatten(0, (-1, used)), (0, 0, 0, grown)).flatten(0, 1)
    inverse = nn.functional.pad(inverse.unflatten(1, (-1, used)), (0, grown)).flatten(1)
    return nn.functional.pad(local, (0, grown)), forward, inverse


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
    local, forward, inverse = _padded_basis(n, min(operator.kept, n // 2 + 1), channels.device)
    first, second = (conv.weight[..., 0] for conv in operator.lift.fcs)
    h = nn.functional.gelu(nn.functional.linear(channels.mT, first, operator.lift.fcs[0].bias))
    h = nn.functional.linear(h, second, operator.lift.fcs[1].bias).contiguous()
    tiles = nn.functional.pad(h, (0, 0, 0, -n % BLOCK)).unflatten(1, (-1, BLOCK))
    moments = (local.T @ tiles).permute(1, 2, 0, 3).contiguous()
    for i, part in enumerate(operator.layers):
        modes = mode_blocks(part.weight, forward.shape[1] // 2)  # type: ignore[arg-type]
        wave = _mixed(moments, modes, forward, inverse)
        s = scale[:, i].contiguous()
        t = torch.addcmul(shift[:, i], s, part.spectral.bias.reshape(-1))  # type: ignore[union-attr, operator]
        one, two = part.mix.fcs  # type: ignore[union-attr, misc]
        h, moments = _Layer.apply(h, wave, local, s, t.contiguous(), part.skip.weight[..., 0].contiguous(),  # type: ignore[union-attr, index]
                                  one.weight[..., 0].contiguous(), one.bias, two.weight[..., 0].contiguous(), two.bias,
                                  i == len(operator.layers) - 1)  # fmt: skip
    h = torch.addcmul(shift[:, -1:], scale[:, -1:], h)
    first, second = (conv.weight[..., 0] for conv in operator.project.fcs)
    hidden = nn.functional.gelu(nn.functional.linear(h, first, operator.project.fcs[0].bias))
    return 20.0 * nn.functional.linear(hidden, second, operator.project.fcs[1].bias)[..., 0] - 70.0
