"""What each network is trained on: batches drawn on the device, losses, validation on validation models."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from noble_prob.decoder.channels import fast_channels
from noble_prob.decoder.embedding import firing_channels
from noble_prob.decoder.noble import NobleDecoder
from noble_prob.decoder.spike_map import SpikeMap, current_features
from noble_prob.training.bend import bend
from noble_prob.training.data import TRAIN, VALIDATION, TrainingData
from noble_prob.training.losses import spike_map_loss, waveform_loss
from noble_prob.training.traces import Traces, all_teacher_times, teacher_times

__all__ = ["OffsetTask", "OperatorTask", "SpikeMapTask", "SummaryTask", "Traces", "teacher_times", "timing_figures"]

BENT_INTERVALS = 24
"""First intervals of a train that are kept from bending."""
BENT_SHARE = 4
"""One in so many traces of a batch is asked how it bends: an answer for nothing, at three evaluations each."""
NEAR_MS = 50.0
"""Latency above which a neuron is so near its rheobase that its log latency, which diverges there, is let bend."""
VALIDATION_BATCH = 64
"""Voltages that are rendered at once in a validation."""


def both_splits(data: TrainingData, decoder: NobleDecoder, *, voltage: bool = False) -> tuple[Traces, Traces]:
    """Training and validation traces on the decoder's device."""
    device = decoder.support_precision.device
    train, valid = (Traces(data, s, decoder.space, device, voltage=voltage) for s in (TRAIN, VALIDATION))
    return train, valid


class SpikeMapTask:
    """All members of the spike map at once, each on its own random traces.

    Args:
        data: Traces.
        decoder: Its spike map is trained.
        spike_map: This one in its place.
    """

    def __init__(self, data: TrainingData, decoder: NobleDecoder, spike_map: SpikeMap | None = None):
        self.spike_map, self.duration_ms = spike_map or decoder.spike_map, decoder.window.duration_ms
        self.module: nn.Module = self.spike_map
        self.train, self.valid = both_splits(data, decoder)

    def draw(self, batch: int, generator: torch.Generator) -> Tensor:
        """A batch of traces for every member."""
        return self.train.random(batch * self.spike_map.members, generator)

    def loss(self, rows: Tensor) -> Tensor:
        """Timing loss, summed over members so that each is trained as if alone."""
        t, i = self.train, rows
        predicted = self.spike_map.times(self._answer(t.x[i], t.current[i]))
        losses = spike_map_loss(predicted, t.spikes[i], t.n[i], duration_ms=self.duration_ms)
        return self._over_members(losses)

    def bend(self, rows: Tensor) -> Tensor:
        """Bend of log latency and log intervals, summed over members; a neuron near its rheobase may bend."""
        spike_map = self.spike_map
        each = rows.unflatten(0, (spike_map.members, -1))
        i = each[:, : max(1, each.shape[1] // BENT_SHARE)].flatten()
        x, current = self.train.x[i], self.train.current[i]
        here = self._answer(x, current)
        off = spike_map.logarithms(bend(lambda x: self._answer(x, current), x, here)).abs()
        away = (NEAR_MS / spike_map.times(here.detach())[:, 0]).clamp(max=1.0).square()
        return self._over_members(away * (off[:, 0] + 2 * off[:, 1 : 1 + BENT_INTERVALS].mean(-1)))

    def _answer(self, x: Tensor, current_pa: Tensor) -> Tensor:
        """What each member says of its own part of the rows."""
        net, members = self.spike_map.net, self.spike_map.members
        return net(torch.cat([x, current_features(current_pa)], -1).unflatten(0, (members, -1))).flatten(0, 1)

    def _over_members(self, each: Tensor) -> Tensor:
        return each.unflatten(0, (self.spike_map.members, -1)).mean(1).sum()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Spike-time error and spike counts of the ensemble mean on validation models."""
        predicted = self.spike_map.mean_times(self.valid.x, self.valid.current)
        return timing_figures(predicted, self.valid, self.duration_ms)


def timing_figures(predicted_ms: Tensor, traces: Traces, duration_ms: float) -> dict[str, float]:
    """Median and 90th percentile of spike-time error (ms), relative count error, share of spiking mismatches."""
    columns = predicted_ms.shape[-1]
    real = torch.arange(columns, device=traces.n.device) < traces.n[:, None]
    error = (predicted_ms - traces.spikes[:, :columns]).abs()[real].sort().values
    n_hat = (predicted_ms < duration_ms).sum(-1)
    fires = traces.n > 0
    count = ((n_hat - traces.n).abs() / traces.n.clamp(min=1))[fires].float().mean()
    median, high = (float(error[int(q * (len(error) - 1))]) if len(error) else torch.nan for q in (0.5, 0.9))
    return {
        "spike_time_error_ms": median,
        "spike_time_error_ms_p90": high,
        "spike_count_error": float(count),
        "spiking_mismatch": float(((n_hat > 0) != fires).float().mean()),
    }


class SummaryTask:
    """Summary features, each in units of its spread, where it is defined."""

    def __init__(self, data: TrainingData, decoder: NobleDecoder):
        self.network = decoder.summary_net
        self.module: nn.Module = self.network
        self.train, self.valid = both_splits(data, decoder)

    def _error(self, traces: Traces, i: Tensor | slice) -> Tensor:
        predicted = self.network(traces.x[i], traces.current[i])
        return (predicted - traces.summary[i]) / self.network.scale

    def draw(self, batch: int, generator: torch.Generator) -> Tensor:
        """A batch of traces."""
        return self.train.random(batch, generator)

    def loss(self, rows: Tensor) -> Tensor:
        """Mean absolute error over what is defined."""
        error = self._error(self.train, rows)
        defined = torch.isfinite(error)
        return torch.where(defined, error, 0.0).abs().sum() / defined.sum()

    def bend(self, rows: Tensor) -> Tensor:
        """Bend of the features."""
        known = current_features(self.train.current[rows])
        return bend(lambda x: self.network.net(torch.cat([x, known], -1)), self.train.x[rows]).abs().mean()

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
        self.train, self.valid = both_splits(data, decoder)
        self._given = {id(t): self._context(t) for t in (self.train, self.valid)}

    def _context(self, traces: Traces) -> tuple[Tensor, Tensor, Tensor]:
        """Of every row: when the next spike would have come (ms after the end), after which interval, when one came."""
        end, n = self.decoder.window.duration_ms, traces.n
        times = all_teacher_times(self.decoder, traces)
        following = times.gather(1, n[:, None].clamp(max=times.shape[1] - 1))[:, 0]
        last = (n - 1).clamp(0, times.shape[1] - 1)[:, None]
        before = torch.where(n > 0, times.gather(1, last)[:, 0], 0.0)
        late = torch.where(traces.spikes >= end, traces.spikes, torch.inf).amin(-1) - end
        return following - end, following - before, late

    def _terms(self, traces: Traces, i: Tensor | slice) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        gap, interval, late = (column[i] for column in self._given[id(traces)])
        odds, delay = self.module(traces.x[i], traces.current[i], gap, interval)
        return odds, delay, late, torch.isfinite(late)

    def draw(self, batch: int, generator: torch.Generator) -> Tensor:
        """A batch of traces."""
        return self.train.random(batch, generator)

    def loss(self, rows: Tensor) -> Tensor:
        """Cross-entropy of the event and absolute error of its log delay."""
        odds, delay, late, happens = self._terms(self.train, rows)
        when = ((delay + 0.1).log() - (torch.where(happens, late, 1.0) + 0.1).log()).abs()
        return nn.functional.binary_cross_entropy_with_logits(odds, happens.float()) + 0.3 * (when * happens).mean()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Share of wrong calls and the median error of the delay (ms), where a spike does come."""
        odds, delay, late, happens = self._terms(self.valid, slice(None))
        figures = {"offset_wrong": float(((odds > 0) != happens).float().mean())}
        if bool(happens.any()):
            figures["offset_delay_error_ms"] = float((delay - late)[happens].abs().median())
        return figures


def render_loss(
    decoder: NobleDecoder,
    x: Float[Tensor, "batch latent"],
    current_pa: Float[Tensor, " batch"],
    times_ms: Float[Tensor, "batch spike"],
    happens: Float[Tensor, "batch spike"],
    voltage_mv: Float[Tensor, "batch time"],
) -> Float[Tensor, ""]:
    """Mean relative error of the rendered voltage about rest, along ``decoder.path``.

    Args:
        decoder: Whose operator renders.
        x: Standardised latents.
        current_pa: Step currents (pA).
        times_ms: Spike times (ms after onset), continuing past the end of the step.
        happens: Times of the spikes that do happen, +inf elsewhere.
        voltage_mv: True voltage.
    """
    w = decoder.window
    at = torch.arange(w.n_samples, device=x.device, dtype=torch.float32) * w.dt_ms - w.onset_ms
    embed = fast_channels if decoder.path == "fast" else firing_channels
    channels = embed(times_ms, current_pa, at, duration_ms=w.duration_ms, happens=happens)
    predicted = decoder.operator(channels, decoder.condition(x, current_pa), path=decoder.path)
    return waveform_loss(predicted, voltage_mv).mean()


class OperatorTask:
    """Voltage from *true* spike times: the operator learns waveforms, not timing."""

    def __init__(self, data: TrainingData, decoder: NobleDecoder, *, compiled: bool = False):
        self.decoder = decoder
        self.module: nn.Module = decoder.operator
        self.train, self.valid = both_splits(data, decoder, voltage=True)
        self._times = {id(t): all_teacher_times(decoder, t) for t in (self.train, self.valid)}
        self._loss = torch.compile(self._render_loss, dynamic=False) if compiled else self._render_loss

    def _render_loss(self, x: Tensor, current: Tensor, times: Tensor, happens: Tensor, voltage: Tensor) -> Tensor:
        return render_loss(self.decoder, x, current, times, happens, voltage)

    def _inputs(self, traces: Traces, i: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        spikes = traces.spikes[i]
        happens = torch.where(torch.isfinite(spikes), spikes, torch.inf)
        return traces.x[i], traces.current[i], self._times[id(traces)][i], happens, traces.voltage(i)

    def draw(self, batch: int, generator: torch.Generator) -> Tensor:
        """A batch of traces."""
        return self.train.random(batch, generator)

    def loss(self, rows: Tensor) -> Tensor:
        """Mean relative error of the voltage about rest."""
        return self._loss(*self._inputs(self.train, rows))

    def bend(self, rows: Tensor) -> Tensor:
        """Bend of the scales and shifts that FiLM sets."""
        film, condition, current = self.decoder.operator.film, self.decoder.condition, self.train.current[rows]
        return bend(lambda x: film(condition(x, current)), self.train.x[rows]).abs().mean()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """The same on validation models, given their true spikes."""
        chunks = torch.arange(len(self.valid), device=self.valid.x.device).split(VALIDATION_BATCH)
        losses = [self._render_loss(*self._inputs(self.valid, i)) * len(i) for i in chunks]
        return {"waveform_error": float(torch.stack(losses).sum() / len(self.valid))}
