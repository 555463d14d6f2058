"""Train a whole decoder: spike map, summary and offset networks, then the operator on true spike times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from noble_prob.decoder.noble import Architecture, NobleDecoder
from noble_prob.population.latents import fit_space
from noble_prob.training.data import SUMMARY_NAMES, TRAIN, TrainingData
from noble_prob.training.loop import Schedule, Task, fit
from noble_prob.training.tasks import OffsetTask, OperatorTask, SpikeMapTask, SummaryTask

Schedules = Mapping[str, Schedule]

DEFAULT_SCHEDULES: Schedules = {
    "spike_map": Schedule(steps=30_000, batch=1024, peak_lr=2e-3, ema=0.999, save_every=5000, validate_every=5000),
    "summary": Schedule(steps=8000, batch=512, peak_lr=2e-3, ema=0.999, save_every=8000, validate_every=4000),
    "offset": Schedule(steps=6000, batch=512, peak_lr=2e-3, ema=0.999, save_every=6000, validate_every=3000),
    "operator": Schedule(steps=12_000, batch=64, peak_lr=2e-3, ema=0.999, save_every=2000, validate_every=2000),
}
"""What the shipped decoders were trained with."""


def new_decoder(data: TrainingData, *, space: str, architecture: Architecture, seed: int) -> NobleDecoder:
    """An untrained decoder, its latent space scaled and its support fitted on the training models."""
    latents = data.latents[data.where(TRAIN)]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        decoder = NobleDecoder(
            space=fit_space(space, latents),
            window=data.responses.window,
            summary_names=SUMMARY_NAMES,
            architecture=architecture,
        )
    decoder.fit_support(latents)
    return decoder


def train_timing(
    decoder: NobleDecoder, data: TrainingData, schedules: Schedules, folder: Path | None
) -> dict[str, dict[str, float]]:
    """Train everything but the operator; returns the last validation figures by network."""
    figures: dict[str, dict[str, float]] = {}
    tasks: dict[str, Callable[[TrainingData, NobleDecoder], Task]] = {
        "spike_map": SpikeMapTask,
        "summary": SummaryTask,
        "offset": OffsetTask,
    }
    for name, task in tasks.items():
        rows = fit(task(data, decoder), schedules[name], folder, name=name)
        figures |= {name: rows[-1]} if rows else {}
    return figures


def train_operator(
    decoder: NobleDecoder, data: TrainingData, schedules: Schedules, folder: Path | None, *, compiled: bool = False
) -> dict[str, float]:
    """Train the operator on true spike times; returns the last validation figures."""
    rows = fit(OperatorTask(data, decoder, compiled=compiled), schedules["operator"], folder, name="operator")
    return rows[-1] if rows else {}
