"""NPZ: the fields of a recording by their names, and nothing pickled.

``time_ms`` (time), ``current_pa`` and ``voltage_mv`` (sweep, time) are enough; one sweep may leave its axis out.
Written by :func:`noble_prob.readers.write_npz` there are also ``steps`` (sweep, 4: onset ms on the axis of ``time_ms``,
duration ms, amplitude pA, holding pA; NaN where a sweep is no step), ``axes`` (names of leading axes of the voltage)
and ``provenance`` (JSON text).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noble_prob.errors import UsageError, listed, require
from noble_prob.readers.arrays import sweeps_of
from noble_prob.readers.sweeps import RawFile
from noble_prob.recording import Step

FIELDS = ("time_ms", "current_pa", "voltage_mv")
_EXTRA = ("steps", "axes", "provenance")
_SAVE = "save it again with numpy.savez and the names time_ms, current_pa, voltage_mv"
_ENSEMBLE = {"latents", "latent_names", "plausibility"}
"""Fields of the file that `sample` writes."""
_ONE = (
    "save one neuron as a recording: `voltage_mv` and `current_pa` of shape (sweep, time) and `time_ms`, where the "
    "current is that of the step, from 12 ms for 400 ms with the shipped cells"
)


def load_npz(path: Path, channel: int | str | None) -> RawFile:
    """Read the fields of a recording.

    Args:
        path: The file.
        channel: Not used: the fields say what is what.

    Raises:
        UsageError: If the file is no complete NPZ file, lacks a field, or the fields do not fit each other.
    """
    require(channel is None, "channel", "left out for NPZ", repr(channel), "store the voltage as `voltage_mv` instead")
    data = _fields(path)
    time, current = (np.asarray(data[name], np.float64) for name in FIELDS[:2])
    voltage = np.asarray(data["voltage_mv"], np.float32 if data["voltage_mv"].dtype == np.float32 else np.float64)
    axes = tuple(str(name) for name in np.atleast_1d(data["axes"])) if "axes" in data else ()
    steps = _steps(data.get("steps"), time, current, path.name)
    sweeps = sweeps_of(time, current, voltage, axes, path.name, steps=steps)
    given = _provenance(data, path.name)
    return RawFile(name=path.name, format="NPZ", files=(path,), sweeps=sweeps, axes=axes, given=given)


def _provenance(data: dict[str, Any], file: str) -> dict[str, Any]:
    """What the file says about its origin; nothing where it says nothing."""
    if "provenance" not in data:
        return {}
    try:
        given = json.loads(str(data["provenance"]))
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise UsageError(
            "provenance",
            f"the text of a JSON object in {file}",
            repr(str(data["provenance"])[:40]),
            "leave it out: the three fields of a recording are enough",
        )
    return given


def _fields(path: Path) -> dict[str, Any]:
    """The fields that are used; a file that numpy can not open is told from a field that it can not read."""
    try:
        opened = np.load(path, allow_pickle=False)
    except Exception as error:
        found = f"{path.name}, which is truncated or no NPZ file"
        raise UsageError("path", "a complete NPZ file of plain numbers", found, _SAVE) from error
    require(not isinstance(opened, np.ndarray), "path", "an NPZ archive", f"{path.name}, a single array", _SAVE)
    with opened as archive:
        names = list(archive.files)
        require(
            not set(names) >= _ENSEMBLE,
            "path",
            "a recording of one neuron",
            f"{path.name}, the neurons that a `sample` drew",
            _ONE,
        )
        there = f"fields {listed(map(repr, names))}" if names else "nothing"
        for name in FIELDS:
            require(
                name in names,
                name,
                f"a field of {path.name}, which needs {', '.join(FIELDS)}",
                there,
                f"save it with a field {name!r}",
            )
        return {name: _field(archive, name, path.name) for name in (*FIELDS, *_EXTRA) if name in names}


def _field(archive: Any, name: str, file: str) -> NDArray[Any]:
    """One field, as numbers or text."""
    try:
        values: NDArray[Any] = archive[name]
    except Exception as error:
        if "pickle" in str(error):  # numpy's word for an array of objects, in every version
            raise UsageError(
                name,
                f"plain numbers in {file}",
                "an array of Python objects",
                "save a plain float array, for example numpy.asarray(x, float)",
            ) from error
        raise UsageError(
            "path", "a complete NPZ file of plain numbers", f"{file}, whose field {name!r} is damaged", _SAVE
        ) from error
    numerical = values.dtype.kind in "fiub" or name in ("axes", "provenance")
    require(numerical, name, f"plain numbers in {file}", f"values of type {values.dtype}", "save it as a float array")
    return values


def _steps(
    table: NDArray[np.float64] | None, time: NDArray[np.float64], current: NDArray[np.float64], file: str
) -> list[Step | None] | None:
    """Steps from their table, timed from the first sample; None where the file has none."""
    if table is None:
        return None
    n = len(current) if current.ndim == 2 else 1
    require(
        table.shape == (n, 4),
        "steps",
        f"of shape ({n}, 4) in {file}",
        table.shape,
        "give onset_ms, duration_ms, amplitude_pa, holding_pa per sweep, or leave `steps` out",
    )
    table = table - np.array([float(time.flat[0]) if time.size else 0.0, 0.0, 0.0, 0.0])
    names = ("onset_ms", "duration_ms", "amplitude_pa", "holding_pa")
    return [None if np.isnan(row).any() else Step(**dict(zip(names, row.tolist(), strict=True))) for row in table]
