"""CSV: one row a sample, columns ``time_ms``, ``current_pa``, ``voltage_mv`` and, for several sweeps, ``sweep``.

The unit is part of the column's name, so that a table in volts or seconds can not be read by mistake. The separator
may be a comma, a semicolon or a tab; decimals have a point; lines that begin with ``#`` are comments; ``nan`` marks
a missing voltage. Sweeps are numbered in any way and kept in order of appearance; each has its own regular time.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from noble_prob.errors import UsageError, require
from noble_prob.readers.checks import regular_interval
from noble_prob.readers.sweeps import RawFile, RawSweep

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
    columns, separator, skip = _header(path)
    table = _numbers(path, columns, separator, skip)
    sweeps = table["sweep"] if "sweep" in table else np.zeros(len(table["time_ms"]))
    require(
        bool(np.isfinite(sweeps).all()), "sweep", f"a number in every row of {path.name}", "NaN", "number the sweeps"
    )
    labels = list(dict.fromkeys(sweeps.tolist()))
    rows = [np.flatnonzero(sweeps == label) for label in labels]
    built = [_sweep(table, index, label, path.name) for index, label in zip(rows, labels, strict=True)]
    return RawFile(name=path.name, format="CSV", files=(path,), sweeps=tuple(built))


def _header(path: Path) -> tuple[list[str], str, int]:
    """Column names, separator, and number of lines before the data."""
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for skip, line in enumerate(stream, start=1):
                if line.strip() and not line.startswith("#"):
                    separator = max(",;\t", key=line.count)
                    return [_clean(name) for name in line.split(separator)], separator, skip
    except UnicodeDecodeError as error:
        raise UsageError(
            "path",
            "a CSV file in UTF-8 text",
            f"{path.name}, which is binary or in another encoding",
            "save it as CSV UTF-8",
        ) from error
    raise UsageError("path", f"a CSV file with {_WANTED}", f"{path.name} without a header line", "add the header line")


def _clean(name: str) -> str:
    return name.strip().strip("\"'").strip().lower()


def _numbers(path: Path, columns: list[str], separator: str, skip: int) -> dict[str, NDArray[np.float64]]:
    for name in COLUMNS:
        if name not in columns:
            _refuse_column(name, columns, path.name)
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    require(
        not repeated, "header", f"one column of each name in {path.name}", f"{repeated} twice", "rename or drop one"
    )
    wanted = [name for name in (*COLUMNS, "sweep") if name in columns]
    data = _parse(path, [columns.index(name) for name in wanted], separator, skip)
    require(
        len(data) > 0,
        "path",
        f"a CSV file with samples below its header in {path.name}",
        "no row",
        "export the samples",
    )
    return dict(zip(wanted, data.T, strict=True))


def _parse(path: Path, usecols: list[int], separator: str, skip: int) -> NDArray[np.float64]:
    """Numbers of the chosen columns, one row a sample."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # numpy's, of an empty table: the caller refuses it
            return np.loadtxt(
                path,
                delimiter=separator,
                skiprows=skip,
                comments="#",
                encoding="utf-8-sig",
                ndmin=2,
                quotechar='"',
                usecols=usecols,
            )
    except ValueError as error:
        raise UsageError(
            "cell",
            f"a number in every row and column of {path.name}",
            _plain(error, skip),
            "fill in the cell, write decimals with a point, or drop the row",
        ) from error


def _refuse_column(name: str, columns: list[str], file: str) -> None:
    """Say that a column lacks, and which one looks like it in another unit."""
    like = [c for c in columns if c.startswith(name.split("_")[0]) and c != name]
    found = f"{like[0]!r} in another unit" if like else f"columns {[c[:24] for c in columns[:8]]}"
    remedy = f"convert {like[0]!r} and name it {name!r}" if like else f"add a column {name!r}"
    raise UsageError(name, f"a column of {file}, which needs {_WANTED}", found, remedy)


def _plain(error: ValueError, skip: int) -> str:
    """The complaint of numpy with the line number in the file."""
    text = str(error)
    if match := re.search(r"could not convert string '(.*?)' to float64 at row (\d+), column (\d+)", text):
        return f"{match[1]!r} about line {int(match[2]) + skip + 1}, column {match[3]}"
    return text.split(";")[0].rstrip(".")


def _sweep(table: dict[str, NDArray[np.float64]], index: NDArray[np.int64], label: float, file: str) -> RawSweep:
    name = f"{label:g}"
    dt = regular_interval(table["time_ms"][index], f"sweep {name} of {file}")
    return RawSweep(label=name, voltage_mv=table["voltage_mv"][index], current_pa=table["current_pa"][index], dt_ms=dt)
