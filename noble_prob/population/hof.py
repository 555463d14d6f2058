"""Hall-of-Fame populations: many parameter sets of one morphology that all passed the same evolutionary fit.

A folder holds one ``morphology.swc`` and one Allen-style JSON file per model::

    {"passive": [{"ra": 123.3}],
     "conditions": [{"celsius": 34.0, "v_init": -68.0, "erev": [{"ena": 53.0, "ek": -107.0}]}],
     "genome": [{"section": "soma", "name": "gbar_NaV", "value": 0.14}, ...]}

with ``ra`` in ohm cm and, in the genome, one value per section, mechanism and parameter (units: :class:`CellModel`).
The axon (SWC tag 2) and everything that hangs on it is deleted and not replaced; apical dendrite (tag 4) counts as
dendrite, because the SWC reader of the simulator wants one tag along a branch.

Reference: Gouwens et al. (2018) Nature Communications 9, 710 (the parameter files); Arkhipov et al. (2018) PLoS
Computational Biology 14, e1006535 (the channels).
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from noble_prob.errors import UsageError, listed, require
from noble_prob.population.numbering import file_numbers, natural_order

SECTIONS = ("soma", "dend")
SCALARS = ("cm", "e_pas", "g_pas", "decay_CaDynamics", "gamma_CaDynamics")
CHANNELS = ("NaV", "Kv3_1", "K_Pst", "K_Tst", "Im_v2", "Ih", "SK", "Ca_HVA", "Ca_LVA")
LINEAR = ("Ra", "e_pas")
"""Parameters on a linear scale; all others are positive and live on a logarithmic one."""
MOST_KEYS = 100_000
"""Longest range of numbers."""


@dataclass(frozen=True, kw_only=True)
class CellModel:
    """One biophysical neuron: a morphology and its parameters.

    Attributes:
        label: Short name, unique in its population.
        swc: Text of the pruned morphology (SWC, micrometre).
        parameters: ``"Ra"`` (ohm cm) and ``"section.name"`` for cm (uF/cm2), e_pas (mV), g_pas and gbar (S/cm2),
            gamma (1) and decay (ms) of the calcium pool.
        celsius: Temperature of the channels.
        ena_mv: Reversal potential of sodium (mV).
        ek_mv: Reversal potential of potassium (mV).
        v_init_mv: Voltage from which the cell settles (mV).
    """

    label: str
    swc: str
    parameters: Mapping[str, float]
    celsius: float = 34.0
    ena_mv: float = 53.0
    ek_mv: float = -107.0
    v_init_mv: float = -68.0

    def __post_init__(self) -> None:
        for name in self.parameters:
            known = name == "Ra" or known_parameter(name)
            expected = f"Ra, or soma/dend with one of {SCALARS + CHANNELS}"
            require(known, "parameters", expected, name, "rename or remove the parameter")

    def __repr__(self) -> str:
        """One line for people."""
        return f"CellModel({self.label!r}, {len(self.parameters)} parameters)"


@dataclass(frozen=True, kw_only=True)
class HallOfFame:
    """Models of one cell, by number.

    Attributes:
        name: Name of the cell.
        models: The models.
        keys: Number of each model (``20 * (seed - 1) + rank`` for files ``seed_S_hof_H.json``, for others the place in
            the order of their names, ``model2`` before ``model10``).
        digest: SHA-256 over everything that was read.
    """

    name: str
    models: tuple[CellModel, ...]
    keys: tuple[int, ...]
    digest: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.models)

    def __repr__(self) -> str:
        """One line for people."""
        return f"HallOfFame({self.name!r}, {len(self)} models)"

    def select(self, keys: Iterable[int]) -> HallOfFame:
        """The models with these numbers, in this order.

        Raises:
            UsageError: If a number does not exist or comes twice.
        """
        by_key = dict(zip(self.keys, self.models, strict=True))
        wanted = tuple(keys)
        twice = sorted(k for k, n in Counter(wanted).items() if n > 1)
        require(not twice, "models", "numbers that differ", f"{listed(twice)} more than once", "name each model once")
        missing = [k for k in wanted if k not in by_key]
        expected = f"numbers among {self.keys[0]}..{self.keys[-1]}"
        require(not missing and len(wanted) > 0, "models", expected, missing[:8] or "none", "choose existing models")
        return HallOfFame(name=self.name, models=tuple(by_key[k] for k in wanted), keys=wanted, digest=self.digest)

    def without(self, keys: Iterable[int]) -> HallOfFame:
        """All models but these: the training models when ``keys`` are held out."""
        held_out = set(keys)
        return self.select(k for k in self.keys if k not in held_out)


def known_parameter(name: str) -> bool:
    """Whether ``section.parameter`` is one that a cell can be built from."""
    section, _, rest = name.partition(".")
    return section in SECTIONS and (rest in SCALARS or rest.removeprefix("gbar_") in CHANNELS)


def import_hof(path: str | Path) -> HallOfFame:
    """Read a Hall-of-Fame folder and check that all its models have the same parameters.

    Args:
        path: Folder with ``morphology.swc`` and one JSON file per model.

    Raises:
        UsageError: If a file is missing or does not follow the schema, or two files have the same number.
    """
    folder = Path(path)
    expected = "a folder with morphology.swc and model files (*.json)"
    require((folder / "morphology.swc").is_file(), "path", expected, folder, "give the folder of one Hall of Fame")
    files = sorted(folder.glob("*.json"), key=natural_order)
    require(bool(files), "path", "a folder with at least one model file (*.json)", folder, "add the parameter files")
    keys = file_numbers(files)
    swc_text = _text(folder / "morphology.swc")
    swc = prune_swc(swc_text)
    models = tuple(read_model(file, swc=swc) for file in files)
    names = set(models[0].parameters)
    for file, model in zip(files, models, strict=True):
        require(
            set(model.parameters) == names,
            str(file),
            f"a model with the {len(names)} parameters of the first",
            sorted(set(model.parameters) ^ names),
            "add or remove these",
        )
    digest = hashlib.sha256(swc_text.encode())
    for file in files:
        digest.update(file.read_bytes())
    return HallOfFame(name=folder.name, models=models, keys=keys, digest=digest.hexdigest())


def read_model(path: Path, *, swc: str) -> CellModel:
    """One Allen-style parameter file.

    Args:
        path: JSON file.
        swc: Text of the pruned morphology.

    Raises:
        UsageError: If an entry is missing or a mechanism is unknown.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        condition = data["conditions"][0]
        reversal = condition["erev"][0]
        parameters = {"Ra": float(data["passive"][0]["ra"])}
        parameters |= {f"{g['section']}.{g['name']}": float(g["value"]) for g in data["genome"]}
        conditions = {
            "celsius": float(condition["celsius"]),
            "ena_mv": float(reversal["ena"]),
            "ek_mv": float(reversal["ek"]),
            "v_init_mv": float(condition["v_init"]),
        }
    except (OSError, KeyError, IndexError, TypeError, ValueError, RecursionError) as error:
        raise UsageError(
            str(path),
            "a parameter file with passive, conditions and genome",
            repr(error),
            "compare it with `python -m pydoc noble_prob.population.hof`",
        ) from error
    undefined = [name for name, value in {**parameters, **conditions}.items() if not math.isfinite(value)]
    require(not undefined, str(path), "finite numbers", f"{listed(undefined)} without one", "correct the file")
    return CellModel(label=path.stem, swc=swc, parameters={k: parameters[k] for k in sorted(parameters)}, **conditions)


def _text(path: Path) -> str:
    """The text of a file."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(path.name, "a readable text (UTF-8)", error, "save it again as UTF-8") from error


def prune_swc(text: str) -> str:
    """Delete the axon (tag 2) with all that hangs on it and call apical dendrite (tag 4) dendrite (tag 3).

    Args:
        text: SWC file: one sample per line (id, tag, x, y, z, radius, parent), parents first.

    Raises:
        UsageError: If a line is not such a sample, a parent does not come before, or there is no soma (tag 1).
    """
    dropped: set[str] = set()
    kept: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        row = line.split("#")[0].split()
        if not row:
            continue
        require(
            _is_sample(row),
            "morphology.swc",
            "one sample per line: id, tag, x, y, z, radius, parent",
            f"{line[:40]!r} in line {number}",
            "correct the line, or copy the file again",
        )
        known = row[6] == "-1" or row[6] in kept or row[6] in dropped
        require(
            known,
            "morphology.swc",
            "samples whose parents come before them",
            f"the unknown parent {row[6]} in line {number}",
            "correct it, or copy the file again",
        )
        if row[1] == "2" or row[6] in dropped:
            dropped.add(row[0])
            continue
        row[1] = "3" if row[1] == "4" else row[1]
        kept[row[0]] = " ".join(row)
    soma = any(row.split()[1] == "1" for row in kept.values())
    require(soma, "morphology.swc", "a morphology with a soma (tag 1)", "none", "add the soma, or copy the file again")
    return "\n".join(kept.values()) + "\n"


def _is_sample(row: Sequence[str]) -> bool:
    """Whether the words of a line are a sample of an SWC file."""
    try:
        numbers = [float(word) for word in row[:7]]
    except ValueError:
        return False
    return len(row) >= 7 and all(map(math.isfinite, numbers))


def parse_keys(text: str, parameter: str = "models") -> tuple[int, ...]:
    """Numbers from a list such as ``0,2,5-9``.

    Args:
        text: The list.
        parameter: What is listed, for the error.

    Raises:
        UsageError: If the text is not such a list.
    """
    keys: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,18})(?:-(\d{1,18}))?\s*", part)
        if match is None:
            raise UsageError(
                parameter, "numbers and ranges such as 0,2,5-9", repr(text[:40]), "separate them by commas"
            )
        first, last = int(match[1]), int(match[2] or match[1])
        require(
            first <= last < first + MOST_KEYS,
            parameter,
            f"ranges upwards of at most {MOST_KEYS} numbers",
            repr(part.strip()),
            "write the smaller number first, and only numbers that exist",
        )
        keys += range(first, last + 1)
    return tuple(keys)


def parameter_table(models: Sequence[CellModel]) -> tuple[tuple[str, ...], list[list[float]]]:
    """Names and values (model, parameter) of models that share their parameters."""
    names = tuple(sorted(models[0].parameters))
    return names, [[model.parameters[name] for name in names] for model in models]
