"""A table of features: one row per repeat, cell or draw, one column per feature; NaN where undefined.

It is the only thing that calibration looks at, so a recording, an ensemble and a CSV from another laboratory are
judged alike, with no decoder in sight. The meaning of a row is its ``axis`` (see :mod:`noble_prob.latent`):
``trial`` for repeats of one cell, ``neuron`` for cells, ``draw`` for our ignorance about one. Tables of different
axes are never compared.

CSV: a header with the feature names (a unit may follow in brackets, ``latency (ms)``), one line per row, an empty
cell or ``nan`` where undefined. Columns that are not numbers are kept aside as labels.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from noble_prob.errors import UsageError, require
from noble_prob.features import Features
from noble_prob.latent import Axis

_HEAD = re.compile(r"^(?P<name>.*?)\s*(?:\((?P<unit>[^()]*)\)|\[(?P<unit2>[^\[\]]*)\])?$")
_MISSING = {"", "nan", "na", "none", "null"}


@dataclass(frozen=True, kw_only=True)
class FeatureTable:
    """Features of several repeats, cells or draws.

    Attributes:
        names: Feature names.
        units: Their units, empty for counts.
        value: Values, NaN where undefined, shape ``(row, feature)``.
        axis: What a row is: ``trial``, ``neuron`` or ``draw``.
        source: Where the table came from, for messages and provenance.
        labels: Optional name of each row.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    value: Float[ndarray, "row feature"]
    axis: Axis
    source: str = "table"
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.names)
        require(self.axis in get_args(Axis), "axis", "one of draw, neuron, trial", self.axis, "say what a row is")
        require(self.value.ndim == 2 and self.value.shape[1] == n == len(self.units), "value", f"of shape (row, {n})",
                tuple(self.value.shape), "give one column per feature")  # fmt: skip
        require(len(set(self.names)) == len(self.names), "names", "unique", list(self.names), "rename a column")

    def __len__(self) -> int:
        return len(self.value)

    def column(self, name: str) -> Float[ndarray, " row"]:
        """Values of one feature.

        Raises:
            UsageError: If there is no such feature.
        """
        require(name in self.names, "name", f"among {', '.join(self.names)}", name, "pick a column of the table")
        return self.value[:, self.names.index(name)]

    def select(self, names: Sequence[str]) -> FeatureTable:
        """The same rows with some features, in the given order."""
        for name in names:
            self.column(name)
        index = [self.names.index(name) for name in names]
        return replace(self, names=tuple(names), units=tuple(self.units[i] for i in index), value=self.value[:, index])

    def rows(self, index: ndarray | Sequence[int]) -> FeatureTable:
        """The same features of some rows, by position or by a boolean mask."""
        picked = np.arange(len(self))[np.asarray(index)]
        labels = tuple(self.labels[i] for i in picked) if self.labels else ()
        return replace(self, value=self.value[picked], labels=labels)

    @classmethod
    def from_features(
        cls, features: Features, *, axis: Axis, sweep: int | None = None, source: str = "recording"
    ) -> FeatureTable:
        """Turn measured features into rows.

        Args:
            features: Measured on one neuron whose *sweeps* are the rows (no batch axes, ``sweep`` None), or on an
                ensemble whose batch members are the rows, of which one ``sweep`` is taken.
            axis: What a row is; an ensemble's innermost axis must have this name.
            sweep: The sweep of an ensemble.
            source: Where the table came from.

        Raises:
            UsageError: If axes and ``sweep`` do not fit.
        """
        value = features.value.detach().cpu().numpy().astype(float)
        if features.axes:
            require(sweep is not None, "sweep", "the index of one sweep of the ensemble", sweep, "pick a stimulus")
            require(features.axes[-1] == axis, "axis", f"'{features.axes[-1]}', as the ensemble says", f"'{axis}'",
                    "do not mix ignorance (draw), diversity (neuron) and repeats (trial)")  # fmt: skip
            value = value[..., sweep, :].reshape(-1, len(features.names))
        units = tuple("" if unit == "1" else unit for unit in features.units)
        return cls(names=features.names, units=units, value=value, axis=axis, source=source)

    @classmethod
    def from_csv(cls, path: str | Path, *, axis: Axis, where: Mapping[str, str] | None = None) -> FeatureTable:
        """Read a table of features per repeat or per cell.

        Args:
            path: CSV file, see the module's text for its columns.
            axis: What a row is.
            where: Only rows in which these columns hold these words, for example ``{"cell_type": "PVALB"}``.

        Raises:
            UsageError: If the file is absent, has no row (left), or has no numerical column.
        """
        path = Path(path)
        require(path.is_file(), "path", "an existing CSV file", path, "check the name")
        with path.open(newline="", encoding="utf-8-sig") as file:
            try:
                lines = [line for line in csv.reader(file) if line]
            except (csv.Error, UnicodeDecodeError) as error:
                raise UsageError("path", "a CSV file in UTF-8", f"{path.name}: {error}", "export it as CSV") from error
        require(
            len(lines) >= 2, "path", "a header and at least one row", f"{len(lines)} lines", "export the table again"
        )
        width = len(lines[0])
        twice = sorted({head for head in lines[0] if lines[0].count(head) > 1})
        require(not twice, "path", f"different column names in {path.name}", f"{twice[:1]} twice", "rename one column")
        ragged = [k + 2 for k, line in enumerate(lines[1:]) if len(line) != width]
        require(not ragged, "path", f"{width} cells in every line of {path.name}",
                f"another number in line {ragged[:1]}", "export the table again")  # fmt: skip
        columns = _where({head: [line[k] for line in lines[1:]] for k, head in enumerate(lines[0])}, where or {})
        return _from_columns(columns, axis, path.name)

    def to_csv(self, path: str | Path) -> None:
        """Write the table so that :meth:`from_csv` reads it back."""
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            heads = [f"{n} ({u})" if u else n for n, u in zip(self.names, self.units, strict=True)]
            writer.writerow([*(["label"] if self.labels else []), *heads])
            for k, row in enumerate(self.value):
                cells = ["" if np.isnan(v) else repr(float(v)) for v in row]
                writer.writerow([*([self.labels[k]] if self.labels else []), *cells])


def _where(columns: dict[str, list[str]], where: Mapping[str, str]) -> dict[str, list[str]]:
    """The rows in which every named column holds the wanted word."""
    for head, word in where.items():
        require(head in columns, "where", f"a column among {', '.join([*columns][:12])}", head, "check the name")
        kept = [k for k, cell in enumerate(columns[head]) if cell.strip() == word]
        found = ", ".join(sorted(set(columns[head]))[:8])
        require(bool(kept), "where", f"a word that {head} holds ({found})", repr(word), "check the word")
        columns = {name: [cells[k] for k in kept] for name, cells in columns.items()}
    return columns


def _from_columns(columns: dict[str, list[str]], axis: Axis, source: str) -> FeatureTable:
    """Numerical columns become features; the first other column becomes the labels."""
    numbers = {head: values for head, cells in columns.items() if (values := _numbers(cells)) is not None}
    words = [cells for head, cells in columns.items() if head not in numbers]
    require(bool(numbers), "path", "at least one numerical column", ", ".join(columns), "give features as numbers")
    heads = [_HEAD.match(head.strip()) for head in numbers]
    return FeatureTable(
        names=tuple(m["name"] for m in heads if m),
        units=tuple(m["unit"] or m["unit2"] or "" for m in heads if m),
        value=np.column_stack(list(numbers.values())),
        axis=axis,
        source=source,
        labels=tuple(words[0]) if words else (),
    )


def _numbers(cells: list[str]) -> list[float] | None:
    """A column as numbers, None if it holds words (or nothing at all)."""
    try:
        values = [float("nan") if cell.strip().lower() in _MISSING else float(cell) for cell in cells]
    except ValueError:
        return None
    return None if np.isnan(values).all() and any(cell.strip().lower() == "none" for cell in cells) else values


def common_features(observed: FeatureTable, ensemble: FeatureTable) -> tuple[FeatureTable, FeatureTable]:
    """Both tables with the features that they share, in the order of the first.

    Raises:
        UsageError: If the axes differ, a unit differs, or nothing is shared.
    """
    require(observed.axis == ensemble.axis, "ensemble", f"rows that are '{observed.axis}', as in the observed table",
            f"'{ensemble.axis}'", "do not mix ignorance (draw), diversity (neuron) and repeats (trial)")  # fmt: skip
    shared = [name for name in observed.names if name in ensemble.names]
    require(bool(shared), "ensemble", f"at least one of the features {', '.join(observed.names)}",
            ", ".join(ensemble.names), "rename the columns alike")  # fmt: skip
    a, b = observed.select(shared), ensemble.select(shared)
    for name, unit, other in zip(shared, a.units, b.units, strict=True):
        require(not unit or not other or unit == other, "ensemble", f"{name} in {unit}", other, "convert one table")
    units = tuple(unit or other for unit, other in zip(a.units, b.units, strict=True))
    return replace(a, units=units), replace(b, units=units)
