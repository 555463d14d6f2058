"""The decoder: latent features and a step current to spikes, summary features and voltage.

Composition only: the spike map says when, the offset network what happens once the step is over, the embedding turns
both into channels, the operator renders millivolts. Each part can be asked alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from noble_prob.decoder.base import DecoderError, Window
from noble_prob.decoder.embedding import N_CHANNELS, firing_channels
from noble_prob.decoder.heads import OffsetSpike, SummaryNetwork
from noble_prob.decoder.operator import Path, VoltageOperator, fused_operator
from noble_prob.decoder.spike_map import SpikeMap, current_features
from noble_prob.decoder.support import distance, fit_extent
from noble_prob.latent import LatentSpace

BYTES_PER_SAMPLE = 4 * 6 * 64
"""Activations alive at once while a trace is rendered, per sample: some six of 64 single-precision channels."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Sizes of the networks; what a checkpoint needs to rebuild them.

    Attributes:
        n_spikes: Spike times predicted.
        map_width: Units per hidden layer of the spike map.
        map_depth: Hidden layers of the spike map.
        map_members: Networks averaged in the spike map.
        width: Channels of the operator.
        layers: Fourier layers of the operator.
        modes: Fourier modes as ``neuralop`` counts them.
        hidden: Hidden channels of the operator's channel MLPs.
    """

    n_spikes: int = 64
    map_width: int = 256
    map_depth: int = 3
    map_members: int = 3
    width: int = 32
    layers: int = 6
    modes: int = 256
    hidden: int = 32


class NobleDecoder(nn.Module):
    """Phase-modulated Fourier neural operator; implements :class:`noble_prob.decoder.base.Decoder`.

    Args:
        space: Latent space of the neurons.
        window: Grid and stimulus of the responses.
        summary_names: Features of the summary network.
        architecture: Sizes.
        error: Its error on unseen neurons; None until it has been measured.
    """

    support_precision: Tensor
    support_radius: Tensor
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
        super().__init__()
        a, d = architecture, len(space)
        self.space, self.window, self.summary_names, self.architecture = space, window, summary_names, a
        self.measured_error = error
        self.spike_map = SpikeMap(
            n_latents=d, n_spikes=a.n_spikes, width=a.map_width, depth=a.map_depth, members=a.map_members
        )
        self.summary_net = SummaryNetwork(n_latents=d, n_features=len(summary_names))
        self.offset = OffsetSpike(n_latents=d)
        self.operator = VoltageOperator(
            n_channels=N_CHANNELS, n_condition=d + 4, width=a.width, layers=a.layers, modes=a.modes, hidden=a.hidden
        )
        self.register_buffer("support_precision", torch.eye(d))
        self.register_buffer("support_radius", torch.tensor(float(d)).sqrt())
        self.register_buffer("condition_scale", torch.ones(d))
        self.register_buffer("condition_shift", torch.zeros(d))
        self.path: Path = "fast"
        self.max_batch_bytes = 1 << 30
        """Without gradients, larger batches are rendered in parts so that activations stay below this."""

    @property
    def error(self) -> DecoderError:
        """Error on unseen neurons.

        Raises:
            RuntimeError: If it was never measured.
        """
        if self.measured_error is None:
            raise RuntimeError("the decoder's error on validation models has not been measured")
        return self.measured_error

    @error.setter
    def error(self, value: DecoderError) -> None:
        self.measured_error = value

    def spike_times(
        self, latents: Float[Tensor, "*batch latent"], current_pa: Float[Tensor, "*batch"]
    ) -> Float[Tensor, "*batch spike"]:
        """Spike times (ms after onset), continuing past the end of the step."""
        x, current = self._inputs(latents, current_pa)
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
        x, current = self._inputs(latents, current_pa)
        x, current = x.reshape(-1, x.shape[-1]), current.reshape(-1)
        times = self.spike_map.mean_times(x, current) if times_ms is None else times_ms.reshape(len(x), -1).to(x)
        at = (self.window.time_ms if time_ms is None else time_ms).to(x.device) - self.window.onset_ms
        rows = len(x) if torch.is_grad_enabled() else max(1, self.max_batch_bytes // (BYTES_PER_SAMPLE * len(at)))
        parts = [
            self._render(*part, at) for part in zip(x.split(rows), current.split(rows), times.split(rows), strict=True)
        ]
        voltage = parts[0] if len(parts) == 1 else torch.cat(parts)
        return voltage.reshape(*torch.broadcast_shapes(latents.shape[:-1], current_pa.shape), -1)

    def _render(self, x: Tensor, current: Tensor, times: Tensor, at: Tensor) -> Float[Tensor, "batch time"]:
        """Voltage of a flat batch from standardised latents and spike times, at times in ms after onset."""
        happens, condition = self.happening(x, current, times), self.condition(x, current)
        if self.path == "triton" and not torch.is_grad_enabled():
            fused = fused_operator(self.operator, at, duration_ms=self.window.duration_ms)
            if fused is not None:
                return fused(times, happens, current, condition)
        channels = firing_channels(times, current, at, duration_ms=self.window.duration_ms, happens=happens)
        return self.operator(channels, condition, path="reference" if self.path == "reference" else "fast")

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

    def support(self, latents: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch"]:
        """Mahalanobis distance from the training models; 1 holds their central 99 %."""
        x = self.space.standardise(latents).to(self.support_precision)
        return distance(x, self.support_precision, self.support_radius)

    def fit_support(self, latents: Float[Tensor, "model latent"]) -> None:
        """Learn the extent of the training population from its latents (in their units)."""
        precision, radius = fit_extent(self.space.standardise(latents))
        self.support_precision.copy_(precision)
        self.support_radius.copy_(radius)

    def _inputs(self, latents: Tensor, current_pa: Tensor) -> tuple[Tensor, Tensor]:
        """Standardised latents and current, broadcast, in the weights' precision and place."""
        weight = self.support_precision
        x = self.space.standardise(latents.to(weight.device)).to(weight.dtype)
        current = current_pa.to(weight)
        batch = torch.broadcast_shapes(x.shape[:-1], current.shape)
        return x.expand(*batch, x.shape[-1]), current.expand(batch)
