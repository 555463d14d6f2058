"""Train a whole decoder: spike map, summary and offset networks, then the operator on true spike times."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

import torch
from torch import nn

from noble_prob.decoder.architecture import Architecture
from noble_prob.decoder.checkpoint import TrainedDecoder, load_decoder
from noble_prob.decoder.noble import NobleDecoder
from noble_prob.decoder.paper import PaperArchitecture, PaperDecoder
from noble_prob.decoder.spike_map import SpikeMap
from noble_prob.errors import require
from noble_prob.population.latents import fit_space
from noble_prob.training.data import N_SPIKES, SUMMARY_NAMES, TRAIN, TrainingData
from noble_prob.training.held import Held
from noble_prob.training.history import Row
from noble_prob.training.loop import FitOptions, fit
from noble_prob.training.objective import Task
from noble_prob.training.operators import PaperTask, SharedOperatorTask
from noble_prob.training.precision import matrix_products
from noble_prob.training.schedule import Schedule
from noble_prob.training.student import StudentTask, spike_map_for
from noble_prob.training.tasks import OffsetTask, OperatorTask, SpikeMapTask, SummaryTask

Schedules = Mapping[str, Schedule]
TIMING_TASKS: dict[str, Callable[[TrainingData, NobleDecoder], Task]] = {"summary": SummaryTask, "offset": OffsetTask}
"""What is trained between spike map and operator, in this order."""

DEFAULT_SCHEDULES: Schedules = {
    "spike_map": Schedule(steps=30_000, batch=1024, peak_lr=2e-3, ema=0.999, save_every=5000, validate_every=5000),
    "student": Schedule(
        steps=30_000,
        batch=4096,
        optimiser="soap",
        peak_lr=1e-3,
        warmup=0.05,
        ema=0.999,
        save_every=10_000,
        validate_every=10_000,
    ),
    "summary": Schedule(steps=8000, batch=512, peak_lr=2e-3, ema=0.999, save_every=8000, validate_every=4000),
    "offset": Schedule(steps=6000, batch=512, peak_lr=2e-3, ema=0.999, save_every=6000, validate_every=3000),
    "operator": Schedule(steps=12_000, batch=64, peak_lr=2e-3, ema=0.999, save_every=2000, validate_every=2000),
}
"""What a network is trained with where nothing else is said."""


def new_decoder(data: TrainingData, *, space: str, architecture: Architecture, seed: int) -> NobleDecoder:
    """An untrained decoder, its latent space scaled and its support fitted on the training models.

    Args:
        data: Its data; only training models are looked at.
        space: Name of the latent space.
        architecture: Sizes.
        seed: Of the initial weights.

    Raises:
        UsageError: If it is to predict more spikes than the data hold.
    """
    require(
        architecture.n_spikes <= N_SPIKES,
        "architecture.n_spikes",
        f"at most {N_SPIKES}, what the data hold",
        architecture.n_spikes,
        "predict fewer spikes",
    )
    decoder: NobleDecoder = _new(NobleDecoder, data, space, architecture, seed)
    features = data.summary[data.where(TRAIN)].flatten(0, 1)
    known = [column[torch.isfinite(column)] for column in features.T]
    decoder.summary_net.centre.copy_(torch.stack([c.mean() for c in known]))
    decoder.summary_net.scale.copy_(torch.stack([c.std() for c in known]))
    return decoder


def started_decoder(folder: Path, *, space: str) -> NobleDecoder:
    """The decoder of a checkpoint, to be trained on.

    Args:
        folder: The checkpoint.
        space: Name of the latent space it must have.

    Raises:
        UsageError: If there is none, or it has another latent space or kind.
    """
    decoder = load_decoder(folder)
    alike = isinstance(decoder, NobleDecoder) and decoder.space.name == space
    require(
        alike,
        "cells.start",
        f"the checkpoint of a noble decoder with the latent space {space!r}",
        f"one with {decoder.space.name!r}",
        "name that space, or another checkpoint",
    )
    assert isinstance(decoder, NobleDecoder)
    return decoder.train().requires_grad_(True)


def new_paper_decoder(data: TrainingData, *, space: str, architecture: PaperArchitecture, seed: int) -> PaperDecoder:
    """The same for the paper's configuration (see :mod:`noble_prob.decoder.paper`)."""
    return _new(PaperDecoder, data, space, architecture, seed)


def _new(kind: type[Any], data: TrainingData, space: str, architecture: Any, seed: int) -> Any:
    latents = data.latents[data.where(TRAIN)]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        decoder = kind(
            space=fit_space(space, latents),
            window=data.responses.window,
            summary_names=SUMMARY_NAMES,
            architecture=architecture,
        )
    decoder.fit_support(latents)
    return decoder


def train_timing(
    decoder: NobleDecoder,
    data: TrainingData,
    schedules: Schedules,
    folder: Path | None,
    *,
    teachers: int = 0,
    teacher_width: int = 256,
    held: bool = False,
    **options: Unpack[FitOptions],
) -> dict[str, Row]:
    """Train everything but the operator, always in float32.

    Tensor cores round the factors of a product to a thousandth (tf32). In a short comparison
    (docs/decoder_experiments.md) that was a fifth faster and no less accurate; these networks are small, so they are
    spared the question.

    Args:
        decoder: Trained in place.
        data: Its data.
        schedules: One each for ``spike_map``, ``summary`` and ``offset``, and for ``student`` where there are teachers.
        folder: Where states and logs go.
        teachers: So many networks are trained in the spike map's place, which is then taught their mean; 0 trains the
            spike map itself.
        teacher_width: Units per hidden layer of these.
        held: Whether their answers are held to the latents.
        options: Those of :func:`~noble_prob.training.loop.fit`.

    Returns:
        The last row of each network's log.
    """
    last: dict[str, Row] = {}
    with matrix_products("float32"):
        seed = schedules["spike_map"].seed
        several = spike_map_for(decoder, width=teacher_width, members=teachers, seed=seed) if teachers else None
        last |= _train_spike_map(decoder, data, schedules, folder, several, held, options)
        for name, task in TIMING_TASKS.items():
            job = task(data, decoder)
            own = {"spike_map": weights_digest(decoder.spike_map)} if name == "offset" else {}
            about = _about(decoder, data, job.module) | own
            last[name] = fit(job, schedules[name], folder, name=name, about=about, **options)[-1]
    return last


def _train_spike_map(
    decoder: NobleDecoder,
    data: TrainingData,
    schedules: Schedules,
    folder: Path | None,
    teachers: SpikeMap | None,
    held: bool,
    options: FitOptions,
) -> dict[str, Row]:
    """The spike map from data, or from teachers that learn from data first."""
    job = SpikeMapTask(data, decoder, teachers)
    about = _about(decoder, data, job.module)
    last = {"spike_map": fit(job, schedules["spike_map"], folder, name="spike_map", about=about, **options)[-1]}
    if teachers is not None:
        teachers.requires_grad_(False)
        student = StudentTask(decoder, Held(teachers, decoder.space) if held else teachers, job.train.x)
        about = _about(decoder, data, student.module) | {"teachers": weights_digest(teachers)}
        about |= {"held": "to the latents"} if held else {}
        last["student"] = fit(student, schedules["student"], folder, name="student", about=about, **options)[-1]
    return last


def train_operator(
    decoder: NobleDecoder,
    data: TrainingData,
    schedules: Schedules,
    folder: Path | None,
    *,
    compiled: bool = False,
    **options: Unpack[FitOptions],
) -> Row:
    """Train the operator on true spike times.

    Args:
        decoder: Trained in place; its spike map is trained already.
        data: Its data.
        schedules: The one of ``operator`` is used.
        folder: Where state and log go.
        compiled: Whether to compile the loss.
        options: Those of :func:`~noble_prob.training.loop.fit`.

    Returns:
        The last row of the log.
    """
    about = _about(decoder, data, decoder.operator) | {"spike_map": weights_digest(decoder.spike_map)}
    task = OperatorTask(data, decoder, compiled=compiled)
    return fit(task, schedules["operator"], folder, name="operator", about=about, **options)[-1]


def train_shared_operator(
    decoders: Sequence[NobleDecoder],
    data: Sequence[TrainingData],
    schedules: Schedules,
    folder: Path | None,
    *,
    compiled: bool = False,
    **options: Unpack[FitOptions],
) -> Row:
    """Train the one operator of several cells; arguments as :func:`train_operator`, one decoder and data per cell."""
    pairs = list(zip(data, decoders, strict=True))
    cells = [d.responses.cell for d in data]
    about = {cell: [d.digest(), weights_digest(n.spike_map)] for cell, (d, n) in zip(cells, pairs, strict=True)}
    task = SharedOperatorTask([OperatorTask(d, n, compiled=compiled) for d, n in pairs], cells)
    return fit(task, schedules["operator"], folder, name="operator", about=about, **options)[-1]


def train_paper(
    decoder: PaperDecoder,
    data: TrainingData,
    schedules: Schedules,
    folder: Path | None,
    *,
    compiled: bool = False,
    **options: Unpack[FitOptions],
) -> Row:
    """Train the paper's operator on voltages; arguments as :func:`train_operator`.

    Its embedding is made from numbers on the host, so its steps are not recorded as a CUDA graph.
    """
    task = PaperTask(data, decoder, compiled=compiled)
    options["captured"] = False
    about = _about(decoder, data, decoder.operator)
    return fit(task, schedules["operator"], folder, name="operator", about=about, **options)[-1]


def _about(decoder: TrainedDecoder, data: TrainingData, module: nn.Module) -> dict[str, str]:
    """What a run depends on beside its schedule."""
    return {"latent_space": decoder.space.name, "data": data.digest(), "began_with": weights_digest(module)}


def weights_digest(module: nn.Module) -> str:
    """SHA-256 over a module's parameters."""
    total = hashlib.sha256()
    for parameter in module.parameters():
        total.update(parameter.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()
