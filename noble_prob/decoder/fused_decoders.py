"""The two operators of this package on the fused path: the phase-modulated one and the paper's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from noble_prob.decoder import kernels
from noble_prob.decoder.channels import rates
from noble_prob.decoder.fused import FusedStack, Weights, pad

if TYPE_CHECKING:
    from noble_prob.decoder.operator import VoltageOperator


class FusedOperator:
    """A snapshot of a :class:`~noble_prob.decoder.operator.VoltageOperator` for one grid.

    Args:
        operator: The operator, on the device the kernels run on.
        at_ms: Sample times (ms after onset), evenly spaced.
        duration_ms: Length of the step (ms).
        options: As of :class:`~noble_prob.decoder.fused.FusedStack`.
    """

    def __init__(self, operator: VoltageOperator, at_ms: Float[Tensor, " time"], *, duration_ms: float, **options: Any):
        device = operator.lift.fcs[0].weight.device
        self.operator, self.duration_ms = operator, duration_ms
        self.at = at_ms.to(device, torch.float32).contiguous()
        layers = [
            Weights(spectral=layer.weight, skip=layer.skip.weight[..., 0], mix=layer.mix)  # type: ignore[union-attr, arg-type, index]
            for layer in operator.layers
        ]
        self.stack = FusedStack(
            lift=operator.lift,
            layers=layers,
            project=operator.project,
            width=operator.width,
            modes=operator.kept,
            n=len(at_ms),
            **options,
        )
        self.rate = rates(device)

    @torch.no_grad()
    def __call__(
        self,
        times_ms: Float[Tensor, "batch spike"],
        happens: Float[Tensor, "batch spike"],
        current_pa: Float[Tensor, " batch"],
        condition: Float[Tensor, "batch condition"],
    ) -> Float[Tensor, "batch time"]:
        """Voltage (mV) from spike times; see ``firing_channels`` and ``VoltageOperator.forward`` for the arguments."""
        batch, spikes = times_ms.shape
        stamps = [x.float().contiguous() for x in (times_ms, happens)]
        inputs = (*stamps, current_pa.float().contiguous(), self.at, self.rate)
        h, moments = self.stack.first(kernels.lift, batch, inputs, (float(self.duration_ms),), SPIKES=spikes)
        return self.stack.render(h, moments, *self._film(condition))

    def _film(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift, each ``(batch, layer, width)`` in float32; the spectral bias is part of the shift."""
        op = self.operator
        film = op.film(condition).float().unflatten(-1, (len(op.layers) + 1, 2, op.width))
        bias = torch.stack([layer.spectral.bias.reshape(-1) for layer in op.layers])  # type: ignore[union-attr, operator]
        scale = 1 + film[:, :, 0]
        shift = film[:, :, 1] + scale * nn.functional.pad(bias, (0, 0, 0, 1))
        grown = (0, self.stack.width - op.width)
        return nn.functional.pad(scale, grown).contiguous(), nn.functional.pad(shift, grown).contiguous()


class FusedPaper:
    """A snapshot of the paper's operator (``neuralop.models.FNO`` in one dimension).

    Args:
        operator: The operator, on the device the kernels run on.
        n: Samples of a trace.
        options: As of :class:`~noble_prob.decoder.fused.FusedStack`.
    """

    def __init__(self, operator: Any, n: int, **options: Any):
        blocks, last = operator.fno_blocks, operator.n_layers - 1
        layers = [
            Weights(
                spectral=blocks.convs[i].weight.tensor,
                skip=blocks.fno_skips[i].conv.weight[..., 0],
                mix=blocks.channel_mlp[i],
                gate=blocks.channel_mlp_skips[i].weight.reshape(-1),
                inner=i < last,
                outer=i < last,
            )
            for i in range(operator.n_layers)
        ]
        width = operator.hidden_channels
        self.stack = FusedStack(
            lift=operator.lifting,
            layers=layers,
            project=operator.projection,
            width=width,
            modes=layers[0].spectral.shape[-1],
            n=n,
            **{"per": 4, **options},
        )
        bias = torch.stack([conv.bias.detach().reshape(-1).float() for conv in blocks.convs])
        self.shift = pad(bias, len(layers) + 1, self.stack.width)[None]
        self.scale = torch.ones_like(self.shift)

    @torch.no_grad()
    def __call__(
        self,
        turns: Float[Tensor, "batch frequency"],
        current_pa: Float[Tensor, " batch"],
        phase: Float[Tensor, " time"],
        on: tuple[int, int],
    ) -> Float[Tensor, "batch time"]:
        """Voltage (mV) from the embedding's frequencies.

        Args:
            turns: Turns of every sine over the window, in float64.
            current_pa: Step currents (pA).
            phase: Where in the window the samples are, 0 to 1, in float64.
            on: First sample of the step, and the first after it.
        """
        batch, frequencies = turns.shape
        both = turns.new_zeros(batch, self.stack.channels)
        both[:, 1 : 1 + 2 * frequencies] = turns.repeat(1, 2)  # sines, then cosines
        shift = torch.zeros(self.stack.channels, device=turns.device)
        shift[1 + frequencies : 1 + 2 * frequencies] = 0.25
        inputs = (both, shift, current_pa.float().contiguous(), phase.contiguous())
        count = 2 + 2 * frequencies
        first = self.stack.first(kernels.lift_sines, batch, inputs, (*on, count), CHANNELS=self.stack.channels)
        return self.stack.render(*first, self.scale, self.shift)
