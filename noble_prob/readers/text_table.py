"""Tables as text: separator, comments, and what a column's head says; recordings and tables of features share it.

The separator is the one of comma, semicolon and tab that the header holds most often. Lines that begin with ``#`` are
comments. Decimals have a point: with a comma, a number could be two cells. A head may carry its unit in brackets,
``latency (ms)`` or ``latency [ms]``, or at its end, ``latency_ms``.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from noble_prob.errors import UsageError

_HEAD = re.compile(r"^(?P<name>.*?)\s*(?:\((?P<unit>[^()]*)\)|\[(?P<unit2>[^\[\]]*)\])?$", re.DOTALL)
_COMMA = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?")
_QUOTED = re.compile(r'"[^"]*"')
_UNITS: dict[str, tuple[str, float]] = {
    "s": ("time", 1.0),
    "sec": ("time", 1.0),
    "ms": ("time", 1e-3),
    "msec": ("time", 1e-3),
    "us": ("time", 1e-6),
    "v": ("voltage", 1.0),
    "mv": ("voltage", 1e-3),
    "uv": ("voltage", 1e-6),
    "a": ("current", 1.0),
    "ma": ("current", 1e-3),
    "ua": ("current", 1e-6),
    "na": ("current", 1e-9),
    "pa": ("current", 1e-12),
    "fa": ("current", 1e-15),
    "ohm": ("resistance", 1.0),
    "kohm": ("resistance", 1e3),
    "mohm": ("resistance", 1e6),
    "gohm": ("resistance", 1e9),
    "hz": ("frequency", 1.0),
    "khz": ("frequency", 1e3),
    "nf": ("capacitance", 1e-9),
    "pf": ("capacitance", 1e-12),
    "um": ("length", 1e-6),
    "mm": ("length", 1e-3),
}
"""Units as columns spell them, in small letters, with their size (``mohm`` is the megaohm of electrophysiology)."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """The first line of a table that is no comment.

    Attributes:
        cells: Heads of the columns, without quotes and spaces around them.
        separator: Between cells.
        line: Number of the header's line in the file, from 1.
    """

    cells: tuple[str, ...]
    separator: str
    line: int


def read_header(path: Path, wanted: str) -> Header:
    """Find the header and the separator of a table.

    Args:
        path: The file, UTF-8 text.
        wanted: What the table should hold, for the error.

    Raises:
        UsageError: If the file is not text, or has no line but comments.
    """
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip() and not is_comment(line):
                    plain = _QUOTED.sub("", line)
                    separator = max(",;\t", key=plain.count)
                    cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True))
                    return Header(
                        cells=tuple(c.strip().strip("'").strip() for c in cells), separator=separator, line=number
                    )
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(
            "path",
            "a CSV file in UTF-8 text",
            f"{path.name}, which is binary or in another encoding",
            "save it as CSV UTF-8",
        ) from error
    raise UsageError("path", f"a CSV file with {wanted}", f"{path.name} without a header line", "add the header line")


def is_comment(line: str) -> bool:
    """Whether a line is a comment; ``#N/A``, a missing value of spreadsheets, begins none."""
    return line.startswith("#") and not line.lower().startswith("#n/a")


def rows(path: Path, header: Header) -> Iterator[tuple[int, list[str]]]:
    """Lines below the header that hold anything, with their numbers in the file (from 1), comments left out.

    Args:
        path: The file.
        header: From :func:`read_header`.

    Raises:
        UsageError: If the file is not text.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            lines = ("\n" if is_comment(line) else line for line in stream)  # a blank line keeps the numbers right
            reader = csv.reader(lines, delimiter=header.separator)
            for cells in reader:
                if reader.line_num > header.line and any(cell.strip() for cell in cells):
                    yield reader.line_num, cells
    except (csv.Error, UnicodeDecodeError) as error:
        raise UsageError("path", "a CSV file in UTF-8", f"{path.name}: {error}", "export it as CSV") from error


def split_unit(head: str) -> tuple[str, str]:
    """Name and unit of a head with its unit in brackets; the unit is empty where there are none."""
    match = _HEAD.match(head.strip())
    assert match is not None
    return match["name"], (match["unit"] or match["unit2"] or "").strip()


def join_unit(name: str, unit: str) -> str:
    """The head of a column that :func:`split_unit` takes apart again, also where name or unit have brackets.

    Example:
        >>> join_unit("latency", "ms"), join_unit("isi", "ln(ms)"), join_unit("peak (first)", "")
        ('latency (ms)', 'isi [ln(ms)]', 'peak (first) ()')
    """
    if set("()") & set(unit):
        return f"{name} [{unit}]"
    return f"{name} ({unit})" if unit or split_unit(name) != (name, "") else name


def split_suffix(name: str) -> tuple[str, str]:
    """A name and the unit that it ends in, small letters (``latency_ms``: ``latency``, ``ms``); empty if in none."""
    stem, _, end = name.rpartition("_")
    unit = spelled(end)
    return (stem, unit) if stem and unit in _UNITS else (name, "")


def spelled(unit: str) -> str:
    """A unit as the end of a name spells it: small letters, ``u`` for micro, ``ohm`` for its letter."""
    return re.sub("[Ωω]", "ohm", re.sub("[µμ]", "u", unit.strip().lower()))


def factor_between(unit: str, wanted: str) -> float | None:
    """Multiply values in ``unit`` by this to have them in ``wanted``; None where they do not measure the same."""
    (what, size), (other, target) = _UNITS.get(unit, ("", 1.0)), _UNITS.get(wanted, ("", 1.0))
    return float(f"{size / target:.12g}") if what and what == other else None


def has_decimal_comma(cell: str) -> bool:
    """Whether a cell is a number whose decimals follow a comma."""
    return bool(_COMMA.fullmatch(cell.strip()))
