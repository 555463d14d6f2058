"""Simulated responses as training data, with the split that keeps held-out models held out.

A :class:`ResponseSet` is a table of models by currents: voltages (int16, 0.01 mV), currents, spike times. ``split``
says
what each model may be used for: ``train`` for gradients and scaling, ``validation`` for choosing and for the decoder's
error model, ``held_out`` for nothing but the final figures. Validation models are *perturbed* ones drawn by seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int, Int16
from torch import Tensor

from noble_prob.decoder.base import Window
from noble_prob.errors import require
from noble_prob.features import measure
from noble_prob.features.spikes import find_spikes
from noble_prob.latent import Latent
from noble_prob.population.latents import FEATURES13, HELD_OUT_MODELS, latent_values
from noble_prob.recording import Protocol, Recording

MV_PER_COUNT, MV_OFFSET = 0.01, -70.0
N_SPIKES = 64
TRAIN, VALIDATION, HELD_OUT = 0, 1, 2

SUMMARY_NAMES = (
    "resting_voltage_mv",
    "voltage_deflection_mv",
    "sag_mv",
    "membrane_time_constant_ms",
    "ap1_peak_mv",
    "ap1_trough_mv",
    "ap1_width_ms",
)
"""Features the summary network predicts for one sweep."""


@dataclass(frozen=True, kw_only=True)
class ResponseSet:
    """Responses of many models to a few step currents each.

    Attributes:
        cell: Name of the cell the models are of.
        window: Grid and stimulus.
        model: Number of each published model, -1 for perturbed ones, shape ``(model,)``.
        current_pa: Step currents (pA), shape ``(model, sweep)``.
        counts: Voltage, ``mV = counts * 0.01 - 70``, shape ``(model, sweep, time)``.
    """

    cell: str
    window: Window
    model: Int[Tensor, " model"]
    current_pa: Float[Tensor, "model sweep"]
    counts: Int16[Tensor, "model sweep time"]

    def __len__(self) -> int:
        return len(self.model)

    def take(self, index: Tensor) -> ResponseSet:
        """The models at these positions."""
        return replace(self, model=self.model[index], current_pa=self.current_pa[index], counts=self.counts[index])

    def voltage_mv(self, index: Tensor | slice = slice(None)) -> Float[Tensor, "model sweep time"]:
        """Voltage of some models (mV, float32)."""
        return self.counts[index].to(torch.float32) * MV_PER_COUNT + MV_OFFSET

    def recording(self, index: Tensor | slice, sweeps: Sequence[int]) -> Recording:
        """Some models' responses to currents that are the same for all of them."""
        currents = self.current_pa[index][:, list(sweeps)]
        require(bool((currents == currents[:1]).all()), "sweeps", "columns whose current is the same for every model",
                list(sweeps), "use the columns of the standard protocol")  # fmt: skip
        w = self.window
        protocol = Protocol.step_family(
            currents[0],
            onset_ms=w.onset_ms,
            duration_ms=w.duration_ms,
            total_ms=w.n_samples * w.dt_ms,
            dt_ms=w.dt_ms,
        )
        return Recording(protocol=protocol, voltage_mv=self.voltage_mv(index)[:, list(sweeps)], axes=("neuron",))


def concatenate(sets: Sequence[ResponseSet]) -> ResponseSet:
    """Join sets of one cell and window."""
    return replace(
        sets[0],
        model=torch.cat([s.model for s in sets]),
        current_pa=torch.cat([s.current_pa for s in sets]),
        counts=torch.cat([s.counts for s in sets]),
    )


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """A response set with what networks learn from it.

    Attributes:
        responses: The accepted models.
        latents: Latent features in their units, shape ``(model, latent)``.
        spikes_ms: Spike times after onset (ms), NaN padded, shape ``(model, sweep, spike)``; the first 64 of the trace.
        n_spikes: Spikes that peak during the step, shape ``(model, sweep)``.
        summary: Features of :data:`SUMMARY_NAMES`, NaN where undefined, shape ``(model, sweep, feature)``.
        split: 0 train, 1 validation, 2 held out, shape ``(model,)``.
        rejected: Number of models dropped, by reason.
    """

    responses: ResponseSet
    latents: Float[Tensor, "model latent"]
    spikes_ms: Float[Tensor, "model sweep spike"]
    n_spikes: Int[Tensor, "model sweep"]
    summary: Float[Tensor, "model sweep feature"]
    split: Int[Tensor, " model"]
    rejected: dict[str, int]

    def where(self, split: int) -> Int[Tensor, " chosen"]:
        """Positions of the models of a split."""
        return torch.nonzero(self.split == split).flatten()


def prepare(
    responses: ResponseSet,
    *,
    standard_sweeps: Sequence[int],
    latents: tuple[Latent, ...] = FEATURES13,
    validation: int = 120,
    seed: int = 0,
) -> TrainingData:
    """Measure a response set, drop what is no neuron of this kind, and split it.

    Dropped are models that lack a latent, fire before the step, or fire by themselves after it.

    Args:
        responses: Simulated responses.
        standard_sweeps: Columns that hold the standard protocol.
        latents: Features of the latent space.
        validation: Number of perturbed models set aside.
        seed: Of the choice of validation models.
    """
    values, spikes, summary = [], [], []
    for index in torch.arange(len(responses)).split(64):
        values.append(latent_values(responses.recording(index, standard_sweeps), latents)[0])
        found = find_spikes(responses.voltage_mv(index), responses.window.time_ms)
        spikes.append(_pad(found.peak_ms - responses.window.onset_ms))
        summary.append(_summary(responses.take(index)))
    value, spike = torch.cat(values), torch.cat(spikes)
    keep, rejected = _accept(value, spike, responses)
    index = torch.nonzero(keep).flatten()
    kept = responses.take(index)
    during = (spike[index] >= 0) & (spike[index] < responses.window.duration_ms)
    return TrainingData(
        responses=kept,
        latents=value[index],
        spikes_ms=spike[index],
        n_spikes=during.sum(-1),
        summary=torch.cat(summary)[index],
        split=_split(kept.model, validation, seed),
        rejected=rejected,
    )


def _pad(spikes_ms: Tensor) -> Tensor:
    """Exactly 64 columns, NaN behind the last spike."""
    out = spikes_ms.new_full((*spikes_ms.shape[:-1], N_SPIKES), torch.nan)
    n = min(N_SPIKES, spikes_ms.shape[-1])
    out[..., :n] = spikes_ms[..., :n]
    return out


def _summary(responses: ResponseSet) -> Float[Tensor, "model sweep feature"]:
    """Summary features of every sweep; sweeps are flattened because their currents differ from model to model."""
    w = responses.window
    flat = responses.current_pa.flatten()
    protocol = Protocol.step_family(
        flat, onset_ms=w.onset_ms, duration_ms=w.duration_ms, total_ms=w.n_samples * w.dt_ms, dt_ms=w.dt_ms
    )
    features = measure(Recording(protocol=protocol, voltage_mv=responses.voltage_mv().flatten(0, 1)))
    columns = [torch.where(mask, value, torch.nan) for value, mask in (features[n] for n in SUMMARY_NAMES)]
    return torch.stack(columns, -1).reshape(*responses.current_pa.shape, -1).to(torch.float32)


def _accept(
    latents: Tensor, spikes_ms: Tensor, responses: ResponseSet
) -> tuple[Bool[Tensor, " model"], dict[str, int]]:
    """Which models are neurons of this kind, and why the others are not; published ones need only their latents."""
    undefined = ~torch.isfinite(latents).all(-1)
    early = (spikes_ms < 0).any(-1).any(-1)
    late = (spikes_ms > responses.window.duration_ms + 40.0).any(-1) & (responses.current_pa > -60.0)
    spontaneous = late.any(-1)
    reasons = {"latent undefined": undefined, "fires before the step": early, "fires long after the step": spontaneous}
    published = (responses.model >= 0) & (responses.model < 60)
    keep = ~undefined & (published | ~(early | spontaneous))
    return keep, {name: int(bad.sum()) for name, bad in reasons.items()}


def _split(model: Tensor, validation: int, seed: int) -> Int[Tensor, " model"]:
    """Published held-out models stay held out; validation models are perturbed ones."""
    split = torch.where(torch.isin(model, torch.tensor(HELD_OUT_MODELS)), HELD_OUT, TRAIN)
    perturbed = torch.nonzero((model < 0) | (model >= 60)).flatten()
    order = torch.randperm(len(perturbed), generator=torch.Generator().manual_seed(seed))
    split[perturbed[order[:validation]]] = VALIDATION
    return split
