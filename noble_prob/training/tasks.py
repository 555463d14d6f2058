"""What each network is trained on: batches drawn on the device, losses, validation on validation models."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from noble_prob.decoder.embedding import firing_channels
from noble_prob.decoder.noble import NobleDecoder
from noble_prob.decoder.spike_map import current_features
from noble_prob.training.data import MV_OFFSET, MV_PER_COUNT, TRAIN, VALIDATION, TrainingData
from noble_prob.training.losses import spike_map_loss, waveform_loss


class Traces:
    """All sweeps of one split, flat and on the device of training."""

    def __init__(self, data: TrainingData, split: int, decoder: NobleDecoder, *, voltage: bool = False):
        index = data.where(split)
        device = decoder.support_precision.device
        sweeps = data.responses.current_pa.shape[1]
        x = decoder.space.standardise(data.latents[index]).float()
        self.x = x.repeat_interleave(sweeps, 0).to(device)
        self.current = data.responses.current_pa[index].float().flatten().to(device)
        self.spikes = data.spikes_ms[index].flatten(0, 1).float().to(device)
        self.n = data.n_spikes[index].flatten().to(device)
        self.summary = data.summary[index].flatten(0, 1).to(device)
        self.counts = data.responses.counts[index].flatten(0, 1).to(device) if voltage else None

    def __len__(self) -> int:
        return len(self.x)

    def random(self, batch: int, generator: torch.Generator) -> Tensor:
        """Positions of a random batch."""
        return torch.randint(0, len(self), (batch,), generator=generator, device=self.x.device)

    def voltage(self, index: Tensor) -> Tensor:
        """Voltage of some traces (mV)."""
        assert self.counts is not None
        return self.counts[index].float() * MV_PER_COUNT + MV_OFFSET


class SpikeMapTask:
    """All members of the spike map at once, each on its own random traces."""

    def __init__(self, data: TrainingData, decoder: NobleDecoder):
        self.decoder = decoder
        self.module: nn.Module = decoder.spike_map
        self.train, self.valid = Traces(data, TRAIN, decoder), Traces(data, VALIDATION, decoder)

    def loss(self, batch: int, generator: torch.Generator) -> Tensor:
        """Timing loss, summed over members so that each is trained as if alone."""
        t, spike_map = self.train, self.decoder.spike_map
        i = t.random(batch * spike_map.members, generator)
        inputs = torch.cat([t.x[i], current_features(t.current[i])], -1).unflatten(0, (spike_map.members, -1))
        predicted = spike_map.times(spike_map.net(inputs)).flatten(0, 1)
        losses = spike_map_loss(predicted, t.spikes[i], t.n[i], duration_ms=self.decoder.window.duration_ms)
        return losses.unflatten(0, (spike_map.members, -1)).mean(1).sum()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Spike-time error and spike counts of the ensemble mean on validation models."""
        predicted = self.decoder.spike_map.mean_times(self.valid.x, self.valid.current)
        return timing_figures(predicted, self.valid, self.decoder.window.duration_ms)


def timing_figures(predicted_ms: Tensor, traces: Traces, duration_ms: float) -> dict[str, float]:
    """Median and 90th percentile of spike-time error (ms), relative count error, share of spiking mismatches."""
    real = torch.arange(predicted_ms.shape[-1], device=traces.n.device) < traces.n[:, None]
    error = (predicted_ms - traces.spikes).abs()[real].cpu()
    n_hat = (predicted_ms < duration_ms).sum(-1)
    fires = traces.n > 0
    count = ((n_hat - traces.n).abs() / traces.n.clamp(min=1))[fires].float().mean()
    return {
        "spike_time_error_ms": float(error.median()),
        "spike_time_error_ms_p90": float(error[torch.randperm(len(error))[:100_000]].quantile(0.9)),
        "spike_count_error": float(count),
        "spiking_mismatch": float(((n_hat > 0) != fires).float().mean()),
    }


class SummaryTask:
    """Summary features, each in units of its spread, where it is defined."""

    def __init__(self, data: TrainingData, decoder: NobleDecoder):
        self.network = decoder.summary_net
        self.module: nn.Module = self.network
        self.train, self.valid = Traces(data, TRAIN, decoder), Traces(data, VALIDATION, decoder)
        known = [column[torch.isfinite(column)] for column in self.train.summary.T]
        decoder.summary_net.centre.copy_(torch.stack([c.mean() for c in known]))
        decoder.summary_net.scale.copy_(torch.stack([c.std() for c in known]))

    def _error(self, traces: Traces, i: Tensor | slice) -> Tensor:
        predicted = self.network(traces.x[i], traces.current[i])
        return (predicted - traces.summary[i]) / self.network.scale

    def loss(self, batch: int, generator: torch.Generator) -> Tensor:
        """Mean absolute error over what is defined."""
        error = self._error(self.train, self.train.random(batch, generator))
        defined = torch.isfinite(error)
        return torch.where(defined, error, 0.0).abs().sum() / defined.sum()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Median absolute error in SD units."""
        error = self._error(self.valid, slice(None)).abs()
        return {"summary_error_sd": float(error[torch.isfinite(error)].median())}


class OffsetTask:
    """Whether and when a spike follows the end of the step, given the true spikes before it."""

    def __init__(self, data: TrainingData, decoder: NobleDecoder):
        self.decoder = decoder
        self.module: nn.Module = decoder.offset
        self.train, self.valid = Traces(data, TRAIN, decoder), Traces(data, VALIDATION, decoder)

    def _terms(self, traces: Traces, i: Tensor | slice) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        end = self.decoder.window.duration_ms
        x, current, n = traces.x[i], traces.current[i], traces.n[i]
        times = teacher_times(self.decoder, x, current, traces.spikes[i], n)
        following = times.gather(1, n[:, None].clamp(max=times.shape[1] - 1))[:, 0]
        before = torch.where(n > 0, times.gather(1, (n - 1).clamp(min=0)[:, None])[:, 0], 0.0)
        odds, delay = self.module(x, current, following - end, following - before)
        late = torch.where(traces.spikes[i] >= end, traces.spikes[i], torch.inf).amin(-1) - end
        return odds, delay, late, torch.isfinite(late)

    def loss(self, batch: int, generator: torch.Generator) -> Tensor:
        """Cross-entropy of the event and absolute error of its log delay."""
        odds, delay, late, happens = self._terms(self.train, self.train.random(batch, generator))
        when = ((delay + 0.1).log() - (torch.where(happens, late, 1.0) + 0.1).log()).abs()
        return nn.functional.binary_cross_entropy_with_logits(odds, happens.float()) + 0.3 * (when * happens).mean()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Share of wrong calls and the median error of the delay (ms)."""
        odds, delay, late, happens = self._terms(self.valid, slice(None))
        wrong = ((odds > 0) != happens).float().mean()
        return {"offset_wrong": float(wrong), "offset_delay_error_ms": float((delay - late)[happens].abs().median())}


class OperatorTask:
    """Voltage from *true* spike times: the operator learns waveforms, not timing."""

    def __init__(self, data: TrainingData, decoder: NobleDecoder, *, compiled: bool = False):
        self.decoder = decoder
        self.module: nn.Module = decoder.operator
        self.train = Traces(data, TRAIN, decoder, voltage=True)
        self.valid = Traces(data, VALIDATION, decoder, voltage=True)
        self._loss = torch.compile(self._render_loss, dynamic=False) if compiled else self._render_loss

    def _render_loss(self, x: Tensor, current: Tensor, times: Tensor, happens: Tensor, voltage: Tensor) -> Tensor:
        w = self.decoder.window
        at = torch.arange(w.n_samples, device=x.device, dtype=torch.float32) * w.dt_ms - w.onset_ms
        channels = firing_channels(times, current, at, duration_ms=w.duration_ms, happens=happens)
        return waveform_loss(self.module(channels, self.decoder.condition(x, current)), voltage).mean()

    def _inputs(self, traces: Traces, i: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        x, current, n, spikes = traces.x[i], traces.current[i], traces.n[i], traces.spikes[i]
        with torch.no_grad():
            times = teacher_times(self.decoder, x, current, spikes, n)
        happens = torch.where(torch.isfinite(spikes), spikes, torch.inf)
        return x, current, times, happens, traces.voltage(i)

    def loss(self, batch: int, generator: torch.Generator) -> Tensor:
        """Mean relative error of the voltage about rest."""
        return self._loss(*self._inputs(self.train, self.train.random(batch, generator)))

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """The same on validation models, given their true spikes."""
        chunks = torch.arange(len(self.valid), device=self.valid.x.device).split(64)
        losses = [self._render_loss(*self._inputs(self.valid, i)) * len(i) for i in chunks]
        return {"waveform_error": float(torch.stack(losses).sum() / len(self.valid))}


def teacher_times(decoder: NobleDecoder, x: Tensor, current_pa: Tensor, spikes_ms: Tensor, n: Tensor) -> Tensor:
    """True spike times during the step, continued past its end by the predicted intervals.

    Args:
        decoder: Whose spike map continues them.
        x: Standardised latents, shape ``(batch, latent)``.
        current_pa: Step currents (pA).
        spikes_ms: True spike times (ms after onset), NaN padded.
        n: Number of true spikes during the step.
    """
    predicted = decoder.spike_map.mean_times(x, current_pa)
    k = torch.arange(predicted.shape[1], device=n.device)
    last = (n - 1).clamp(min=0)[:, None]
    shift = torch.where(n[:, None] > 0, spikes_ms.gather(1, last) - predicted.gather(1, last), 0.0)
    after = decoder.window.duration_ms + 0.05 * (1 + k - n[:, None])
    return torch.where(k < n[:, None], spikes_ms[:, : len(k)], torch.maximum(predicted + shift.nan_to_num(0.0), after))
