"""From the text of a table to columns of numbers: what is a number, what is missing, what is a label.

A column of numbers may have missing cells (empty, ``nan``, ``n/a``, ``-`` and the like). A column that is mostly
numbers but holds a word is refused: to keep it aside as labels would silently take a feature out of the comparison.
A first column headed ``label`` is of labels even if they are numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from noble_prob.errors import UsageError, listed, require
from noble_prob.readers.text_table import has_decimal_comma, read_header, rows, split_suffix, split_unit

LABEL = "label"
"""Head of a first column that names the rows."""
_MISSING = {"", "nan", "na", "none", "null", "n/a", "#n/a", "n.a.", "-", "–", "—"}

_UNITS = {
    "mv": "mV",
    "uv": "µV",
    "pa": "pA",
    "na": "nA",
    "hz": "Hz",
    "khz": "kHz",
    "ohm": "Ohm",
    "kohm": "kOhm",
    "mohm": "MOhm",
    "gohm": "GOhm",
    "pf": "pF",
    "nf": "nF",
    "ms": "ms",
    "us": "µs",
    "um": "µm",
    "mm": "mm",
}
"""Units as names end in them, and as they are written; single letters (``group_a``) are no unit."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns of a file.

    Attributes:
        names: Of the numerical columns, without their units.
        units: In brackets behind the name, or else the one that the name ends in; empty where there is none.
        value: NaN where missing, shape ``(row, column)``.
        labels: Cells of the first column that is headed ``label`` or not numerical.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    value: Float[ndarray, "row column"]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class _Text:
    """Cells by column, and the line of the file that each row stands in."""

    columns: dict[str, list[str]]
    lines: list[int]


def read_columns(path: str | Path, *, where: Mapping[str, str]) -> Columns:
    """Read a table whose separator is a comma, a semicolon or a tab.

    Args:
        path: The file; lines that begin with ``#`` are comments.
        where: Only rows in which these columns hold these words.

    Raises:
        UsageError: If the file is absent, is no table, has no row (left), no numerical column, or a column of numbers
            with a word in it.
    """
    path = Path(path)
    require(path.is_file(), "path", "an existing CSV file", path, "check the name")
    text = _where(_cells(path), where)
    names = next(iter(text.columns), "") == LABEL
    numbers = {
        head: found
        for k, (head, cells) in enumerate(text.columns.items())
        if not (names and k == 0)
        if (found := _numbers(cells, text.lines, head, path.name)) is not None
    }
    require(bool(numbers), "path", "at least one numerical column", listed(text.columns), "give features as numbers")
    require(
        "" not in numbers,
        "path",
        f"a name for every column of numbers in {path.name}",
        "a column without one",
        "name it, or drop it where it only counts the rows",
    )
    heads = [split_unit(head) for head in numbers]
    words = [cells for head, cells in text.columns.items() if head not in numbers]
    return Columns(
        names=tuple(name for name, _ in heads),
        units=tuple(unit or _ending(name) for name, unit in heads),
        value=np.column_stack(list(numbers.values())),
        labels=tuple(words[0]) if words else (),
    )


def _ending(name: str) -> str:
    """The unit that a name ends in; a logarithm has none."""
    return "" if name.startswith(("log_", "ln_")) else _UNITS.get(split_suffix(name)[1], "")


def _cells(path: Path) -> _Text:
    """The text of every cell below the header."""
    header = read_header(path, "a header and at least one row")
    heads, found = header.cells, list(rows(path, header))
    require(
        not all(_number(head) is not None for head in heads),
        "path",
        f"a header with names in {path.name}",
        listed(heads),
        "add a first line that names the columns",
    )
    require(
        bool(found), "path", "a header and at least one row", f"only a header in {path.name}", "export the table again"
    )
    twice = [head for head in heads if head and heads.count(head) > 1]
    require(not twice, "path", f"different column names in {path.name}", f"{twice[:1]} twice", "rename one column")
    ragged = [(line, len(cells)) for line, cells in found if len(cells) != len(heads)]
    if ragged:
        raise UsageError(
            "path",
            f"{len(heads)} cells in every line of {path.name}",
            f"{ragged[0][1]} in line {ragged[0][0]}",
            "export the table again, decimals with a point",
        )
    columns = {head: [cells[k] for _, cells in found] for k, head in enumerate(heads)}
    empty = "" in columns and not any(cell.strip() for cell in columns[""])  # of a separator at the end of every line
    return _Text({h: c for h, c in columns.items() if not (empty and h == "")}, [line for line, _ in found])


def _where(text: _Text, where: Mapping[str, str]) -> _Text:
    """The rows in which every named column holds the wanted word."""
    for head, word in where.items():
        require(head in text.columns, "where", f"a column among {listed(text.columns, 12)}", head, "check the name")
        cells = text.columns[head]
        kept = [k for k, cell in enumerate(cells) if cell.strip() == word]
        require(
            bool(kept),
            "where",
            f"a word that {head} holds ({listed(sorted(set(cells)))})",
            repr(word),
            "check the word",
        )
        text = _Text(
            {name: [cells[k] for k in kept] for name, cells in text.columns.items()}, [text.lines[k] for k in kept]
        )
    return text


def _numbers(cells: list[str], lines: list[int], head: str, file: str) -> list[float] | None:
    """A column as numbers, None if it holds labels.

    Raises:
        UsageError: If at least half of its cells are numbers, and some cell is a word.
    """
    values = [_number(cell) for cell in cells]
    words = [(line, cell) for line, cell, value in zip(lines, cells, values, strict=True) if value is None]
    known = sum(value is not None and not np.isnan(value) for value in values)
    if not words:
        labels = not known and any(cell.strip().lower() == "none" for cell in cells)
        return None if labels else [float("nan") if value is None else value for value in values]
    commas = sum(has_decimal_comma(cell) for _, cell in words)
    if known + commas < len(words) - commas:
        return None
    line, cell = next(((n, c) for n, c in words if has_decimal_comma(c)), words[0])
    found = f"{cell.strip()[:24]!r} in line {line}"
    require(
        not commas,
        "path",
        f"a table whose decimals follow a point; column {head!r} of {file}",
        f"{found}, with a decimal comma",
        "write decimals with a point",
    )
    raise UsageError(
        "path",
        f"a table with numbers in every row of column {head!r} of {file}",
        found,
        "correct the table cell, or leave it empty if the value is missing",
    )


def _number(cell: str) -> float | None:
    """A cell as a number, NaN where missing, None for a word."""
    text = cell.strip()
    if text.lower() in _MISSING:
        return float("nan")
    try:
        return None if "_" in text else float(text)  # Python reads 1_0 as ten; a table means a name
    except ValueError:
        return None
