r"""The neural operator: firing channels to voltage, conditioned on the neuron.

A Fourier neural operator (Li et al., 2021, arXiv 2010.08895) from the modules of ``neuraloperator``. Each layer is

.. math:: h \leftarrow h + M\big(\mathrm{GELU}(\gamma \odot (K h + W h) + \beta)\big),

with :math:`K` a spectral convolution, :math:`W` and :math:`M` pointwise, and scale and shift :math:`\gamma, \beta`
from a
small network of latents and current (FiLM, Perez et al., 2018): a neuron's features change what the layers do
instead of
being further channels, which trains several times faster.

Three paths compute the same function: ``reference`` through ``SpectralConv`` (complex FFT); ``products`` by matrix
products (:func:`noble_prob.decoder.spectral.spectral_product`); ``fast`` by what is fastest here:
:mod:`noble_prob.decoder.packed` on the CPU, :mod:`noble_prob.decoder.differentiable` on CUDA devices with gradients and
:mod:`noble_prob.decoder.fused` without, ``products`` where none of them fits.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from noble_prob.decoder.availability import attempt, kernels_run
from noble_prob.decoder.packed import PackedOperator
from noble_prob.decoder.spectral import spectral_product
from noble_prob.decoder.spike_map import mlp

with warnings.catch_warnings():  # the package shows everybody's warnings once, from its import on
    from neuralop.layers.channel_mlp import ChannelMLP
    from neuralop.layers.spectral_convolution import SpectralConv

if TYPE_CHECKING:
    from noble_prob.decoder.fused_decoders import FusedOperator

Path = Literal["fast", "products", "reference"]


def pointwise(mix: ChannelMLP, x: Float[Tensor, "batch channel time"]) -> Float[Tensor, "batch out time"]:
    """A channel MLP as batched matrix products, which are faster than convolutions of length one."""
    first, second = mix.fcs
    return _product(second, nn.functional.gelu(_product(first, x)))


def _product(conv: nn.Conv1d, x: Tensor) -> Tensor:
    assert conv.bias is not None
    return torch.baddbmm(conv.bias[:, None], conv.weight[..., 0].expand(len(x), -1, -1), x)


class FourierLayer(nn.Module):
    """Spectral convolution, pointwise skip, FiLM, GELU and channel MLP with a residual."""

    def __init__(self, *, width: int, modes: int, hidden: int):
        super().__init__()
        self.spectral = SpectralConv(width, width, (modes,), bias=True)
        self.skip = nn.Conv1d(width, width, 1, bias=False)
        self.mix = ChannelMLP(width, width, hidden, n_layers=2, n_dim=1)

    def forward(self, h: Tensor, scale: Tensor, shift: Tensor, *, fast: bool) -> Tensor:
        """The layer through ``neuraloperator``; ``h`` is ``(batch, width, time)``, FiLM ``(batch, width, 1)``."""
        if fast:
            return self._fast(h, scale, shift)
        return h + self.mix(nn.functional.gelu(torch.addcmul(shift, scale, self.spectral(h) + self.skip(h))))

    def _fast(self, h: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """The same by matrix products."""
        skip = self.skip.weight[..., 0].expand(len(h), -1, -1)
        k = torch.baddbmm(spectral_product(h, self.weight), skip, h)
        return h + pointwise(self.mix, nn.functional.gelu(torch.addcmul(shift + scale * self.spectral.bias, scale, k)))

    @property
    def weight(self) -> Tensor:
        """Complex spectral weights, ``(width, width, mode)``; dense, so the factorised tensor is one parameter."""
        return self.spectral.weight.tensor


class VoltageOperator(nn.Module):
    """Firing channels and a condition to voltage.

    Args:
        n_channels: Input channels.
        n_condition: Length of the conditioning vector.
        width: Channels of a layer.
        layers: Number of Fourier layers.
        modes: Fourier modes as ``neuralop`` counts them (``modes // 2 + 1`` are kept).
        hidden: Hidden channels of the channel MLPs.
    """

    def __init__(
        self, *, n_channels: int, n_condition: int, width: int = 32, layers: int = 6, modes: int = 256, hidden: int = 32
    ):
        super().__init__()
        self.lift = ChannelMLP(n_channels, width, 2 * width, n_layers=2, n_dim=1)
        self.layers = nn.ModuleList(FourierLayer(width=width, modes=modes, hidden=hidden) for _ in range(layers))
        self.film = mlp(n_condition, 128, 2, 2 * width * (layers + 1))
        self.project = ChannelMLP(width, 1, 2 * width, n_layers=2, n_dim=1)
        self.width, self.kept = width, modes // 2 + 1
        self._kept_parameters: tuple[Tensor, ...] | None = None
        self._packed: tuple[tuple[int, ...], PackedOperator] | None = None
        self.fused: tuple[Any, Tensor, FusedOperator] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Copies and processes make their own snapshot."""
        return {**self.__dict__, "_packed": None, "fused": None, "_kept_parameters": None}

    def forward(
        self,
        channels: Float[Tensor, "batch channel time"],
        condition: Float[Tensor, "batch condition"],
        *,
        path: Path = "fast",
    ) -> Float[Tensor, "batch time"]:
        """Voltage (mV).

        Args:
            channels: From :func:`noble_prob.decoder.embedding.firing_channels`.
            condition: Standardised latents and current features.
            path: ``fast``, ``products`` or ``reference``.
        """
        if path == "fast" and self._packable(channels, condition):
            return self.packed()(channels, condition)
        film = self.film(condition).unflatten(-1, (len(self.layers) + 1, 2, self.width))[..., None]
        scale, shift = 1 + film[:, :, 0], film[:, :, 1]  # batch, layer, width, 1
        if path == "fast" and self._suits_kernels(channels):
            from noble_prob.decoder.differentiable import voltage  # needs triton

            answer = attempt(lambda: voltage(self, channels, scale[..., 0], shift[..., 0]))
            if answer is not None:
                return answer
        fast = path != "reference"
        h = pointwise(self.lift, channels) if fast else self.lift(channels)
        for i, layer in enumerate(self.layers):
            h = layer(h, scale[:, i], shift[:, i], fast=fast)
        h = torch.addcmul(shift[:, -1], scale[:, -1], h)
        out = pointwise(self.project, h) if fast else self.project(h)
        return 20.0 * out[:, 0] - 70.0

    def kept_parameters(self) -> tuple[Tensor, ...]:
        """The parameters, gathered once: modules keep their parameters, whatever their values and place."""
        if self._kept_parameters is None:
            self._kept_parameters = tuple(self.parameters())
        return self._kept_parameters

    def packed(self) -> PackedOperator:
        """The snapshot for the CPU, renewed when a weight has changed."""
        state = signature(self.kept_parameters())
        if self._packed is None or self._packed[0] != state:
            self._packed = state, PackedOperator(self)
        return self._packed[1]

    def _suits_kernels(self, channels: Tensor) -> bool:
        """Whether the kernels with gradients take this."""
        if channels.device.type != "cuda" or channels.dtype != torch.float32 or torch.compiler.is_compiling():
            return False
        hidden = int(self.layers[0].mix.fcs[0].out_channels)  # type: ignore[union-attr, index]
        if not kernels_run() or any(size not in (16, 32, 64) for size in (self.width, hidden)):
            return False
        from noble_prob.decoder.differentiable import trial  # needs triton

        if torch.cuda.is_current_stream_capturing():
            return True  # what is recorded has run before
        return bool(attempt(lambda: trial(self)))

    def _packable(self, *inputs: Tensor) -> bool:
        """Whether this is single precision on the CPU and nobody asks for a gradient."""
        if torch.compiler.is_compiling():
            return False
        tensors = [*inputs, self.lift.fcs[0].weight]
        plain = all(x.device.type == "cpu" and x.dtype == torch.float32 for x in tensors)
        gradient = torch.is_grad_enabled() and any(x.requires_grad for x in (*inputs, *self.kept_parameters()))
        return plain and not gradient


def signature(parameters: Iterable[Tensor]) -> tuple[int, ...]:
    """Changes whenever a weight is replaced or written to."""
    return tuple(n for p in parameters for n in (p.data_ptr(), 0 if p.is_inference() else p._version))


def fused_operator(operator: VoltageOperator, at_ms: Float[Tensor, " time"], **options: Any) -> FusedOperator | None:
    """The operator's :class:`~noble_prob.decoder.fused_decoders.FusedOperator`, kept until weights or grid change.

    Args:
        operator: The operator.
        at_ms: Sample times (ms after onset).
        options: As of the class.

    Returns:
        None where the kernels do not run.
    """
    if at_ms.device.type != "cuda" or not kernels_run():
        return None
    from noble_prob.decoder.fused_decoders import FusedOperator  # needs triton

    state = (signature(operator.kept_parameters()), tuple(options.items()))
    kept = operator.fused
    if kept is None or kept[0] != state or not (kept[1] is at_ms or torch.equal(kept[1], at_ms)):
        fused = attempt(lambda: FusedOperator(operator, at_ms, **options))
        operator.fused = None if fused is None else (state, at_ms, fused)
    return operator.fused[2] if operator.fused else None
