"""The operator with gradients on CUDA devices: each layer one Triton kernel forward and one backward.

Between the kernels (:mod:`noble_prob.decoder.differentiable_parts`) stand the products that autograd knows:
coefficients of blocks to modes, modes times their matrices, and back. Only the activation between two layers is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from noble_prob.decoder.differentiable_parts import ChannelMLP, FourierLayer, FrozenModes
from noble_prob.decoder.spectral import BLOCK, frozen_pair, local_basis, mode_blocks, power

if TYPE_CHECKING:
    from noble_prob.decoder.operator import VoltageOperator

_tried: set[tuple[Any, ...]] = set()


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


def _mixed(moments: Tensor, weight: Tensor, forward: Tensor, inverse: Tensor) -> Tensor:
    """The spectral convolution from coefficients to coefficients, ``(block, rank, batch, width)``."""
    (batch, width), modes = moments.shape[2:], forward.shape[1] // 2
    spectrum = forward.T @ moments.view(-1, batch * width)
    if not weight.requires_grad:
        mixed = FrozenModes.apply(spectrum.view(-1, batch, width), frozen_pair(weight, modes))
    else:
        parts = spectrum.view(2, -1, batch, width).permute(1, 2, 0, 3).flatten(2)  # mode, batch, (part, channel)
        mixed = torch.bmm(parts, mode_blocks(weight, modes)).view(-1, batch, 2, width).permute(2, 0, 1, 3)
    return (inverse.T @ mixed.reshape(-1, batch * width)).view(moments.shape)


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
    h, moments = ChannelMLP.apply(channels.mT, nn.functional.pad(w1, (0, grown)), b1, w2, b2, local, operator.width)
    scales, shifts = _film(operator, scale, shift)
    for i, part in enumerate(operator.layers):
        wave = _mixed(moments, part.weight, forward, inverse)  # type: ignore[arg-type]
        skip = part.skip.weight[..., 0].contiguous()  # type: ignore[union-attr, index]
        last = i == len(operator.layers) - 1
        h, moments = FourierLayer.apply(h, wave, local, scales[i], shifts[i], skip, *_weights(part.mix), last)
    w1, b1, w2, b2 = _weights(operator.project)
    s, t = scales[-1], torch.addmm(b1, shifts[-1], w1.T)  # FiLM before the projection becomes part of it
    w2, b2 = nn.functional.pad(w2, (0, 0, 0, 15)), nn.functional.pad(b2, (0, 15))
    out, _ = ChannelMLP.apply(h, w1 * s[:, None], t, w2, b2, None, 1)
    return 20.0 * out[..., 0] - 70.0


def _weights(mix: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weights ``(out, in)`` and biases of a channel MLP of two layers."""
    one, two = mix.fcs
    return one.weight[..., 0].contiguous(), one.bias, two.weight[..., 0].contiguous(), two.bias
