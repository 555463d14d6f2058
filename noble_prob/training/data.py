"""Training data: measured responses, with the split that keeps held-out models held out.

``split`` says what each model may be used for: ``train`` for gradients and scaling, ``validation`` for choosing and for
the decoder's error model, ``held_out`` for nothing but the final figures. Validation models are *perturbed* ones drawn
by seed, a model with all its rows; published held-out models are never anything else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from noble_prob.errors import require
from noble_prob.features import measure
from noble_prob.features.spikes import find_spikes
from noble_prob.latent import Latent
from noble_prob.population.latents import FEATURES13, HELD_OUT_MODELS, latent_values, protocol_of
from noble_prob.recording import Recording
from noble_prob.training.responses import MV_OFFSET, MV_PER_COUNT, ResponseSet, concatenate, standard_columns

__all__ = [
    "HELD_OUT",
    "MV_OFFSET",
    "MV_PER_COUNT",
    "N_SPIKES",
    "SUMMARY_NAMES",
    "TRAIN",
    "VALIDATION",
    "ResponseSet",
    "TrainingData",
    "concatenate",
    "merge",
    "prepare",
    "split_models",
]

N_SPIKES = 64
N_PUBLISHED = 60
LATE_MS = 40.0
"""A spike this long after the step is not caused by it (ms), unless it rebounds from strong hyperpolarisation."""
REBOUND_BELOW_PA = -60.0
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
class TrainingData:
    """A response set with what networks learn from it.

    Attributes:
        responses: The accepted models.
        latents: Latent features in their units, shape ``(model, latent)``.
        spikes_ms: Spike times after onset (ms), NaN padded, shape ``(model, sweep, spike)``; the first 64 of the trace.
        n_spikes: Spikes that peak during the step, shape ``(model, sweep)``.
        summary: Features of :data:`SUMMARY_NAMES`, NaN where undefined, shape ``(model, sweep, feature)``.
        split: 0 train, 1 validation, 2 held out, shape ``(model,)``.
        rejected: Rows of the sets with each fault; one may have several, and published models are kept in spite of the
            last two.
        published: Share of a batch that is drawn from the published models alone, the rest from all; 0 draws every
            trace as often.
    """

    responses: ResponseSet
    latents: Float[Tensor, "model latent"]
    spikes_ms: Float[Tensor, "model sweep spike"]
    n_spikes: Int[Tensor, "model sweep"]
    summary: Float[Tensor, "model sweep feature"]
    split: Int[Tensor, " model"]
    rejected: dict[str, int]
    published: float = 0.0

    def where(self, split: int) -> Int[Tensor, " chosen"]:
        """Positions of the models of a split."""
        return torch.nonzero(self.split == split).flatten()

    def first_row(self) -> Int[Tensor, " model"]:
        """For every row the first one of its model: rows of equal latents, or of one published number, are one."""
        number = self.responses.model[:, None]
        return _same(torch.cat([torch.where(number < 0, self.latents, 0.0), number.to(self.latents)], 1))

    def firsts(self) -> Bool[Tensor, " model"]:
        """Whether a row is the first one of its model."""
        return self.first_row() == torch.arange(len(self.split))

    def digest(self) -> str:
        """SHA-256 over responses, split and share of published models: what may not change under a run's feet."""
        drawn = f"{self.published}" if self.published else ""
        of = (self.responses.digest() + drawn).encode() + self.split.numpy().tobytes()
        return hashlib.sha256(of).hexdigest()


def merge(sets: Sequence[TrainingData], *, cell: str) -> TrainingData:
    """Data of several cells as those of one; every model keeps its split.

    Args:
        sets: Data with the same latents on one grid with the same number of currents.
        cell: Name of the whole.
    """
    joined = concatenate([replace(s.responses, cell=cell) for s in sets])
    reasons = {name for s in sets for name in s.rejected}
    return TrainingData(
        responses=joined,
        latents=torch.cat([s.latents for s in sets]),
        spikes_ms=torch.cat([s.spikes_ms for s in sets]),
        n_spikes=torch.cat([s.n_spikes for s in sets]),
        summary=torch.cat([s.summary for s in sets]),
        split=torch.cat([s.split for s in sets]),
        rejected={name: sum(s.rejected.get(name, 0) for s in sets) for name in sorted(reasons)},
        published=sets[0].published,
    )


def prepare(
    responses: ResponseSet,
    *,
    standard_sweeps: Sequence[int] | None = None,
    latents: tuple[Latent, ...] = FEATURES13,
    validation: int = 120,
    seed: int = 0,
    held_out: Iterable[int] = HELD_OUT_MODELS,
) -> TrainingData:
    """Measure a response set, drop what is no neuron of this kind, and split it.

    Dropped are models that lack a latent, fire before the step, or fire by themselves after it.

    Args:
        responses: Simulated responses.
        standard_sweeps: Columns that hold the standard protocol; found by their currents when not given.
        latents: Features of the latent space.
        validation: Number of perturbed models set aside.
        seed: Of the choice of validation models.
        held_out: Numbers of the published models that nothing may be learned from.

    Raises:
        UsageError: If the standard protocol is missing, or no model is left to train on.
    """
    protocol = protocol_of(latents)
    columns = standard_columns(responses, protocol) if standard_sweeps is None else standard_sweeps
    values, spikes, summary = [], [], []
    for index in torch.arange(len(responses)).split(64):
        values.append(latent_values(responses.recording(index, columns), latents)[0])
        voltage = responses.voltage_mv(index)
        found = find_spikes(voltage, responses.window.time_ms)
        spikes.append(_pad((found.peak_ms - responses.window.onset_ms).to(voltage)))
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
        split=split_models(
            kept.model,
            validation=validation,
            seed=seed,
            held_out=held_out,
            latents=value[index],
            dropped=_dropped(rejected, int((~keep).sum())),
        ),
        rejected=rejected,
    )


def split_models(
    model: Int[Tensor, " model"],
    *,
    validation: int,
    seed: int,
    held_out: Iterable[int] = HELD_OUT_MODELS,
    latents: Float[Tensor, "model latent"] | None = None,
    dropped: str = "",
) -> Int[Tensor, " model"]:
    """What each model may be used for: held-out numbers for nothing, some perturbed models for validation.

    Args:
        model: Published number of each model, -1 for perturbed ones.
        validation: How many perturbed models to set aside.
        seed: Of their choice.
        held_out: Published numbers that stay apart.
        latents: By which perturbed models are told apart: rows of equal latents are one model, which a second set of
            the same seed or a folded one holds again, and stay together. Without them every row is a model.
        dropped: What was dropped before, for the error.

    Raises:
        UsageError: If too few perturbed models are there, or nothing would be left to train on.
    """
    other = ", or name another `latent_space`" if dropped else ""
    remedy = f"set fewer models aside or simulate more{other}"
    apart = torch.tensor(sorted(held_out), dtype=model.dtype)
    split = torch.where(torch.isin(model, apart), HELD_OUT, TRAIN)
    perturbed = torch.nonzero(model < 0).flatten()
    of_row = torch.arange(len(perturbed)) if latents is None else _same(latents[perturbed])
    each = of_row.unique()
    require(
        len(each) > 0,
        "cells",
        "data with perturbed models, some of which are set aside",
        f"none{dropped}",
        f"make a data set with more `--n-models` than there are base models{other}",
    )
    require(
        0 < validation <= len(each),
        "validation",
        f"from 1 to {len(each)}, the number of perturbed models",
        f"{validation}{dropped}",
        remedy,
    )
    order = torch.randperm(len(each), generator=torch.Generator().manual_seed(seed))
    split[perturbed[torch.isin(of_row, each[order[:validation]])]] = VALIDATION
    left = int((split == TRAIN).sum())
    require(
        left > 1, "validation", "less than the number of models", f"{left} models left to train on{dropped}", remedy
    )
    return split


def _same(latents: Float[Tensor, "row latent"]) -> Int[Tensor, " row"]:
    """For every row the first one with the same latents."""
    _, group = torch.unique(latents, dim=0, return_inverse=True)
    row = torch.arange(len(latents))
    return torch.full_like(row, len(row)).scatter_reduce(0, group, row, "amin")[group]


def _dropped(rejected: Mapping[str, int], n: int) -> str:
    """How many rows were dropped and why, for a sentence."""
    return f", with {n} dropped ({', '.join(f'{why}: {k}' for why, k in rejected.items() if k)})" if n else ""


def _pad(spikes_ms: Tensor) -> Tensor:
    """Exactly 64 columns, NaN behind the last spike."""
    out = spikes_ms.new_full((*spikes_ms.shape[:-1], N_SPIKES), torch.nan)
    n = min(N_SPIKES, spikes_ms.shape[-1])
    out[..., :n] = spikes_ms[..., :n]
    return out


def _summary(responses: ResponseSet) -> Float[Tensor, "model sweep feature"]:
    """Summary features of every sweep; sweeps are flattened because their currents differ from model to model."""
    protocol = responses.protocol(responses.current_pa.flatten())
    features = measure(
        Recording(protocol=protocol, voltage_mv=responses.voltage_mv().flatten(0, 1)), names=SUMMARY_NAMES
    )
    return features.value.reshape(*responses.current_pa.shape, -1).to(torch.float32)


def _accept(
    latents: Tensor, spikes_ms: Tensor, responses: ResponseSet
) -> tuple[Bool[Tensor, " model"], dict[str, int]]:
    """Which models are neurons of this kind, and why the others are not; published ones need only their latents."""
    undefined = ~torch.isfinite(latents).all(-1)
    early = (spikes_ms < 0).any(-1).any(-1)
    after = (spikes_ms > responses.window.duration_ms + LATE_MS).any(-1)
    spontaneous = (after & (responses.current_pa > REBOUND_BELOW_PA)).any(-1)
    reasons = {"latent undefined": undefined, "fires before the step": early, "fires long after the step": spontaneous}
    published = responses.model >= 0
    keep = ~undefined & (published | ~(early | spontaneous))
    return keep, {name: int(bad.sum()) for name, bad in reasons.items()}
