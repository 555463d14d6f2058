"""Voltages in float64 on the CPU, which errors are measured against."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from noble_prob.bench.timing import load


def exact_voltage(cell: str, latents: Tensor, current_pa: Tensor) -> Float[Tensor, "batch time"]:
    """The decoder's voltage (mV)."""
    exact = load(cell).double()
    exact.path = "products"
    with torch.no_grad():
        return exact.respond(latents.double().cpu(), current_pa.double().cpu())


@torch.no_grad()
def exact_fno(operator: Any, x: Float[Tensor, "batch channel time"]) -> Float[Tensor, "batch time"]:
    """The paper's operator by the whole FFT, in units of 20 mV about -70 mV.

    Args:
        operator: ``neuralop.models.FNO`` in one dimension, in single precision.
        x: Channels without the grid.
    """

    def two(mix: Any, v: Tensor) -> Tensor:
        first, second = mix.fcs
        return (
            _product(second.weight, nn.functional.gelu(_product(first.weight, v) + first.bias.double()[:, None]))
            + second.bias.double()[:, None]
        )

    blocks, n = operator.fno_blocks, x.shape[-1]
    h = two(operator.lifting, operator.positional_embedding(x).double())
    for i in range(operator.n_layers):
        weight = blocks.convs[i].weight.tensor.to(torch.complex128)
        modes = weight.shape[-1]
        spectrum = torch.zeros(len(h), h.shape[1], n // 2 + 1, dtype=torch.complex128)
        spectrum[..., :modes] = torch.einsum("bim,iom->bom", torch.fft.rfft(h, norm="forward")[..., :modes], weight)
        k = torch.fft.irfft(spectrum, n=n, norm="forward") + blocks.convs[i].bias.double()
        k = k + _product(blocks.fno_skips[i].conv.weight, h)
        inner = i < operator.n_layers - 1
        k = two(blocks.channel_mlp[i], nn.functional.gelu(k) if inner else k)
        h = k + blocks.channel_mlp_skips[i].weight.double() * h
        h = nn.functional.gelu(h) if inner else h
    return two(operator.projection, h)[:, 0]


def _product(weight: Tensor, v: Tensor) -> Tensor:
    return torch.einsum("oi,bit->bot", weight[..., 0].double(), v)
