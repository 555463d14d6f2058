"""A table of features: one row per repeat, cell or draw, one column per feature; NaN where undefined.

It is the only thing that calibration looks at, so a recording, an ensemble and a CSV from another laboratory are
judged alike, with no decoder in sight. The meaning of a row is its ``axis`` (see :mod:`noble_prob.latent`):
``trial`` for repeats of one cell, ``neuron`` for cells, ``draw`` for our ignorance about one. Tables of different
axes are never compared.

CSV: a header with the feature names (a unit may follow in brackets, ``latency (ms)``), one line per row, an empty
cell, ``nan`` or ``n/a`` where undefined. The separator is a comma, a semicolon or a tab; decimals have a point; lines
that begin with ``#`` are comments. Columns without any number are labels, and so is a first column headed ``label``
whatever it holds; one of numbers and words is refused (:mod:`noble_prob.calibration.table_csv`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from noble_prob.calibration.table_csv import LABEL, read_columns
from noble_prob.errors import UsageError, listed, require, require_kind
from noble_prob.features import Features
from noble_prob.jobs.whole import write_atomically
from noble_prob.latent import Axis
from noble_prob.readers.text_table import join_unit
from noble_prob.recording.numbers import indices, numbers
from noble_prob.recording.step import Step, same_height

SAME_MS = 4.0
"""Steps of one height are one stimulus if their lengths differ by no more (ms)."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class FeatureTable:
    """Features of several repeats, cells or draws; equal to itself only.

    Attributes:
        names: Feature names.
        units: Their units, empty for counts.
        value: Values, NaN where undefined, shape ``(row, feature)``: an array, a tensor, lists (None is undefined) or a
            table of pandas; kept in double precision.
        axis: What a row is: ``trial``, ``neuron`` or ``draw``.
        source: Where the table came from, for messages and provenance.
        labels: Optional name of each row.

    Raises:
        UsageError: If values are no numbers or infinite, names are no words, or names, units and labels
            do not fit them.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    value: Float[ndarray, "row feature"]
    axis: Axis
    source: str = "table"
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for kind in ("names", "units", "labels"):
            object.__setattr__(self, kind, _words(getattr(self, kind), kind))
        for kind in ("names", "units"):
            wrong = [repr(word) for word in getattr(self, kind) if not isinstance(word, str)]
            require(not wrong, kind, "words", listed(wrong), "pass strings")
        object.__setattr__(self, "value", numbers(self.value, "value").detach().cpu().double().numpy())
        n = len(self.names)
        require(self.axis in get_args(Axis), "axis", "one of draw, neuron, trial", self.axis, "say what a row is")
        require(
            self.value.ndim == 2 and self.value.shape[1] == n == len(self.units),
            "value",
            f"of shape (row, {n})",
            tuple(self.value.shape),
            "give one column per feature",
        )
        for row, column in np.argwhere(np.isinf(self.value))[:1]:
            raise UsageError(
                "value",
                f"finite, or NaN where undefined, in {self.source}",
                f"inf in row {row + 1} of {self.names[column]}",
                "leave it empty, or NaN, where the feature is undefined",
            )
        require(len(set(self.names)) == len(self.names), "names", "unique", list(self.names), "rename a column")
        require(
            len(self.labels) in (0, len(self)),
            "labels",
            f"one per row: {len(self)}",
            len(self.labels),
            "name every row, or none",
        )

    def __repr__(self) -> str:
        """One line for people."""
        heads = [join_unit(name, unit) for name, unit in zip(self.names, self.units, strict=True)]
        return f"FeatureTable({len(self)} rows of axis {self.axis!r} from {self.source!r}; {listed(heads, 4)})"

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
        """The same rows with some features, in the given order.

        Raises:
            UsageError: If there is no such feature.
        """
        names = _words(names, "names")
        for name in names:
            self.column(name)
        index = [self.names.index(name) for name in names]
        return replace(self, names=tuple(names), units=tuple(self.units[i] for i in index), value=self.value[:, index])

    def rows(self, index: ndarray | Sequence[int]) -> FeatureTable:
        """The same features of some rows, by position or by a boolean mask; none of them is a table, too.

        Raises:
            UsageError: If a row is not there, or a mask is not as long as the table.
        """
        given = np.asarray(index)
        none = not given.size or (given.dtype == np.bool_ and given.shape == (len(self),) and not given.any())
        picked = [] if none else indices(index, len(self), "index", "rows")
        labels = tuple(self.labels[i] for i in picked) if self.labels else ()
        return replace(self, value=self.value[picked], labels=labels)

    @classmethod
    def from_features(
        cls, features: Features, *, axis: Axis, sweep: int | None = None, source: str = "recording"
    ) -> FeatureTable:
        """Turn measured features into rows, which keep the labels of an ensemble's members.

        Args:
            features: Measured on one neuron whose *sweeps* are repeats of one step (no batch axes), or on an ensemble
                with one batch axis longer than 1, whose members are the rows.
            axis: What a row is: ``trial`` for sweeps, else the name of that batch axis.
            sweep: The sweep of an ensemble; left out where the sweeps are the rows.
            source: Where the table came from.

        Raises:
            UsageError: If these are no features, or axes, steps and ``sweep`` do not fit: a row would not be what
                ``axis`` says.
        """
        require_kind(features, Features, "features", "pass measure(recording)", "Features")
        value = features.value.detach().cpu().numpy().astype(float)
        if features.axes:
            value = _members(features, value, axis, sweep)
        else:
            _require_repeats(features, axis, sweep)
        labels = features.labels if features.axes[:1] == (axis,) else ()
        return cls(names=features.names, units=features.units, value=value, axis=axis, source=source, labels=labels)

    @classmethod
    def from_csv(cls, path: str | Path, *, axis: Axis, where: Mapping[str, str] | None = None) -> FeatureTable:
        """Read a table of features per repeat or per cell.

        Args:
            path: CSV file, see the module's text for its columns.
            axis: What a row is.
            where: Only rows in which these columns hold these words, for example ``{"cell_type": "PVALB"}``.

        Raises:
            UsageError: If the file is absent, has no row (left), no numerical column, or a word among numbers.
        """
        found = read_columns(path, where=where or {})
        return cls(
            names=found.names,
            units=found.units,
            value=found.value,
            axis=axis,
            source=Path(path).name,
            labels=found.labels,
        )

    def to_csv(self, path: str | Path) -> None:
        """Write the table so that :meth:`from_csv` reads it back.

        Words are in quotes, for ``#1`` would begin a comment; what is undefined is ``nan``, for an empty line is none.
        """
        text = io.StringIO(newline="")
        writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC)
        heads = [join_unit(name, unit) for name, unit in zip(self.names, self.units, strict=True)]
        writer.writerow([*([LABEL] if self.labels else []), *heads])
        for k, row in enumerate(self.value):
            writer.writerow([*([str(self.labels[k])] if self.labels else []), *map(float, row)])
        write_atomically(Path(path), text.getvalue().encode())


def _words(words: Any, parameter: str) -> tuple[Any, ...]:
    """Words as a tuple; one word alone would be taken for its letters."""
    many = isinstance(words, Iterable) and not isinstance(words, str)
    require(many, parameter, "a tuple or list of words", repr(words), "put a single one into a list")
    return tuple(words)


def _members(features: Features, value: ndarray, axis: str, sweep: int | None) -> ndarray:
    """Values of one sweep of an ensemble, one row per member of the axis, shape ``(row, feature)``."""
    require(
        axis in features.axes,
        "axis",
        f"among {features.axes}, as the ensemble says",
        f"'{axis}'",
        "do not mix ignorance (draw), diversity (neuron) and repeats (trial)",
    )
    others = {name: n for name, n in zip(features.axes, value.shape, strict=False) if name != axis and n > 1}
    require(
        not others,
        "features",
        f"of one batch axis, '{axis}'; every other of length 1",
        ", ".join(f"{n} along '{name}'" for name, n in others.items()),
        f"take one of them, recording.members(0, axis={next(iter(others), '')!r}), or average",
    )
    n = value.shape[-2]
    known = isinstance(sweep, int | np.integer) and -n <= sweep < n
    require(known, "sweep", f"the index of one of the {n} sweeps of the ensemble", sweep, "pick a stimulus")
    return value[..., sweep, :].reshape(-1, value.shape[-1])


def _require_repeats(features: Features, axis: str, sweep: int | None) -> None:
    """Refuse sweeps of one recording as anything but repeats of one step."""
    require(
        axis == "trial",
        "axis",
        "'trial': the sweeps of one recording are repeats of one neuron",
        f"'{axis}'",
        "measure an ensemble with this axis, or stack the values of several recordings",
    )
    require(
        sweep is None,
        "sweep",
        "left out where the sweeps themselves are the rows",
        sweep,
        "leave it out, or select sweeps before measuring: recording.select",
    )
    first = features.steps[0] if features.steps else None
    strange = [k for k, step in enumerate(features.steps) if not _alike(first, step)]
    require(
        not strange,
        "features",
        "of sweeps that repeat one step",
        f"other steps in sweeps {listed(strange)}",
        "select the repeats of one step before measuring: recording.select",
    )


def _alike(a: Step | None, b: Step | None) -> bool:
    """Whether two steps are one stimulus, as far as a recorded current can tell."""
    if a is None or b is None:
        return a is b
    return same_height(a.amplitude_pa, b.amplitude_pa) and abs(a.duration_ms - b.duration_ms) <= SAME_MS
