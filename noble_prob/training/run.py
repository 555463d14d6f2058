"""A whole training run: data, networks, error model, checkpoints. Killed at any moment, the same call continues it.

out/state/CELL/     states and logs of the cell's own networks
out/state/shared/   of what several cells share
out/state/run.json  what was asked for and seen, so that a refusal to continue names what changed
out/CELL/           the finished checkpoint: card, weights, latent table
"""

from __future__ import annotations

import json
import math
import platform
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypedDict

import torch

from noble_prob.decoder.architecture import Architecture
from noble_prob.decoder.checkpoint import TrainedDecoder, read_card
from noble_prob.decoder.noble import NobleDecoder
from noble_prob.decoder.paper import PaperArchitecture
from noble_prob.jobs.place import locked, require_folder
from noble_prob.population.latents import SPACES, fit_space, protocol_of
from noble_prob.training import processes
from noble_prob.training.config import TrainConfig
from noble_prob.training.data import SUMMARY_NAMES, TRAIN, TrainingData, merge
from noble_prob.training.decoder import (
    new_decoder,
    new_paper_decoder,
    started_decoder,
    train_operator,
    train_paper,
    train_shared_operator,
    train_timing,
)
from noble_prob.training.error_model import measure_error, require_measurable
from noble_prob.training.gather import gather
from noble_prob.training.history import Row
from noble_prob.training.loop import FitOptions, figures
from noble_prob.training.operators import share_operator
from noble_prob.training.precision import matrix_products
from noble_prob.training.publish import publish
from noble_prob.training.record import recorded
from noble_prob.training.responses import standard_columns

SHARED = "shared"


@dataclass(kw_only=True)
class _Cell:
    """A cell on its way from data to checkpoint; ``rows`` are the last rows of its networks' logs."""

    data: TrainingData
    decoder: TrainedDecoder
    rows: dict[str, Row] = field(default_factory=dict)
    start: Path | None = None


def train(config: TrainConfig, *, max_minutes: float | None = None, progress: bool = True) -> dict[str, Path]:
    """Run or continue a training.

    Args:
        config: What to train.
        max_minutes: Save and stop after this time; the same call continues.
        progress: Show bars on stderr.

    Returns:
        The folder of each cell's checkpoint.

    Raises:
        UsageError: If the data can not be used, or ``config.out`` can not be written, holds a run of other settings, or
            one that is under way.
        OutOfTimeError: When ``max_minutes`` are over.
    """
    deadline = None if max_minutes is None else time.monotonic() + 60 * max_minutes
    options: FitOptions = {
        "captured": config.captured,
        "deadline": deadline,
        "tensorboard": config.tensorboard,
        "progress": progress,
    }
    require_folder(config.out)
    with processes.joined(config.device) as device, matrix_products(config.precision):
        data = [gather(cell, config) for cell in config.cells]
        for each in data if config.decoder == "noble" else ():
            require_measurable(each, SUMMARY_NAMES, standard_sweeps=_standard(each, config))
        with locked(config.out) if processes.first() else nullcontext():
            with recorded(config, data):
                cells = _train(data, config, device, options)
            if processes.first():
                for cell in cells:
                    _finish(cell, config, device)
    return {cell.name: config.out / cell.name for cell in config.cells}


def _train(data: list[TrainingData], config: TrainConfig, device: torch.device, options: FitOptions) -> list[_Cell]:
    """The networks of every cell, as far as they are shared."""
    if config.decoder == "paper":
        return [_train_paper(d, config, device, options) for d in data]
    if config.share == "everything":
        return _train_everything(data, config, device, options)
    return _train_cells(data, config, device, options)


def _train_paper(data: TrainingData, config: TrainConfig, device: torch.device, options: FitOptions) -> _Cell:
    """The paper's operator for one cell."""
    assert isinstance(config.architecture, PaperArchitecture)
    decoder = new_paper_decoder(data, space=config.latent_space, architecture=config.architecture, seed=config.seed)
    state = config.out / "state" / data.responses.cell
    row = train_paper(decoder.to(device), data, config.schedules, state, compiled=config.compiled, **options)
    return _Cell(data=data, decoder=decoder, rows={"operator": row})


class _Teaching(TypedDict):
    teachers: int
    teacher_width: int
    held: bool


def _teachers(config: TrainConfig) -> _Teaching:
    return {"teachers": config.teachers, "teacher_width": config.teacher_width, "held": config.held}


def _new(data: TrainingData, config: TrainConfig, device: torch.device) -> NobleDecoder:
    assert isinstance(config.architecture, Architecture)
    decoder = new_decoder(data, space=config.latent_space, architecture=config.architecture, seed=config.seed)
    return decoder.to(device)


def _train_cells(
    data: list[TrainingData], config: TrainConfig, device: torch.device, options: FitOptions
) -> list[_Cell]:
    """Timing networks for every cell, then an operator for each or one for all."""
    decoders = [
        started_decoder(c.start, space=config.latent_space).to(device) if c.start else _new(d, config, device)
        for d, c in zip(data, config.cells, strict=True)
    ]
    rows: list[dict[str, Row]] = []
    for d, decoder in zip(data, decoders, strict=True):
        state = config.out / "state" / d.responses.cell
        rows.append(train_timing(decoder, d, config.schedules, state, **_teachers(config), **options))
        if config.share == "nothing":
            last = train_operator(decoder, d, config.schedules, state, compiled=config.compiled, **options)
            rows[-1]["operator"] = last
    if config.share == "operator":
        share_operator(decoders, fit_space(config.latent_space, torch.cat([d.latents[d.where(TRAIN)] for d in data])))
        state = config.out / "state" / SHARED
        last = train_shared_operator(decoders, data, config.schedules, state, compiled=config.compiled, **options)
        rows = [{**r, "operator": last} for r in rows]
    parts = zip(data, decoders, rows, config.cells, strict=True)
    return [_Cell(data=d, decoder=n, rows=r, start=c.start) for d, n, r, c in parts]


def _train_everything(
    data: list[TrainingData], config: TrainConfig, device: torch.device, options: FitOptions
) -> list[_Cell]:
    """One decoder for all cells, published with each cell's window, support and error."""
    joint = merge(data, cell=SHARED)
    decoder = _new(joint, config, device)
    state = config.out / "state" / SHARED
    rows = train_timing(decoder, joint, config.schedules, state, **_teachers(config), **options)
    rows["operator"] = train_operator(decoder, joint, config.schedules, state, compiled=config.compiled, **options)
    cells = []
    for d in data:
        own = _new(joint, config, device)
        own.load_state_dict(decoder.state_dict())
        own.window = d.responses.window
        own.fit_support(d.latents[d.where(TRAIN)])
        cells.append(_Cell(data=d, decoder=own, rows=rows))
    return cells


def _finish(cell: _Cell, config: TrainConfig, device: torch.device) -> None:
    """Measure the decoder's error and write its checkpoint."""
    decoder, data = cell.decoder.eval(), cell.data
    if isinstance(decoder, NobleDecoder):
        decoder.error = measure_error(decoder, data, standard_sweeps=_standard(data, config))
    before = {"started_from": read_card(cell.start)["training"]} if cell.start else {}
    figures_of = {name: _finite(figures(row)) for name, row in cell.rows.items()}
    publish(
        decoder,
        data,
        config.out / data.responses.cell,
        metrics={"validation": figures_of},
        training={
            "config": _without_places(config),
            "data_sha256": data.digest(),
            "machine": machine(device),
            "processes": processes.world(),
            "wall_s": {name: round(row["seconds"], 1) for name, row in cell.rows.items()},
            **before,
        },
    )


def _standard(data: TrainingData, config: TrainConfig) -> tuple[int, ...]:
    """Columns of the standard protocol."""
    return standard_columns(data.responses, protocol_of(SPACES[config.latent_space]))


def _finite(row: Row) -> dict[str, float | None]:
    """JSON knows no NaN: a figure that is undefined is null."""
    return {name: value if math.isfinite(value) else None for name, value in row.items()}


def _without_places(config: TrainConfig) -> dict[str, Any]:
    """The configuration as JSON values; of paths only the last part, since a card travels."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(config), default=lambda path: path.name))
    return {name: value for name, value in values.items() if name != "out"}


def machine(device: torch.device) -> str:
    """The processor that computed, in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
