"""The decoder: latent features and a step current to spikes, summary features and voltage.

Composition only: the spike map says when, the offset network what happens once the step is over, the embedding turns
both into channels, the operator renders millivolts. Each part can be asked alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.decoder.architecture import Architecture, new_spike_map
from noble_prob.decoder.availability import attempt, kernels_run
from noble_prob.decoder.base import DecoderError, Window
from noble_prob.decoder.channels import fast_channels
from noble_prob.decoder.embedding import N_CHANNELS, firing_channels
from noble_prob.decoder.graphs import Replays, wanted
from noble_prob.decoder.heads import OffsetSpike, SummaryNetwork
from noble_prob.decoder.operator import Path, VoltageOperator, fused_operator, signature
from noble_prob.decoder.spike_map import current_features
from noble_prob.decoder.trained import TrainedDecoder
from noble_prob.latent import LatentSpace

BYTES_PER_SAMPLE = 4 * 6 * 64
"""Activations alive at once while a trace is rendered, per sample: some six of 64 single-precision channels."""
GRAPHED_TRACES = (64, 16)
"""Batches up to this are answered by CUDA graphs, without and with gradients."""


class NobleDecoder(TrainedDecoder):
    """Phase-modulated Fourier neural operator; implements :class:`noble_prob.decoder.base.Decoder`.

    It is the ``decoder`` of a cell that ships: ``spike_times``, ``summary`` and ``respond`` answer latents and a
    current, ``support(latents)`` gives their support distance (1 = 99th percentile of the training models; larger is
    worse).

    Attributes:
        error: Its error on unseen neurons (:class:`noble_prob.decoder.base.DecoderError`), part of the likelihood.
        path: How the voltage is computed: ``"fast"``, ``"products"`` or ``"reference"``.
        kernel_options: Arithmetic of the fused kernels: ``dtype``, ``precision``.
        graphs: Whether small batches on CUDA devices are answered by CUDA graphs.
        max_batch_bytes: Bound of the activations without gradients; larger batches are rendered in parts.

    Args:
        space: Latent space of the neurons.
        window: Grid and stimulus of the responses.
        summary_names: Features of the summary network.
        architecture: Sizes.
        error: Its error on unseen neurons; None until it has been measured.
    """

    condition_scale: Tensor
    condition_shift: Tensor

    def __init__(
        self,
        *,
        space: LatentSpace,
        window: Window,
        summary_names: tuple[str, ...],
        architecture: Architecture,
        error: DecoderError | None = None,
    ):
        super().__init__(space, error)
        a, d = architecture, len(space)
        self.window, self.summary_names, self.architecture = window, summary_names, a
        self.spike_map = new_spike_map(a, n_latents=d)
        self.summary_net = SummaryNetwork(n_latents=d, n_features=len(summary_names))
        self.offset = OffsetSpike(n_latents=d)
        self.operator = VoltageOperator(
            n_channels=N_CHANNELS, n_condition=d + 4, width=a.width, layers=a.layers, modes=a.modes, hidden=a.hidden
        )
        self.register_buffer("condition_scale", torch.ones(d))
        self.register_buffer("condition_shift", torch.zeros(d))
        self.path: Path = "fast"
        self.max_batch_bytes = 1 << 30
        """Without gradients, larger batches are rendered in parts so that activations stay below this."""
        self.kernel_options: dict[str, Any] = {}
        """Of the fused kernels, see :class:`noble_prob.decoder.fused.FusedStack`: ``dtype``, ``precision``."""
        self.graphs = True
        """Whether small batches on CUDA devices are answered by CUDA graphs."""
        self._at: Tensor | None = None
        self._small: tuple[Any, Any, tuple[Tensor, ...]] | None = None
        self._scale: tuple[Any, Tensor, Tensor] | None = None
        self._replays = Replays()

    def __getstate__(self) -> dict[str, Any]:
        """Copies and processes capture their own graphs."""
        return {**self.__dict__, "_replays": Replays(), "_at": None, "_small": None, "_scale": None}

    def spike_times(
        self, latents: Float[Tensor, "*batch latent"], current_pa: Float[Tensor, "*batch"]
    ) -> Float[Tensor, "*batch spike"]:
        """Spike times (ms after onset), continuing past the end of the step."""
        x, current = self._inputs(latents, current_pa)
        if self._graphed(x.reshape(-1, x.shape[-1])):
            return self._replay("spike_times", self.spike_map.mean_times, x, current)
        return self.spike_map.mean_times(x, current)

    def summary(
        self, latents: Float[Tensor, "*batch latent"], current_pa: Float[Tensor, "*batch"]
    ) -> Float[Tensor, "*batch feature"]:
        """Summary features in their units."""
        return self.summary_net(*self._inputs(latents, current_pa))

    def respond(
        self,
        latents: Float[Tensor, "*batch latent"],
        current_pa: Float[Tensor, "*batch"],
        *,
        times_ms: Float[Tensor, "*batch spike"] | None = None,
        time_ms: Float[Tensor, " time"] | None = None,
    ) -> Float[Tensor, "*batch time"]:
        """Voltage (mV).

        Args:
            latents: Latent features in their units.
            current_pa: Step current (pA).
            times_ms: Spike times to render instead of the predicted ones (ms after onset, continuing past the end).
            time_ms: Sample times (ms); ``window.time_ms`` when not given. Any resolution.
        """
        batch = torch.broadcast_shapes(latents.shape[:-1], current_pa.shape)
        x, current = self._inputs(latents, current_pa)
        x, current = x.reshape(-1, x.shape[-1]), current.reshape(-1)
        at = self._grid(x.device) if time_ms is None else time_ms.to(x.device) - self.window.onset_ms
        if times_ms is None and time_ms is None and self._graphed(x):
            return self._replay(f"respond {self.path}", partial(self._answer, at=at), x, current).reshape(*batch, -1)
        times = self.spike_map.mean_times(x, current) if times_ms is None else times_ms.reshape(len(x), -1).to(x)
        rows = len(x) if torch.is_grad_enabled() else max(1, self.max_batch_bytes // (self._bytes(x) * len(at)))
        parts = [
            self._answer(*part, at=at)
            for part in zip(x.split(rows), current.split(rows), times.split(rows), strict=True)
        ]
        return (parts[0] if len(parts) == 1 else torch.cat(parts)).reshape(*batch, -1)

    def _answer(self, x: Tensor, current: Tensor, times: Tensor | None = None, *, at: Tensor) -> Tensor:
        """Voltage of a flat batch from standardised latents, at times in ms after onset."""
        times = self.spike_map.mean_times(x, current) if times is None else times
        happens, condition = self.happening(x, current, times), self.condition(x, current)
        duration = self.window.duration_ms
        if self.path == "fast" and x.dtype == torch.float32 and not torch.is_grad_enabled():
            fused = fused_operator(self.operator, at, duration_ms=duration, **self.kernel_options)
            answer = attempt(lambda: fused(times, happens, current, condition)) if fused else None
            if answer is not None:
                return answer
        channels = fast_channels if self.path == "fast" else firing_channels
        inputs = channels(times, current, at, duration_ms=duration, happens=happens)
        return self.operator(inputs, condition, path=self.path)

    def _grid(self, device: torch.device) -> Float[Tensor, " time"]:
        """The window's sample times (ms after onset), kept on the device."""
        if self._at is None or self._at.device != device:
            with torch.inference_mode(mode=False):
                self._at = (self.window.time_ms - self.window.onset_ms).to(device)
        return self._at

    def _parameters_once(self) -> tuple[Tensor, ...]:
        """All parameters, without a walk through the modules."""
        if self._small is None or self._small[0] is not self.spike_map or self._small[1] is not self.offset:
            self._small = self.spike_map, self.offset, (*self.spike_map.parameters(), *self.offset.parameters())
        return (*self._small[2], *self.operator.kept_parameters())

    def _bytes(self, x: Tensor) -> int:
        """Memory that a sample of a trace takes while it is rendered."""
        fused = self.path == "fast" and x.device.type == "cuda" and kernels_run()
        return BYTES_PER_SAMPLE // 6 if fused else BYTES_PER_SAMPLE

    def _graphed(self, x: Tensor) -> bool:
        """Whether a graph answers: a small batch on a CUDA device with frozen weights."""
        gradient = torch.is_grad_enabled()
        small = self.graphs and x.device.type == "cuda" and 0 < len(x) <= GRAPHED_TRACES[gradient]
        if not small or self.path == "reference" or not wanted():
            return False
        return not (gradient and any(p.requires_grad for p in self._parameters_once()))

    def _replay(self, name: str, function: Callable[..., Tensor], x: Tensor, current: Tensor) -> Tensor:
        state = (signature(self._parameters_once()), tuple(self.kernel_options.items()))
        return self._replays(name, function, state, x, current)

    def condition(self, x: Float[Tensor, "batch latent"], current_pa: Float[Tensor, " batch"]) -> Tensor:
        """What the operator is conditioned on; it may have been trained on other cells too, with its own scaling."""
        return torch.cat([x * self.condition_scale + self.condition_shift, current_features(current_pa)], -1)

    def happening(
        self,
        x: Float[Tensor, "batch latent"],
        current_pa: Float[Tensor, " batch"],
        times_ms: Float[Tensor, "batch spike"],
    ) -> Float[Tensor, "batch spike"]:
        """Times of the spikes that happen (ms after onset): those during the step, and one after it if likely."""
        end = self.window.duration_ms
        during = times_ms < end
        n = during.sum(-1, keepdim=True).clamp(max=times_ms.shape[-1] - 1)
        following = times_ms.gather(-1, n)[..., 0]
        before = torch.where(n[..., 0] > 0, times_ms.gather(-1, (n - 1).clamp(min=0))[..., 0], 0.0)
        odds, delay = self.offset(x, current_pa, following - end, following - before)
        late = torch.where(odds > 0, end + delay, torch.inf)
        happens = torch.where(during, times_ms, torch.inf)
        return happens.scatter(-1, n, late[..., None])

    def _space_on(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Centre and spread of the space where the latents are, kept there."""
        key = (self.space, latents.device, latents.dtype)
        if self._scale is None or self._scale[0][0] is not key[0] or self._scale[0][1:] != key[1:]:
            with torch.inference_mode(mode=False):
                self._scale = key, self.space.mean.to(latents), self.space.sd.to(latents)
        return self._scale[1:]

    def _inputs(self, latents: Tensor, current_pa: Tensor) -> tuple[Tensor, Tensor]:
        """Standardised latents and current, broadcast, in the weights' precision and place."""
        weight = self.support_precision
        if latents.device.type == "cuda":
            mean, sd = self._space_on(latents)
            x = ((latents - mean) / sd).to(weight)
        else:
            x = self.space.standardise(latents.to(weight.device)).to(weight.dtype)
        current = current_pa.to(weight)
        batch = torch.broadcast_shapes(x.shape[:-1], current.shape)
        return x.expand(*batch, x.shape[-1]), current.expand(batch)
