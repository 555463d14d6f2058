"""The fused path: an operator as one Triton kernel and two matrix products per layer, inference only.

Storage in half precision with single-precision accumulation is the default: weights and spectra are scaled so that
nothing under- or overflows. The error against float64 is a property of the weights; ``noble-prob bench`` states it.
Gradients take :mod:`noble_prob.decoder.differentiable`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from noble_prob.decoder import kernels
from noble_prob.decoder.spectral import local_basis, power

if TYPE_CHECKING:
    from collections.abc import Iterator

FORWARD_SCALE = 64.0
"""The forward transform is stored as cosines over 64: sums of 8,192 samples stay inside half precision."""

MANY_TILES = 8192
"""Programs that fill a large GPU many times over; fewer take one tile each."""


def pad(x: Tensor, *sizes: int) -> Tensor:
    """Zeros behind every axis."""
    out = x.new_zeros(sizes)
    out[tuple(slice(0, s) for s in x.shape)] = x
    return out


@contextmanager
def _tf32(allowed: bool) -> Iterator[None]:
    """Matrix products of single precision on tensor cores, or not."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One Fourier layer, ``h <- outer(gate * h + mix(inner(scale * (K h + skip h) + shift)))``.

    Attributes:
        spectral: Complex matrices of the kept modes.
        skip: ``(out, in)``.
        mix: Channel MLP of two layers.
        gate: Weight of the residual per channel; 1 if None.
        inner: GELU after the convolution.
        outer: GELU after the residual.
    """

    spectral: Complex[Tensor, "channel out mode"]
    skip: Tensor
    mix: nn.Module
    gate: Tensor | None = None
    inner: bool = True
    outer: bool = False


@dataclass(frozen=True, kw_only=True)
class _Layer:
    weight: Tensor
    skip: Tensor
    mix: tuple[Tensor, Tensor, Tensor, Tensor]
    gate: Tensor
    inner: bool
    outer: bool


class FusedStack:
    """A snapshot of an operator's weights laid out for the kernels.

    Args:
        lift: Channel MLP from input channels to ``width``.
        layers: The Fourier layers.
        project: Channel MLP from ``width`` to one channel, in units of 20 mV about -70 mV.
        width: Channels of a layer.
        modes: Modes kept.
        n: Samples of a trace.
        dtype: Storage of weights and activations: float16, bfloat16 or float32.
        precision: Of products in single precision: ``tf32`` or ``tf32x3`` (three products, nearly exact).
        tile: Samples per program.
        warps: Warps per program.
        per: Tiles that a program of a layer takes one after the other, in large batches.
        gelu: How half precision computes it: ``half`` by the hardware's tanh of halves, ``polynomial`` in single
            precision by a polynomial of the normal distribution function.
    """

    def __init__(
        self,
        *,
        lift: nn.Module,
        layers: Sequence[Weights],
        project: nn.Module,
        width: int,
        modes: int,
        n: int,
        dtype: torch.dtype = torch.float16,
        precision: str = "tf32",
        tile: int = 128,
        warps: int = 4,
        per: int = 1,
        gelu: Literal["half", "polynomial"] = "half",
    ):
        self.device = layers[0].skip.device
        self.n, self.dtype, self.tile, self.warps, self.per = n, dtype, tile, warps, per
        in_halves = dtype == torch.float16 and precision == "tf32" and gelu == "half"
        self.precision = "half" if in_halves else precision
        self.width, self.modes = power(width), min(modes, n // 2 + 1)
        self.rows, self.blocks = -(-2 * self.modes // 8) * 8, -(-n // tile)
        local, forward, inverse = local_basis(n, self.modes, self.device, torch.float32, block=tile)
        used, self.rank = local.shape[1], power(local.shape[1])
        forward = pad(forward.T.unflatten(1, (-1, used)), 2 * self.modes, self.blocks, self.rank).flatten(1)
        inverse = pad(inverse.unflatten(1, (-1, used)), 2 * self.modes, self.blocks, self.rank).flatten(1)
        coefficients = self.blocks * self.rank
        self.local = pad(local, tile, self.rank).to(dtype)
        self.forward = pad(forward * (n / FORWARD_SCALE), self.rows, coefficients).to(dtype)
        self.inverse = pad(inverse.T, coefficients, self.rows).to(dtype)
        self.channels = power(lift.fcs[0].in_channels)  # type: ignore[index, union-attr]
        self.lift = self._two(lift, self.channels, self.width)
        self.layers = [self._layer(layer) for layer in layers]
        self.project = self._two(project, self.width, 1)
        self._project_last = self.project[2].float().reshape(-1)
        self._last_bias = float(self.project[3])

    def _two(self, mix: nn.Module, n_in: int, out: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Weights ``(out, in)`` and biases of a channel MLP of two layers, padded."""
        first, second = mix.fcs  # type: ignore[misc]
        hidden = power(first.out_channels)
        w1, w2 = first.weight[..., 0].detach(), second.weight[..., 0].detach()
        return (
            pad(w1, hidden, n_in).to(self.dtype),
            pad(first.bias.detach().float(), hidden),
            pad(w2, out, hidden).to(self.dtype),
            pad(second.bias.detach().float(), out),
        )

    def _layer(self, layer: Weights) -> _Layer:
        w = self.width
        parts = torch.view_as_real(layer.spectral.detach().resolve_conj())[:, :, : self.modes].permute(3, 2, 0, 1)
        gate = torch.ones(w, device=self.device) if layer.gate is None else pad(layer.gate.detach().float(), w)
        return _Layer(
            weight=pad(parts, 2, self.modes, w, w).to(self.dtype),
            skip=pad(layer.skip.detach(), w, w).to(self.dtype),
            mix=self._two(layer.mix, w, w),
            gate=gate,
            inner=layer.inner,
            outer=layer.outer,
        )

    def render(
        self, h: Tensor, moments: Tensor, scale: Float[Tensor, "batch layer width"], shift: Tensor
    ) -> Float[Tensor, "batch time"]:
        """Voltage (mV) from the first activation, which is overwritten.

        Args:
            h: First activation, ``(batch, n, width)``.
            moments: Its coefficients, ``(blocks, rank, batch, width)``.
            scale: Of every layer and of the projection; one row serves all traces.
            shift: As ``scale``.
        """
        batch = len(h)
        mixed = h.new_zeros(self.rows, batch * self.width)
        with _tf32(self.precision != "tf32x3"):
            for i, layer in enumerate(self.layers):
                self._mix(self.forward @ moments.view(-1, batch * self.width), layer, mixed, batch)
                h = self._finish(h, self.inverse @ mixed, moments, layer, scale, shift, i)
        return h

    def first(
        self, kernel: Any, batch: int, before: tuple[Any, ...], after: tuple[Any, ...], **sizes: int
    ) -> tuple[Tensor, Tensor]:
        """The first activation and its coefficients by one of the kernels that lift.

        Args:
            kernel: The kernel.
            batch: Traces.
            before: Its arguments before the weights.
            after: Those after the sizes of the batch.
            sizes: Its compile-time sizes beside the common ones.
        """
        h = torch.empty(batch, self.n, self.width, dtype=self.dtype, device=self.device)
        moments = h.new_empty(self.blocks, self.rank, batch, self.width)
        kernel[(batch, self.blocks)](
            *before,
            *self.lift,
            self.local,
            h,
            moments,
            self.n,
            batch,
            *after,
            HIDDEN=len(self.lift[0]),
            **self._common,
            **sizes,
        )
        return h, moments

    @property
    def _common(self) -> dict[str, Any]:
        """Compile-time sizes and options of every kernel that works tile by tile."""
        return {
            "WIDTH": self.width,
            "TILE": self.tile,
            "RANK": self.rank,
            "PRECISION": self.precision,
            "num_warps": self.warps,
        }

    def _mix(self, spectrum: Tensor, layer: _Layer, out: Tensor, batch: int) -> None:
        tile = 16 if batch <= 16 else 64
        kernels.mix[(self.modes, -(-batch // tile))](
            spectrum,
            layer.weight,
            out,
            batch,
            self.modes,
            FORWARD_SCALE / self.n,
            WIDTH=self.width,
            TILE=tile,
            PRECISION=self.precision,
            num_warps=4,
        )

    def _finish(
        self, h: Tensor, wave: Tensor, moments: Tensor, layer: _Layer, scale: Tensor, shift: Tensor, i: int
    ) -> Tensor:
        """The rest of layer ``i``; the activation is replaced in place, the last layer gives the voltage."""
        last, batch = i == len(self.layers) - 1, len(h)
        out = torch.empty(h.shape[:2], device=h.device) if last else h
        p1, q1 = self.project[:2]
        stride = scale.stride(0) if len(scale) > 1 else 0
        per = self.per if self.blocks % self.per == 0 and batch * self.blocks >= MANY_TILES * self.per else 1
        own = (layer.skip, *layer.mix, layer.gate, scale[:, i], shift[:, i])
        projection = (scale[:, -1], shift[:, -1], p1, q1, self._project_last, self._last_bias)
        kernels.layer[(batch, self.blocks // per)](
            h,
            wave,
            self.local,
            *own,
            out,
            moments,
            *projection,
            self.n,
            batch,
            stride,
            HIDDEN=len(layer.mix[0]),
            PROJECT=len(p1),
            INNER=layer.inner,
            OUTER=layer.outer,
            LAST=last,
            PER=per,
            **self._common,
        )
        return out
