"""A training run as a file: TOML in, frozen dataclasses out; what is not known is an error with the nearest name.

``noble-prob train --help`` shows one. Paths are relative to the file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_type_hints

from noble_prob.decoder.architecture import Architecture
from noble_prob.decoder.paper import PaperArchitecture
from noble_prob.errors import UsageError, require
from noble_prob.population.latents import HELD_OUT_MODELS, SPACES
from noble_prob.training.decoder import DEFAULT_SCHEDULES
from noble_prob.training.schedule import Schedule
from noble_prob.training.toml_tables import as_dataclass, construct, require_known, typed

Kind = Literal["noble", "paper"]
Share = Literal["nothing", "operator", "everything"]
Precision = Literal["float32", "tf32"]
NETWORKS: dict[str, tuple[str, ...]] = {
    "noble": ("spike_map", "student", "summary", "offset", "operator"),
    "paper": ("operator",),
}
"""Networks that are trained, by kind of decoder."""
RESERVED = ("state", "shared")
"""Folders of a run that hold no cell's checkpoint."""
LONGEST_NAME = 100


@dataclass(frozen=True, kw_only=True)
class CellData:
    """Where the responses of one cell are.

    Attributes:
        name: Name of the cell, and of its checkpoint.
        stores: Folders of data sets (``docs/data_sets.md``).
        parts: Packed parts; patterns with ``*`` are allowed.
        held_out: Numbers of the published models that nothing may be learned from.
        start: Folder of a checkpoint to train on from; random weights when not given. Its latent space keeps its scale
            and its support stays, so the data may be fewer than it has seen.
    """

    name: str
    stores: tuple[Path, ...] = ()
    parts: tuple[Path, ...] = ()
    held_out: tuple[int, ...] = HELD_OUT_MODELS
    start: Path | None = None

    def __post_init__(self) -> None:
        require(
            bool(self.stores or self.parts),
            "cells",
            "with `stores` or `parts`",
            f"{self.name!r} without data",
            "name a data set or packed parts",
        )
        _require_name(self.name)
        require(
            min(self.held_out, default=0) >= 0,
            "cells.held_out",
            "numbers of published models",
            self.held_out,
            "give numbers of at least 0",
        )


def _require_name(name: str) -> None:
    """Refuse the name of a cell that can not be that of its folder."""
    plain = name.isprintable() and name[:1] not in ("", ".") and "/" not in name
    require(
        plain,
        "cells.name",
        "a name that can be a folder",
        repr(name[:40]),
        "leave out slashes, control characters and a point in front",
    )
    require(
        len(name.encode()) <= LONGEST_NAME,
        "cells.name",
        f"at most {LONGEST_NAME} bytes long",
        f"{len(name.encode())} bytes",
        "shorten it",
    )
    require(
        name not in RESERVED,
        "cells.name",
        f"another than {' and '.join(RESERVED)}",
        repr(name),
        "choose another name: these are folders of the run itself",
    )


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that determines a training run.

    Attributes:
        out: Folder of states, logs and finished checkpoints.
        cells: The cells to train, in one run.
        decoder: ``noble``, phase-modulated; ``paper``, the configuration of the NOBLE paper.
        share: What several cells share: ``nothing``; the ``operator``, with timing networks of their own; or
            ``everything``, told apart by their latents alone.
        latent_space: Name of the latent space.
        architecture: Sizes of the networks.
        schedules: How each network is trained.
        seed: Of initial weights, split and data order (a schedule may have its own).
        validation: Perturbed models of each cell that are set aside.
        published: Share of every batch that is drawn from the published models alone, the rest from all models: a
            population only surrounds them.
        teachers: So many networks learn timing from the data, and the spike map is taught what they say on average; 0
            trains the spike map's members on the data themselves.
        teacher_width: Units per hidden layer of these.
        held: Whether what they say is held to the latents before it is taught (:mod:`noble_prob.training.held`).
        train_models: Use only so many training models of each cell; all when not given.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``float32``, or ``tf32`` for matrix products on tensor cores.
        compiled: Whether to compile the operator's loss.
        captured: Whether a step is recorded as a CUDA graph (one process on a GPU).
        tensorboard: Whether to write TensorBoard's event files beside the CSV logs.
    """

    out: Path
    cells: tuple[CellData, ...]
    decoder: Kind = "noble"
    share: Share = "nothing"
    latent_space: str = "features13"
    architecture: Architecture | PaperArchitecture = field(default_factory=Architecture)
    schedules: Mapping[str, Schedule] = field(default_factory=lambda: dict(DEFAULT_SCHEDULES))
    seed: int = 0
    validation: int = 120
    published: float = 0.0
    teachers: int = 0
    teacher_width: int = 256
    held: bool = False
    train_models: int | None = None
    device: str = "cpu"
    precision: Precision = "float32"
    compiled: bool = False
    captured: bool = True
    tensorboard: bool = False

    def __post_init__(self) -> None:
        names = [cell.name for cell in self.cells]
        require(
            len(set(names)) == len(names) > 0,
            "cells",
            "at least one, each with its own name",
            names or "none",
            "add a table [[cells]]",
        )
        require_known("latent_space", self.latent_space, SPACES)
        require(0 <= self.published < 1, "published", "a share from 0 to 1", self.published, "use 0.3, or 0 for none")
        require(
            self.decoder == "noble" or self.share == "nothing",
            "share",
            '"nothing" for the paper\'s decoder',
            repr(self.share),
            "train every cell by itself",
        )
        require(0 <= self.seed < 2**63, "seed", "at least 0 and below 2^63", self.seed, "choose another one")
        require(self.validation > 0, "validation", "above 0", self.validation, "use 120")
        for name, size in vars(self.architecture).items():
            require(size > 0 or isinstance(size, bool), f"architecture.{name}", "above 0", size, "leave it out")
        require(self.teachers >= 0, "teachers", "at least 0", self.teachers, "use 5, or 0 for none")
        require(self.teacher_width > 0, "teacher_width", "above 0", self.teacher_width, "use 256")
        self._require_together()

    def _require_together(self) -> None:
        """Refuse teachers and starts where the decoders are not of a kind that can have them, and ``held`` alone."""
        taught = not self.held or self.teachers > 0
        require(taught, "held", "false without `teachers`", self.held, "give `teachers = 5`, too")
        fresh = self.decoder == "noble" and not any(cell.start for cell in self.cells)
        require(
            fresh or not self.teachers,
            "teachers",
            "0 for the paper's decoder and where a cell has a `start`",
            self.teachers,
            "leave it out",
        )
        alone = self.decoder == "noble" and self.share == "nothing"
        started = [cell.name for cell in self.cells if cell.start]
        require(
            alone or not started,
            "cells.start",
            "given where every cell has a noble decoder of its own",
            started,
            "begin with random weights",
        )


def read_config(path: Path) -> TrainConfig:
    """Read a training run.

    Args:
        path: A TOML file.

    Raises:
        UsageError: If it can not be read, a key is not known, a value has the wrong type or is out of range.
    """
    require(path.exists(), "config", "a TOML file", f"{path.name!r}, which is not there", "check its path and spelling")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UsageError("config", "a readable TOML file", f"{path.name} ({reason})", "correct the file") from error
    return parse_config(table, base=path.parent)


def parse_config(table: Mapping[str, Any], *, base: Path = Path()) -> TrainConfig:
    """A training run from the tables of its file.

    Args:
        table: Keys and tables.
        base: What paths are relative to.

    Raises:
        UsageError: As :func:`read_config`.
    """
    hints = get_type_hints(TrainConfig)
    for name in table:
        require_known("config", name, hints)
    kind = typed("decoder", table.get("decoder", "noble"), Kind, base)
    nested = ("cells", "architecture", "schedules")
    values = {k: typed(k, v, hints[k], base) for k, v in table.items() if k not in nested}
    sizes = Architecture if kind == "noble" else PaperArchitecture
    return construct(
        TrainConfig,
        "config",
        {
            **values,
            "cells": tuple(as_dataclass(CellData, f"cells[{i}]", c, base) for i, c in enumerate(_tables(table))),
            "architecture": as_dataclass(sizes, "architecture", table.get("architecture", {}), base),
            "schedules": _schedules(table.get("schedules", {}), kind, int(values.get("seed", 0)), base),
        },
    )


def _tables(table: Mapping[str, Any]) -> list[Any]:
    cells = table.get("cells", [])
    require(isinstance(cells, list), "cells", "tables [[cells]]", type(cells).__name__, "write [[cells]], not [cells]")
    return cells


def _schedules(tables: Any, kind: str, seed: int, base: Path) -> dict[str, Schedule]:
    """The schedule of every network: what the file says over the defaults."""
    require(
        isinstance(tables, dict), "schedules", "tables such as [schedules.operator]", tables, "write them as tables"
    )
    for name in tables:
        require_known("schedules", name, NETWORKS[kind])
    out = {}
    for name in NETWORKS[kind]:
        where, default = f"schedules.{name}", DEFAULT_SCHEDULES[name]
        as_dataclass(Schedule, where, tables.get(name, {}), base)
        given = {**vars(default), "seed": seed, **tables.get(name, {})}
        out[name] = as_dataclass(Schedule, where, given, base)
    return out
