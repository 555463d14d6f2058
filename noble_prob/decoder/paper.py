r"""NOBLE as its paper has it (arXiv 2506.04536): the yardstick that the phase-modulated decoder is measured with.

Everything the operator is told is a frequency: a number :math:`p` (the step current or a latent, scaled over the
training data to [0.5, 3.5]) becomes channels

.. math:: \sin(2^k \pi p t), \quad \cos(2^k \pi p t), \qquad k = 0, \dots, K - 1, \quad t \in [0, 2 \pi],

with :math:`K = 9` for the current and :math:`K = 1` for each of the two latents (space ``noble2``), beside the current
itself. A plain Fourier neural operator of ``neuraloperator`` (12 layers, 24 channels, 256 modes: 1.80 M parameters, as
the paper counts) turns them into voltage. There is no phase: when to spike is left to the operator.

The paper does not say how current is scaled for its embedding, nor how voltage is; here as the latents, and
:math:`V = 20 y - 70` mV. A current beyond the training data extrapolates linearly, zero is a current like any other.

Spike times and summary features are *measured* on the rendered voltage. They are neither smooth in the latents nor
cheap: ensembles and evaluation work, inference does not.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from math import pi
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from noble_prob.decoder.availability import attempt, kernels_run
from noble_prob.decoder.base import DecoderError, Window
from noble_prob.decoder.operator import signature
from noble_prob.decoder.trained import TrainedDecoder
from noble_prob.features import find_spikes, measure
from noble_prob.latent import LatentSpace
from noble_prob.recording import Protocol, Recording

PART = 1024
"""Traces that the kernels render at once."""

LOWEST, HIGHEST = 0.5, 3.5
"""Range of an embedded number over the training data."""


@dataclass(frozen=True, kw_only=True)
class PaperArchitecture:
    """Sizes; the defaults are the paper's.

    Attributes:
        width: Channels of a layer.
        layers: Fourier layers.
        modes: Fourier modes as ``neuralop`` counts them (``modes // 2 + 1`` are kept).
        projection_ratio: Channels of the projection over ``width``.
        current_frequencies: Octaves of the current's embedding.
        latent_frequencies: Octaves of each latent's embedding.
        n_spikes: Columns of ``spike_times``.
    """

    width: int = 24
    layers: int = 12
    modes: int = 256
    projection_ratio: int = 4
    current_frequencies: int = 9
    latent_frequencies: int = 1
    n_spikes: int = 64

    def n_channels(self, n_latents: int) -> int:
        """Input channels: the current, and sine and cosine of every frequency."""
        return 1 + 2 * (self.current_frequencies + n_latents * self.latent_frequencies)


class PaperDecoder(TrainedDecoder):
    """The paper's operator; implements :class:`noble_prob.decoder.base.Decoder` as far as it goes.

    Args:
        space: Latent space of the neurons.
        window: Grid and stimulus of the responses.
        summary_names: Features that ``summary`` measures.
        architecture: Sizes.
        error: Its error on unseen neurons, None if it was not measured.
    """

    low: Tensor
    high: Tensor

    def __init__(
        self,
        *,
        space: LatentSpace,
        window: Window,
        summary_names: tuple[str, ...],
        architecture: PaperArchitecture,
        error: DecoderError | None = None,
    ):
        super().__init__(space, error)
        self.window, self.summary_names, self.architecture = window, summary_names, architecture
        self.operator = _operator(architecture, len(space))
        self.path: Literal["fast", "reference"] = "fast"
        """``fast``: fused kernels where they run and no gradient is asked for."""
        self.kernel_options: dict[str, Any] = {}
        """Of the kernels, see :class:`noble_prob.decoder.fused.FusedStack`."""
        self._fused: tuple[Any, Any] | None = None
        self._kept: dict[Any, Any] = {}
        self.register_buffer("low", torch.zeros(len(space)))
        self.register_buffer("high", torch.ones(len(space)))

    def fit_support(self, latents: Float[Tensor, "model latent"]) -> None:
        """Learn the range and extent of the training population from its latents (in their units)."""
        super().fit_support(latents)
        self.low.copy_(latents.amin(0))
        self.high.copy_(latents.amax(0))

    def respond(
        self,
        latents: Float[Tensor, "*batch latent"],
        current_pa: Float[Tensor, "*batch"],
        *,
        time_ms: Float[Tensor, " time"] | None = None,
    ) -> Float[Tensor, "*batch time"]:
        """Voltage (mV).

        Args:
            latents: Latent features in their units.
            current_pa: Step current (pA).
            time_ms: Sample times (ms), equally spaced over the window; ``window.time_ms`` when not given.
        """
        batch = torch.broadcast_shapes(latents.shape[:-1], current_pa.shape)
        z = latents.to(self.low).expand(*batch, -1).reshape(-1, len(self.space))
        current = current_pa.to(self.low).expand(batch).reshape(-1)
        if time_ms is None:
            time_ms = self._once(("grid", self.window), lambda: self.window.time_ms.to(self.low.device))
        at = time_ms.to(self.low.device)
        return self.render(z, current, at).reshape(*batch, -1)

    def render(
        self, latents: Float[Tensor, "batch latent"], current_pa: Float[Tensor, " batch"], at_ms: Float[Tensor, " time"]
    ) -> Float[Tensor, "batch time"]:
        """Voltage (mV) of a flat batch at sample times (ms)."""
        if self.path == "fast" and not torch.is_grad_enabled() and self.low.device.type == "cuda" and kernels_run():
            parts = zip(latents.split(PART), current_pa.split(PART), strict=True)
            answer = attempt(lambda: torch.cat([self._by_kernels(*part, at_ms) for part in parts]))
            if answer is not None:
                return answer
        return 20.0 * self.operator(self.channels(latents, current_pa, at_ms))[:, 0] - 70.0

    def _by_kernels(self, latents: Tensor, current_pa: Tensor, at_ms: Tensor) -> Tensor:
        from noble_prob.decoder.fused_decoders import FusedPaper  # needs triton

        parameters = self._once("parameters", lambda: tuple(self.operator.parameters()))
        state = (signature(parameters), len(at_ms), tuple(self.kernel_options.items()))
        if self._fused is None or self._fused[0] != state:
            self._fused = state, FusedPaper(self.operator, len(at_ms), **self.kernel_options)
        ours = at_ms is self._kept.get(("grid", self.window))
        places = self._once(("places", self.window), lambda: self._places(at_ms)) if ours else self._places(at_ms)
        return self._fused[1](self._turns(latents, current_pa), current_pa, *places)

    def _places(self, at_ms: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Place in the window, and first and last sample of the step; waits for the device."""
        on = self._on(at_ms)
        first = int(on.int().argmax())
        return self._phase(at_ms), (first, first + int(on.sum()))

    def _once(self, name: Any, make: Callable[[], Any]) -> Any:
        """What a name stands for, made once for every place that the decoder is moved to."""
        if name not in self._kept:
            with torch.inference_mode(mode=False):
                self._kept[name] = make()
        return self._kept[name]

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Moves; the grid that ``neuralop`` keeps stays behind otherwise."""
        grid: Any = self.operator.positional_embedding
        grid._grid = None
        self._kept = {}
        return super()._apply(fn, recurse)

    def __getstate__(self) -> dict[str, Any]:
        """Copies and processes make their own snapshot."""
        return {**self.__dict__, "_fused": None, "_kept": {}}

    def spike_times(
        self, latents: Float[Tensor, "*batch latent"], current_pa: Float[Tensor, "*batch"]
    ) -> Float[Tensor, "*batch spike"]:
        """Spike times measured on the rendered voltage (ms after onset); filled up with times far past the end."""
        w, n = self.window, self.architecture.n_spikes
        voltage = self.respond(latents, current_pa)
        found = find_spikes(voltage, w.time_ms, start_ms=w.onset_ms)
        times = (found.peak_ms[..., :n] - w.onset_ms).to(voltage)
        never = w.duration_ms + 1000.0 * torch.arange(1, n + 1, device=times.device)
        out = never.to(times).expand(*times.shape[:-1], n).clone()
        out[..., : times.shape[-1]] = torch.where(torch.isfinite(times), times, out[..., : times.shape[-1]])
        return out

    def summary(
        self, latents: Float[Tensor, "*batch latent"], current_pa: Float[Tensor, "*batch"]
    ) -> Float[Tensor, "*batch feature"]:
        """Summary features measured on the rendered voltage, in their units; NaN where undefined."""
        voltage, w = self.respond(latents, current_pa), self.window
        current = current_pa.expand(voltage.shape[:-1])
        protocol = Protocol.step_family(
            current.reshape(-1).cpu(),
            onset_ms=w.onset_ms,
            duration_ms=w.duration_ms,
            total_ms=w.n_samples * w.dt_ms,
            dt_ms=w.dt_ms,
        )
        found = measure(Recording(protocol=protocol, voltage_mv=voltage.flatten(0, -2)), names=self.summary_names)
        return found.value.reshape(*voltage.shape[:-1], -1)

    def channels(self, latents: Tensor, current_pa: Tensor, at_ms: Tensor) -> Float[Tensor, "batch channel time"]:
        """The current, then sine and cosine of every frequency."""
        turns = self._turns(latents, current_pa)[..., None] * self._phase(at_ms)
        angle = (2 * pi * turns.remainder(1)).to(self.low.dtype)
        amount = current_pa[:, None, None] / 100 * self._on(at_ms).to(self.low.dtype)
        return torch.cat([amount, angle.sin(), angle.cos()], 1)

    def _turns(self, latents: Tensor, current_pa: Tensor) -> Float[Tensor, "batch frequency"]:
        """Turns of every sine over the window, in float64, where their fraction is exact."""
        a = self.architecture
        lowest, highest = self.window.current_range_pa
        numbers = torch.cat(
            [((current_pa - lowest) / (highest - lowest))[:, None], (latents - self.low) / (self.high - self.low)], 1
        )
        scaled = LOWEST + (HIGHEST - LOWEST) * numbers
        octaves = [a.current_frequencies] + [a.latent_frequencies] * len(self.space)
        device = scaled.device
        column = self._once(
            "column", lambda: torch.tensor([j for j, n in enumerate(octaves) for _ in range(n)]).to(device)
        )
        octave = self._once("octave", lambda: torch.tensor([2.0**k for n in octaves for k in range(n)]).to(device))
        return (scaled[:, column] * octave).to(torch.float64) * pi

    def _phase(self, at_ms: Tensor) -> Float[Tensor, " time"]:
        """Place in the window, 0 to 1: t / (2 pi)."""
        return at_ms.to(torch.float64) / (self.window.n_samples * self.window.dt_ms)

    def _on(self, at_ms: Tensor) -> Bool[Tensor, " time"]:
        """Where the step is on."""
        since = at_ms - self.window.onset_ms
        return (since >= -1e-6) & (since < self.window.duration_ms - 1e-6)


def _operator(a: PaperArchitecture, n_latents: int) -> nn.Module:
    """The operator of ``neuraloperator``, which is imported here: it takes seconds and sets a filter on warnings."""
    with warnings.catch_warnings():
        from neuralop.models import FNO
    return FNO(
        n_modes=(a.modes,),
        in_channels=a.n_channels(n_latents),
        out_channels=1,
        hidden_channels=a.width,
        n_layers=a.layers,
        projection_channel_ratio=a.projection_ratio,
    )
