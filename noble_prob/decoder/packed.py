"""The decoder's operator on CPUs, inference only: channels last, every product one call of oneDNN.

A layer of the plain fast path reads and writes its activation some ten times. Here activations are ``(time, channel)``,
so that every pointwise product is a linear layer which oneDNN ends with its GELU or its residual while the result is
still in cache; scale and shift of FiLM are folded into that trace's weights, and traces are rendered one by one, which
keeps them in cache. The function is the same to rounding.

oneDNN's fused linear layer is reached through the operator that ``torch.compile`` emits for it; where a build of torch
lacks it, plain ``linear`` and GELU do the same more slowly.
"""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from noble_prob.decoder.spectral import Basis, local_basis, mix_modes, mode_blocks

if TYPE_CHECKING:
    from noble_prob.decoder.operator import FourierLayer, VoltageOperator

_log = logging.getLogger(__name__)


@cache
def has_onednn() -> bool:
    """Whether this build of torch has oneDNN's fused linear layer; says so once if not."""
    found = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    if not found:
        _log.info("this build of torch has no oneDNN; matrix products on the CPU are not fused")
    return found


@cache
def _workers(threads: int, process: int) -> ThreadPoolExecutor:  # a forked process needs its own
    """Threads that render a trace each with one core: no barrier within a trace, on a busy machine too."""
    pool = ThreadPoolExecutor(threads, f"render-{process}", initializer=torch.set_num_threads, initargs=(1,))
    started = Barrier(threads)
    list(pool.map(lambda _: started.wait(), range(threads)))  # all are set up
    torch.set_num_threads(threads)  # what this process's other threads use is as before
    return pool


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, gelu: bool = False) -> Tensor:
    """``x @ weight.T + bias``, with the exact (erf) GELU if asked for."""
    if has_onednn():
        end, form = ("gelu", "none") if gelu else ("none", "")
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, end, [], form)
    out = nn.functional.linear(x, weight, bias)
    return nn.functional.gelu(out) if gelu else out


def linear_plus(x: Tensor, other: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``x @ weight.T + bias + other``."""
    if has_onednn():
        return torch.ops.mkldnn._linear_pointwise.binary(x, other, weight, bias, "add")
    return nn.functional.linear(x, weight, bias).add_(other)


class _Pair(NamedTuple):
    """Two linear layers with a GELU between them."""

    w1: Tensor
    b1: Tensor
    w2: Tensor
    b2: Tensor


class _Layer(NamedTuple):
    blocks: Tensor
    skip: Tensor
    bias: Tensor
    mix: _Pair


def _pair(mix: nn.Module) -> _Pair:
    first, second = mix.fcs  # type: ignore[misc]
    return _Pair(
        *(x.detach().contiguous() for x in (first.weight[..., 0], first.bias, second.weight[..., 0], second.bias))
    )


class PackedOperator:
    """A snapshot of a :class:`~noble_prob.decoder.operator.VoltageOperator` on the CPU in single precision.

    Args:
        operator: Whose weights are copied.
    """

    def __init__(self, operator: VoltageOperator):
        self.film, self.width, self.modes = operator.film, operator.width, operator.kept
        self.lift, self.project = _pair(operator.lift), _pair(operator.project)
        self.layers = [self._layer(layer) for layer in operator.layers]  # type: ignore[arg-type]

    def _layer(self, layer: FourierLayer) -> _Layer:
        blocks = mode_blocks(layer.weight.detach(), layer.weight.shape[-1])
        skip = layer.skip.weight[..., 0].detach().contiguous()
        return _Layer(blocks=blocks, skip=skip, bias=layer.spectral.bias.detach().reshape(-1), mix=_pair(layer.mix))

    @torch.no_grad()
    def __call__(
        self, channels: Float[Tensor, "batch channel time"], condition: Float[Tensor, "batch condition"]
    ) -> Float[Tensor, "batch time"]:
        """Voltage (mV); arguments as of ``VoltageOperator.forward``."""
        film = self.film(condition).unflatten(-1, (len(self.layers) + 1, 2, self.width))
        scale, shift = 1 + film[:, :, 0], film[:, :, 1]
        n = channels.shape[-1]
        local, forward, inverse = local_basis(n, min(self.modes, n // 2 + 1), channels.device, channels.dtype)
        basis = Basis(local, forward.T.contiguous(), inverse.T.contiguous())
        out = channels.new_empty(len(channels), n)
        inference = torch.is_inference_mode_enabled()

        def render(b: int) -> None:
            with torch.inference_mode(inference), torch.no_grad():
                out[b] = self._render(channels[b], basis, scale[b], shift[b])

        list(_workers(torch.get_num_threads(), os.getpid()).map(render, range(len(channels))))
        return out

    def _render(self, channels: Tensor, basis: Basis, scale: Tensor, shift: Tensor) -> Float[Tensor, " time"]:
        """Voltage of one trace; its activations, 1 MB each, stay in cache."""
        n = channels.shape[-1]
        x = nn.functional.pad(channels, (0, -n % len(basis.local))).T.contiguous()
        h = linear(linear(x, *self.lift[:2], gelu=True), *self.lift[2:])
        for i, layer in enumerate(self.layers):
            h[n:] = 0
            h = self._step(h, layer, basis, scale[i], shift[i])
        w1, b1, w2, b2 = self.project
        hidden = linear(h[:n], w1 * scale[-1], torch.addmv(b1, w1, shift[-1]), gelu=True)
        return torch.addmv(20 * b2 - 70, hidden, w2[0], alpha=20)

    def _step(self, h: Tensor, layer: _Layer, basis: Basis, scale: Tensor, shift: Tensor) -> Tensor:
        """One layer; ``h`` is ``(time, width)``, scale and shift ``(width,)``."""
        k = linear(h, layer.skip * scale[:, None], shift + scale * layer.bias)
        tiles = k.view(-1, len(basis.local), self.width)
        tiles.baddbmm_(basis.local.expand(len(tiles), -1, -1), self._convolve(h, layer.blocks, basis, scale))
        torch.ops.aten.gelu_(k)
        return linear_plus(linear(k, layer.mix.w1, layer.mix.b1, gelu=True), h, layer.mix.w2, layer.mix.b2)

    def _convolve(self, h: Tensor, blocks: Tensor, basis: Basis, scale: Tensor) -> Float[Tensor, "block rank width"]:
        """The scaled spectral convolution, as coefficients of every block of samples."""
        size, rank = basis.local.shape
        tiles = h.view(-1, size, self.width)
        coefficients = torch.bmm(basis.local.T.expand(len(tiles), -1, -1), tiles)
        spectrum = linear(coefficients.view(-1, self.width).T.contiguous(), basis.forward)
        mixed = mix_modes(spectrum[None], blocks[: spectrum.shape[-1] // 2])[0] * scale[:, None]
        return linear(mixed, basis.inverse).T.reshape(-1, rank, self.width)
