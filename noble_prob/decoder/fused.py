"""The fused path: the decoder's operator as Triton kernels and one matrix product per layer, inference only.

Storage in half precision with single-precision accumulation is the default: weights and spectra are scaled so that
nothing under- or overflows. The error against float64 is a property of the weights; ``noble-prob bench`` states it.
Gradients take the plain fast path, which is the same function.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.decoder import kernels
from noble_prob.decoder.embedding import SINCE_MS, STEP_MS, UNTIL_MS
from noble_prob.decoder.spectral import local_basis

if TYPE_CHECKING:
    from noble_prob.decoder.operator import FourierLayer, VoltageOperator

FORWARD_SCALE = 64.0
"""The forward transform is stored as cosines over 64: sums of 8,192 samples stay inside half precision."""


def _power(n: int) -> int:
    return max(16, 1 << (n - 1).bit_length())


def _pad(x: Tensor, *sizes: int) -> Tensor:
    out = x.new_zeros(sizes)
    out[tuple(slice(0, s) for s in x.shape)] = x
    return out


@dataclass(frozen=True, kw_only=True)
class _Layer:
    weight: Tensor
    skip: Tensor
    w1: Tensor
    b1: Tensor
    w2: Tensor
    b2: Tensor


class FusedOperator:
    """A snapshot of a :class:`~noble_prob.decoder.operator.VoltageOperator` laid out for the kernels.

    Args:
        operator: The operator, on the device the kernels run on.
        at_ms: Sample times (ms after onset), evenly spaced.
        duration_ms: Length of the step (ms).
        dtype: Storage of weights and activations: float16, bfloat16 or float32 (products in TF32).
        tile: Samples per program.
        warps: Warps per program.
        exact: Products of float32 in full precision instead of TF32.
    """

    def __init__(
        self, operator: VoltageOperator, at_ms: Float[Tensor, " time"], *, duration_ms: float,
        dtype: torch.dtype = torch.float16, tile: int = 128, warps: int = 4, exact: bool = False,
    ):  # fmt: skip
        device = next(operator.parameters()).device
        self.operator, self.duration_ms, self.dtype, self.tile = operator, duration_ms, dtype, tile
        self.warps, self.precision = warps, "ieee" if exact else "tf32"
        self.at, self.n = at_ms.to(device, torch.float32).contiguous(), len(at_ms)
        self.width = _power(operator.width)
        self.modes = min(operator.kept, self.n // 2 + 1)
        self.rows, self.blocks = -(-2 * self.modes // 8) * 8, -(-self.n // tile)
        local, forward, inverse = local_basis(self.n, self.modes, device, torch.float32, block=tile)
        used, self.rank = local.shape[1], _power(local.shape[1])
        forward = _pad(forward.T.unflatten(1, (-1, used)), 2 * self.modes, self.blocks, self.rank).flatten(1)
        inverse = _pad(inverse.unflatten(1, (-1, used)), 2 * self.modes, self.blocks, self.rank).flatten(1)
        coefficients = self.blocks * self.rank
        self.local = _pad(local, tile, self.rank).to(dtype)
        self.forward = _pad(forward * (self.n / FORWARD_SCALE), self.rows, coefficients).to(dtype)
        self.inverse = _pad(inverse.T, coefficients, self.rows).to(dtype)
        rates = [1.0, *(1 / x for x in STEP_MS + STEP_MS), *[1.0] * 4, *(1 / x for x in SINCE_MS + UNTIL_MS)]
        self.rate = _pad(torch.tensor(rates, device=device), 32)
        self.lift = self._two(operator.lift, 32, 2 * self.width, self.width)
        self.layers = [self._layer(layer) for layer in operator.layers]  # type: ignore[arg-type]
        self.project = self._two(operator.project, self.width, _power(2 * operator.width), 1)
        self._last_bias = float(self.project[3])

    def _two(self, mix: torch.nn.Module, n_in: int, hidden: int, out: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Weights (input before output) and biases of a channel MLP of two layers, padded."""
        first, second = mix.fcs  # type: ignore[misc]
        w1, w2 = first.weight[..., 0].T.float(), second.weight[..., 0].T.float()
        return (_pad(w1, n_in, hidden).to(self.dtype), _pad(first.bias.float(), hidden),
                _pad(w2, hidden, out).to(self.dtype), _pad(second.bias.float(), out))  # fmt: skip

    def _layer(self, layer: FourierLayer) -> _Layer:
        w = self.width
        parts = torch.view_as_real(layer.weight.detach().resolve_conj())[:, :, : self.modes].permute(3, 2, 0, 1).float()
        w1, b1, w2, b2 = self._two(layer.mix, w, _power(layer.mix.fcs[0].out_channels), w)
        skip = _pad(layer.skip.weight[..., 0].T.float(), w, w).to(self.dtype)
        weight = _pad(parts, 2, self.modes, w, w).to(self.dtype)
        return _Layer(weight=weight, skip=skip, w1=w1, b1=b1, w2=w2, b2=b2)

    @torch.no_grad()
    def __call__(
        self,
        times_ms: Float[Tensor, "batch spike"],
        happens: Float[Tensor, "batch spike"],
        current_pa: Float[Tensor, " batch"],
        condition: Float[Tensor, "batch condition"],
    ) -> Float[Tensor, "batch time"]:
        """Voltage (mV) from spike times; see ``firing_channels`` and ``VoltageOperator.forward`` for the arguments."""
        scale, shift = self._film(condition)
        h, moments = self._lift(times_ms, happens, current_pa)
        batch = len(h)
        mixed = h.new_zeros(self.rows, batch * self.width)
        for i, layer in enumerate(self.layers):
            self._mix(self.forward @ moments.view(-1, batch * self.width), layer, mixed, batch)
            h = self._finish(h, self.inverse @ mixed, moments, layer, scale, shift, i)
        return h

    def _film(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift, each ``(batch, layer, width)`` in float32; the spectral bias is part of the shift."""
        op = self.operator
        film = op.film(condition).float().unflatten(-1, (len(op.layers) + 1, 2, op.width))
        scale, shift = 1 + film[:, :, 0], film[:, :, 1]
        bias = torch.stack([layer.spectral.bias.reshape(-1) for layer in op.layers])  # type: ignore[union-attr, operator]
        bias = torch.cat([bias, torch.zeros_like(bias[:1])])
        shift = shift + scale * bias
        grown = (0, self.width - op.width)
        return torch.nn.functional.pad(scale, grown).contiguous(), torch.nn.functional.pad(shift, grown).contiguous()

    def _lift(self, times_ms: Tensor, happens: Tensor, current_pa: Tensor) -> tuple[Tensor, Tensor]:
        batch, spikes = times_ms.shape
        size = _power(spikes)
        stamps = [
            torch.nn.functional.pad(x.float(), (0, size - spikes), value=torch.inf).contiguous()
            for x in (times_ms, happens)
        ]
        h = times_ms.new_empty(batch, self.n, self.width, dtype=self.dtype)
        moments = h.new_empty(self.blocks, self.rank, batch, self.width)
        w1, b1, w2, b2 = self.lift
        kernels.lift[(batch, self.blocks)](
            *stamps, current_pa.float().contiguous(), self.at, self.rate, w1, b1, w2, b2, self.local, h, moments,
            self.n, batch, float(self.duration_ms), SPIKES=size, WIDTH=self.width, HIDDEN=w1.shape[1], TILE=self.tile,
            RANK=self.rank, PRECISION=self.precision, num_warps=self.warps,
        )  # fmt: skip
        return h, moments

    def _mix(self, spectrum: Tensor, layer: _Layer, out: Tensor, batch: int) -> None:
        tile = 16 if batch <= 16 else 64
        kernels.mix[(self.modes, -(-batch // tile))](
            spectrum, layer.weight, out, batch, self.modes, FORWARD_SCALE / self.n,
            WIDTH=self.width, TILE=tile, PRECISION=self.precision, num_warps=4,
        )  # fmt: skip

    def _finish(
        self, h: Tensor, wave: Tensor, moments: Tensor, layer: _Layer, scale: Tensor, shift: Tensor, i: int
    ) -> Tensor:
        """The rest of layer ``i``; the activation is replaced in place, the last layer gives the voltage."""
        last, batch = i == len(self.layers) - 1, len(h)
        out = torch.empty(h.shape[:2], device=h.device) if last else h
        p1, q1, p2, _ = self.project
        kernels.layer[(batch, self.blocks)](
            h, wave, self.local, layer.skip, layer.w1, layer.b1, layer.w2, layer.b2, scale[:, i], shift[:, i], out,
            moments, scale[:, -1], shift[:, -1], p1, q1, p2.float().reshape(-1), self.last_bias, self.n, batch,
            scale.stride(0), WIDTH=self.width, HIDDEN=layer.w1.shape[1], PROJECT=p1.shape[1], LAST=last,
            TILE=self.tile, RANK=self.rank, PRECISION=self.precision, num_warps=self.warps,
        )  # fmt: skip
        return out

    @property
    def last_bias(self) -> float:
        """Bias of the projection."""
        return self._last_bias
