"""What a run was asked for and saw, beside its states: so that a run that can not be continued says what changed.

``state/run.json`` holds the configuration, what every data set held, and the hash of a checkpoint that was begun from.
Nothing is decided by it: whether a state is continued, its own header says (:mod:`noble_prob.training.state`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from noble_prob.decoder.checkpoint import read_card
from noble_prob.jobs.whole import write_atomically
from noble_prob.population.progress import progress
from noble_prob.population.store import Store
from noble_prob.training import processes
from noble_prob.training.config import CellData, TrainConfig
from noble_prob.training.data import TrainingData
from noble_prob.training.loop import OutOfTimeError
from noble_prob.training.state import OtherRunError

FREE = ("out", "device", "tensorboard", "save_every", "log_every")
"""Keys that a run may change on its way."""
TRACES = "traces"


@contextmanager
def recorded(config: TrainConfig, data: Sequence[TrainingData]) -> Iterator[None]:
    """Around a run: its record is written, and a refusal to continue names what changed since.

    Args:
        config: What is asked for.
        data: What there is, one per cell.

    Raises:
        UsageError: In place of the :class:`OtherRunError` of a state, with the keys of the configuration.
    """
    folder = config.out / "state"
    file, now = folder / "run.json", _flat(_facts(config, data))
    if not _begun(folder):
        _write(file, now)
    try:
        yield
    except OtherRunError as error:
        changes = _changes(_read(file), now)
        if not changes:
            raise
        rest = {name: pair for name, pair in error.settings.items() if not any(k.endswith(name) for k in changes)}
        raise OtherRunError(error.file, {**changes, **rest}) from error
    except OutOfTimeError:
        _write(file, now)
        raise
    finally:
        if processes.first() and not _begun(folder):  # nothing to continue
            file.unlink(missing_ok=True)
            with suppress(OSError):
                folder.rmdir()
    _write(file, now)


def _begun(folder: Path) -> bool:
    """Whether a state was saved."""
    return any(folder.rglob("*.state"))


def _facts(config: TrainConfig, data: Sequence[TrainingData]) -> dict[str, Any]:
    """The configuration with the data of every cell."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(config), default=str))
    cells = zip(config.cells, data, strict=True)
    return {**values, "cells": {cell.name: _of_cell(cell, found) for cell, found in cells}}


def _of_cell(cell: CellData, data: TrainingData) -> dict[str, Any]:
    """What a cell is made from."""
    begun = {"start": str(cell.start), "start_weights": _weights(cell.start)} if cell.start else {}
    return {
        "stores": {path.name: f"{progress(Store(path)).accepted} accepted models" for path in cell.stores},
        "parts": [path.name for path in cell.parts],
        "held_out": list(cell.held_out),
        TRACES: data.responses.current_pa.numel(),
        **begun,
    }


def _weights(folder: Path) -> str:
    """The beginning of the hash of a checkpoint's weights: enough to tell two apart."""
    return str(read_card(folder).get("weights_sha256"))[:12]


def _flat(values: Mapping[str, Any], head: str = "") -> dict[str, Any]:
    """Nested tables as one, with keys such as ``schedules.operator.steps``."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        if name not in FREE:
            out |= _flat(value, f"{head}{name}.") if isinstance(value, Mapping) else {f"{head}{name}": value}
    return out


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Old and new value of every key that differs, the number of traces where nothing else explains it."""
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)] if old else []
    keys = [key for key in keys if not key.endswith(TRACES)] or keys
    return {key: (old.get(key), new.get(key)) for key in keys}


def _read(file: Path) -> dict[str, Any]:
    """The record of before; empty where there is none that can be read."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _write(file: Path, values: Mapping[str, Any]) -> None:
    if processes.first():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(values, indent=1).encode())
