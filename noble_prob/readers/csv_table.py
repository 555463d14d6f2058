"""CSV: one row a sample, columns ``time_ms``, ``current_pa``, ``voltage_mv`` and, for several sweeps, ``sweep``.

The unit is part of the column's name, as above or in brackets (``time (ms)``), so that a table in volts or seconds can
not be read by mistake. The separator may be a comma, a semicolon or a tab; decimals have a point; lines that begin with
``#`` are comments; ``nan`` marks a missing voltage. Sweeps are numbered in any way and kept in order of appearance;
each has its own regular time.
"""

from __future__ import annotations

import csv
import re
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from noble_prob.errors import UsageError, listed, require
from noble_prob.readers.checks import regular_interval
from noble_prob.readers.sweeps import RawFile, RawSweep
from noble_prob.readers.text_table import (
    Header,
    factor_between,
    has_decimal_comma,
    read_header,
    spelled,
    split_suffix,
    split_unit,
)

COLUMNS = ("time_ms", "current_pa", "voltage_mv")
_WANTED = "the columns time_ms, current_pa, voltage_mv and, for several sweeps, sweep"


def load_csv(path: Path, channel: int | str | None) -> RawFile:
    """Read a table of samples.

    Args:
        path: The file.
        channel: Not used: the columns say what is what.

    Raises:
        UsageError: If the file is empty, lacks a column, has a column in another unit, or a cell is not a number.
    """
    require(
        channel is None, "channel", "left out for CSV", repr(channel), "name the voltage column `voltage_mv` instead"
    )
    table = _numbers(path, read_header(path, _WANTED))
    sweeps = table["sweep"] if "sweep" in table else np.zeros(len(table["time_ms"]))
    require(
        bool(np.isfinite(sweeps).all()), "sweep", f"a number in every row of {path.name}", "NaN", "number the sweeps"
    )
    labels = list(dict.fromkeys(sweeps.tolist()))
    rows = [np.flatnonzero(sweeps == label) for label in labels]
    built = [_sweep(table, index, label, path.name) for index, label in zip(rows, labels, strict=True)]
    return RawFile(name=path.name, format="CSV", files=(path,), sweeps=tuple(built), remarks=_cut_off(built))


def _cut_off(sweeps: list[RawSweep]) -> tuple[str, ...]:
    """That the end of the file seems to lack, in a sentence: where the last sweep alone is shorter than the others."""
    *others, last = (len(sweep.current_pa) for sweep in sweeps)
    if len(set(others)) != 1 or last >= others[0]:
        return ()
    return (
        f"The last sweep has {last} samples, the others {others[0]}: unless it was aborted, the file has been cut off.",
    )


def _named(head: str) -> str:
    """The name that a head means: small letters, a unit in brackets at its end (``Time (ms)``: ``time_ms``)."""
    name, unit = split_unit(head.lower())
    return f"{name}_{spelled(unit)}" if unit and not name.endswith(f"_{spelled(unit)}") else name


def _numbers(path: Path, header: Header) -> dict[str, NDArray[np.float64]]:
    columns = [_named(head) for head in header.cells]
    for name in COLUMNS:
        if name not in columns:
            _refuse_column(name, dict(zip(columns, header.cells, strict=True)), path.name)
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    require(
        not repeated, "header", f"one column of each name in {path.name}", f"{repeated} twice", "rename or drop one"
    )
    wanted = [name for name in (*COLUMNS, "sweep") if name in columns]
    data = _parse(path, [columns.index(name) for name in wanted], header)
    require(
        len(data) > 0,
        "path",
        f"a CSV file with samples below its header in {path.name}",
        "no row",
        "export the samples",
    )
    return dict(zip(wanted, data.T, strict=True))


def _parse(path: Path, usecols: list[int], header: Header) -> NDArray[np.float64]:
    """Numbers of the chosen columns, one row a sample."""
    try:
        _require_cells(path, header)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # numpy's, of an empty table: the caller refuses it
            return np.loadtxt(
                path,
                delimiter=header.separator,
                skiprows=header.line,
                comments="#",
                encoding="utf-8-sig",
                ndmin=2,
                quotechar='"',
                usecols=usecols,
            )
    except UsageError:
        raise
    except ValueError as error:
        raise UsageError(
            "table cell", f"a number in every row and column of {path.name}", *_plain(error, header)
        ) from (error)


def _require_cells(path: Path, header: Header) -> None:
    """Refuse a row with more cells than the header: they would be cut off, and decimals after a comma are such cells.

    Separators at the end of a line, with nothing behind them, do no harm.
    """
    most = len(header.cells)
    with path.open(encoding="utf-8-sig") as stream:
        for number, line in enumerate(stream, start=1):
            if number <= header.line or line.count(header.separator) < most:
                continue
            row = line.partition("#")[0].strip("\r\n ").rstrip(header.separator + " ")
            cells = next(csv.reader([row], delimiter=header.separator), [])
            comma = "write decimals with a point, and " if header.separator == "," else ""
            require(
                len(cells) <= most,
                "table cell",
                f"under one of the {most} heads of {path.name}",
                f"{len(cells)} cells in line {number}, {row[:60]!r}",
                f"{comma}name every column",
            )


def _refuse_column(name: str, columns: dict[str, str], file: str) -> None:
    """Say that a column lacks, and which one looks like it in another unit; ``columns`` are names and heads."""
    stem, unit = split_suffix(name)
    found, remedy = f"columns {listed((repr(head[:24]) for head in columns.values()), 8)}", f"add a column {name!r}"
    like = next((column for column in columns if column.startswith(stem)), None)
    if like is not None:
        factor = factor_between(split_suffix(like)[1], unit)
        found = f"{columns[like]!r}, " + ("which does not say its unit" if factor is None else "in another unit")
        how = f"convert it to {unit}" if factor is None else f"multiply it by {factor:g}"
        remedy = f"{how} and name it {name!r}"
    raise UsageError(name, f"a column of {file}, which needs {_WANTED}", found, remedy)


def _plain(error: ValueError, header: Header) -> tuple[str, str]:
    """The complaint of numpy with the line in the file and the name of the column; what to do about it."""
    text, remedy = str(error), "fill in the table cell, or drop the row"
    if match := re.search(r"could not convert string '(.*?)' to float64 at row (\d+), column (\d+)", text):
        place = f"about line {int(match[2]) + header.line + 1}, column {header.cells[int(match[3]) - 1]!r}"
        if has_decimal_comma(match[1]):
            return f"{match[1]!r}, with a decimal comma, {place}", "write decimals with a point"
        return f"{match[1] or 'nothing'!r} {place}", remedy
    if match := re.search(r"invalid column index \d+ at row (\d+) with (\d+) columns", text):
        return f"only {match[2]} of {len(header.cells)} cells about line {int(match[1]) + header.line}", remedy
    return text.split(";")[0].rstrip("."), remedy


def _sweep(table: dict[str, NDArray[np.float64]], index: NDArray[np.int64], label: float, file: str) -> RawSweep:
    name = f"{label:g}"
    dt = regular_interval(table["time_ms"][index], f"sweep {name} of {file}")
    return RawSweep(label=name, voltage_mv=table["voltage_mv"][index], current_pa=table["current_pa"][index], dt_ms=dt)
