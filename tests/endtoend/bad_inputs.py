"""Inputs that a user might give by mistake, one factory each: every door into the package is tested with all of them.

A case is a name, a function that makes the input in a folder and returns its path, and a word that the one-sentence
answer must contain.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from foreign_files import step_family, write_abf, write_ibw, write_nwb, write_table


class BadInput(NamedTuple):
    """A mistake: its name, what makes it, and a word of the answer."""

    name: str
    make: Callable[[Path], Path]
    word: str


def _csv(change: Callable, **keywords) -> Callable[[Path], Path]:
    """A CSV file of a step family after ``change(time, current, voltage)``."""
    return lambda folder: write_table(folder / "cell.csv", *change(*step_family()), **keywords)


def _text(name: str, content: str | bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


def _rows(change: Callable[[list[str]], list[str]]) -> Callable[[Path], Path]:
    """A CSV file whose rows below the header have their cells changed."""

    def make(folder: Path) -> Path:
        path = write_table(folder / "cell.csv", *step_family())
        head, *lines = path.read_text().splitlines()
        path.write_text("\n".join([head, *(",".join(change(line.split(","))) for line in lines)]))
        return path

    return make


def _npz(change: Callable[[dict], dict]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        time, current, voltage = step_family()
        np.savez(folder / "cell.npz", **change({"time_ms": time, "current_pa": current, "voltage_mv": voltage}))
        return folder / "cell.npz"

    return make


def _cell(column: int, text: str) -> Callable[[Path], Path]:
    """A CSV file in which one cell holds ``text``."""

    def make(folder: Path) -> Path:
        path = write_table(folder / "cell.csv", *step_family())
        lines = path.read_text().splitlines()
        cells = lines[200].split(",")
        lines[200] = ",".join([*cells[:column], text, *cells[column + 1 :]])
        path.write_text("\n".join(lines))
        return path

    return make


def _header(text: str) -> Callable[[Path], Path]:
    """A CSV file of a step family below another header."""
    return _csv(lambda t, i, v: (t, i, v), header=text)


def _truncated(make: Callable[[Path], Path], share: float) -> Callable[[Path], Path]:
    def cut(folder: Path) -> Path:
        path = make(folder)
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
        return path

    return cut


def _ibw(folder: Path, units=("V", "A"), dt_s=(1e-4, 1e-4)) -> Path:
    _, current, voltage = step_family()
    values = {"V": voltage[1] * 1e-3, "A": current[1] * 1e-12, "": voltage[1], "N": voltage[1]}
    for k, (unit, interval) in enumerate(zip(units, dt_s, strict=True)):
        write_ibw(folder / f"X_Step_ch{k}_7.ibw", values[unit], unit, dt_s=interval)
    return folder / "X_Step_ch0_7.ibw"


def _abf(folder: Path, units=("mV", "pA")) -> Path:
    _, current, voltage = step_family()
    return write_abf(folder / "cell.abf", {f"IN {k}": (u, voltage if k == 0 else current) for k, u in enumerate(units)})


def _nwb(folder: Path, **keywords) -> Path:
    _, current, voltage = step_family()
    return write_nwb(folder / "cell.nwb", voltage, current, **keywords)


def _folder(folder: Path) -> Path:
    (folder / "day_3").mkdir()
    (folder / "day_3" / "notes.txt").write_text("no waves today")
    return folder / "day_3"


def _hdf5(folder: Path) -> Path:
    import h5py

    with h5py.File(folder / "cell.nwb", "w") as file:
        file["voltage"] = np.zeros(10)
    return folder / "cell.nwb"


def _with(array: np.ndarray, index, value) -> np.ndarray:
    array = array.copy()
    array[index] = value
    return array


def _irregular(time, current, voltage):
    return _with(time, slice(2000, None), time[2000:] + 3.0), current, voltage


_SAMPLED = ("latents", "latent_names", "plausibility")
_LONG = "sweep,time_ms,current_pa,voltage_mv"
CASES: tuple[BadInput, ...] = (
    # the file
    BadInput("missing file", lambda folder: folder / "nowhere.abf", "not there"),
    BadInput("empty file", _text("cell.abf", b""), "empty"),
    BadInput("folder without waves", _folder, "without .ibw"),
    BadInput("folder without recordings", _folder, ".abf, .csv, .ibw, .npz, .nwb"),
    BadInput("unknown extension", _text("cell.smr", b"CED"), "known format"),
    BadInput("no extension", _text("cell", b"data"), "known format"),
    # broken or foreign content
    BadInput("text named ABF", _text("cell.abf", "time,voltage\n1,2\n"), "ABF"),
    BadInput("truncated ABF header", _text("cell.abf", b"ABF2" + bytes(40)), "truncated"),
    BadInput("truncated ABF data", _truncated(_abf, 0.6), "truncated"),
    BadInput("truncated IBW", _truncated(_ibw, 0.5), "truncated"),
    BadInput("truncated NWB", _truncated(_nwb, 0.5), "NWB"),
    BadInput("HDF5 that is no NWB", _hdf5, "NWB"),
    BadInput("truncated NPZ", _truncated(_npz(lambda d: d), 0.7), "NPZ"),
    BadInput(
        "NPZ of pickled objects",
        _npz(lambda d: {**d, "voltage_mv": np.array([{}, {}], object)}),
        "plain numbers in cell.npz; found an array of Python objects; save a plain float array",
    ),
    BadInput("NPZ of words", _npz(lambda d: {**d, "voltage_mv": d["voltage_mv"].astype(str)}), "plain numbers"),
    BadInput("binary named CSV", _text("cell.csv", bytes(range(128, 256)) * 9), "UTF-8"),
    # the table
    BadInput("CSV with a decimal comma in its last column", _rows(lambda row: [*row[:-1], "-70", "5"]), "with a point"),
    BadInput("CSV with a decimal comma in its times", _rows(lambda row: [row[0], "0", *row[1:]]), "with a point"),
    BadInput("CSV with an extra cell in every row", _rows(lambda row: [*row, "x"]), "name every column"),
    BadInput("CSV without header", _csv(lambda t, i, v: (t, i, v), header="0,0,0,-70"), "column"),
    BadInput(
        "CSV lacking a column", _csv(lambda t, i, v: (t, i, v), header="sweep,time_ms,command,voltage_mv"), "current_pa"
    ),
    BadInput(
        "CSV voltage in V by name",
        _csv(lambda t, i, v: (t, i, v), header="sweep,time_ms,current_pa,voltage_v"),
        "voltage_v",
    ),
    BadInput(
        "CSV current in nA by name",
        _csv(lambda t, i, v: (t, i, v), header="sweep,time_ms,current_na,voltage_mv"),
        "current_na",
    ),
    BadInput(
        "CSV time in s by name", _csv(lambda t, i, v: (t, i, v), header="sweep,time_s,current_pa,voltage_mv"), "time_s"
    ),
    BadInput("CSV time in s in brackets", _header("sweep,time (s),current (pA),voltage (mV)"), "multiply it by 1000"),
    BadInput("CSV current in A in brackets", _header("sweep,time_ms,current [A],voltage_mv"), "multiply it by 1e+12"),
    BadInput("CSV column without a unit", _header("sweep,time_ms,current_pa,voltage"), "does not say its unit"),
    BadInput("CSV of many other columns", _header(",".join("abcdefghij")), "'h', … (10 in all)"),
    BadInput("CSV cell that is no number", _cell(3, "overload"), "'overload' about line 201, column 'voltage_mv'"),
    BadInput("CSV cell left empty", _cell(2, ""), "`table cell` should be a number"),
    BadInput("CSV row too short", _text("cell.csv", f"{_LONG}\n0,0,0,-70\n0,0.1,0\n0,0.2,0,-70\n"), "3 of 4 cells"),
    BadInput(
        "CSV with decimal commas",
        _text("cell.csv", "time_ms;current_pa;voltage_mv\n0;0;-70\n0,1;0;-70\n"),
        "'0,1', with a decimal comma, about line 3",
    ),
    BadInput("CSV header only", _text("cell.csv", f"{_LONG}\n"), "no row"),
    BadInput("NPZ lacking a field", _npz(lambda d: {"time_ms": d["time_ms"], "V_mV": d["voltage_mv"]}), "current_pa"),
    BadInput(
        "NPZ that sample wrote",
        _npz(lambda d: {**d, "current_pa": 60.0, **dict.fromkeys(_SAMPLED, np.ones(3))}),
        "one neuron; found cell.npz, the neurons that a `sample` drew",
    ),
    BadInput("NPZ of one current", _npz(lambda d: {**d, "current_pa": 60.0}), "found the single number 60"),
    BadInput("NPZ of one voltage", _npz(lambda d: {**d, "voltage_mv": -70.0}), "found the single number -70"),
    BadInput("NPZ of mismatched lengths", _npz(lambda d: {**d, "voltage_mv": d["voltage_mv"][:, :-5]}), "voltage_mv"),
    BadInput("NPZ of mismatched sweeps", _npz(lambda d: {**d, "current_pa": d["current_pa"][:2]}), "shape"),
    BadInput("NPZ whose provenance is no JSON", _npz(lambda d: {**d, "provenance": "{half"}), "provenance"),
    BadInput("NPZ whose provenance is a list", _npz(lambda d: {**d, "provenance": "[1]"}), "provenance"),
    # time
    BadInput("time with a gap", _csv(_irregular), "regular"),
    BadInput("time that steps back", _csv(lambda t, i, v: (_with(t, 900, 1.0), i, v)), "increasing"),
    BadInput("time in s as ms", _csv(lambda t, i, v: (t / 1000, i, v)), "milliseconds"),
    BadInput("time in us as ms", _npz(lambda d: {**d, "time_ms": d["time_ms"] * 1000}), "multiply the time by 0.001"),
    BadInput("sampling below 2 kHz", _csv(lambda t, i, v: (t[::10], i[:, ::10], v[:, ::10])), "2 kHz"),
    BadInput("sweeps of 50 ms", _csv(lambda t, i, v: (t[:500], i[:, 900:1400], v[:, 900:1400])), "100 ms"),
    # voltage and current
    BadInput("voltage in V as mV", _csv(lambda t, i, v: (t, i, v / 1000)), "up to -0.0"),
    BadInput("voltage in uV as mV", _csv(lambda t, i, v: (t, i, v * 1000)), "500"),
    BadInput("voltage that never changes", _csv(lambda t, i, v: (t, i, 0 * v - 70)), "found -70 mV throughout"),
    BadInput("voltage that holds the gain", _csv(lambda t, i, v: (t, i, v * 5)), "voltage by the amplifier's gain"),
    BadInput("current and voltage swapped", _csv(lambda t, i, v: (t, v + 0.1 * np.sin(t), i)), "swap the two"),
    BadInput("sweep of NaN", _csv(lambda t, i, v: (t, i, _with(v, 1, np.nan))), "only NaN"),
    BadInput("NaN in the current", _csv(lambda t, i, v: (t, _with(i, (1, 7), np.nan), v)), "NaN"),
    BadInput("current in nA as pA", _csv(lambda t, i, v: (t, i / 1000, v)), "nA; multiply the current by 1000."),
    BadInput("current in A as pA", _npz(lambda d: {**d, "current_pa": d["current_pa"] * 1e-12}), "current by 1e12."),
    BadInput("current in fA as pA", _csv(lambda t, i, v: (t, i * 1e4, v)), "electrode"),
    BadInput("no current at all", _csv(lambda t, i, v: (t, 0 * i, v)), "export the command or current channel"),
    # formats of laboratories
    BadInput("IBW without its current", lambda folder: _ibw(folder, ("V",), (1e-4,)), "no current wave"),
    BadInput("IBW without its voltage", lambda folder: _ibw(folder, ("A",), (1e-4,)), "no voltage wave"),
    BadInput("IBW without a unit", lambda folder: _ibw(folder, ("", "A")), "unit"),
    BadInput("IBW of two rates", lambda folder: _ibw(folder, dt_s=(1e-4, 2e-4)), "rate"),
    BadInput("ABF of voltage clamp", lambda folder: _abf(folder, ("pA",)), "voltage-clamp"),
    BadInput("ABF without a current", lambda folder: _abf(folder, ("mV",)), "injected current"),
    BadInput("NWB of voltage clamp", lambda folder: _nwb(folder, clamp="voltage"), "current-clamp"),
    BadInput("NWB without stimulus", lambda folder: _nwb(folder, stimulus=False), "stimulus"),
)
