"""NPZ: the fields of a recording by their names, and nothing pickled.

``time_ms`` (time), ``current_pa`` and ``voltage_mv`` (sweep, time) are enough; one sweep may leave its axis out.
Written by :func:`noble_prob.readers.write_npz` there are also ``steps`` (sweep, 4: onset ms, duration ms, amplitude
pA, holding pA; NaN where a sweep is no step), ``axes`` (names of leading axes of the voltage) and ``provenance``
(JSON text).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noble_prob.errors import UsageError, listed, require
from noble_prob.readers.checks import regular_interval
from noble_prob.readers.sweeps import RawFile, RawSweep
from noble_prob.recording import Step

FIELDS = ("time_ms", "current_pa", "voltage_mv")
_EXTRA = ("steps", "axes", "provenance")
_SAVE = "save it again with numpy.savez and the names time_ms, current_pa, voltage_mv"


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
    time, current, voltage = (np.asarray(data[name], np.float64) for name in FIELDS)
    axes = tuple(str(name) for name in np.atleast_1d(data["axes"])) if "axes" in data else ()
    if current.ndim == 1 and voltage.ndim == 1:
        current, voltage = current[None], voltage[None]
    _require_shapes(time, current, voltage, axes, path.name)
    dt = regular_interval(time, path.name)
    steps = _steps(data.get("steps"), len(current), path.name)
    sweeps = [
        RawSweep(
            label=str(i),
            voltage_mv=voltage[..., i, :],
            current_pa=current[i],
            dt_ms=dt,
            step=steps[i] if steps else None,
            stated=steps is not None,
        )
        for i in range(len(current))
    ]
    given = _provenance(data, path.name)
    return RawFile(name=path.name, format="NPZ", files=(path,), sweeps=tuple(sweeps), axes=axes, given=given)


def _provenance(data: dict[str, Any], file: str) -> dict[str, Any]:
    """What the file says about its origin; nothing where it says nothing."""
    if "provenance" not in data:
        return {}
    try:
        given = json.loads(str(data["provenance"]))
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise UsageError("provenance", f"the text of a JSON object in {file}", repr(str(data["provenance"])[:40]),
                         "leave it out: the three fields of a recording are enough")  # fmt: skip
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
        for name in FIELDS:
            require(name in names, name, f"a field of {path.name}, which needs {', '.join(FIELDS)}",
                    f"fields {listed(map(repr, names))}", f"save it with a field {name!r}")  # fmt: skip
        return {name: _field(archive, name, path.name) for name in (*FIELDS, *_EXTRA) if name in names}


def _field(archive: Any, name: str, file: str) -> NDArray[Any]:
    """One field, as numbers or text."""
    try:
        values: NDArray[Any] = archive[name]
    except Exception as error:
        if "pickle" in str(error):  # numpy's word for an array of objects, in every version
            raise UsageError(name, f"plain numbers in {file}", "an array of Python objects",
                             "save a plain float array, for example numpy.asarray(x, float)") from error  # fmt: skip
        raise UsageError("path", "a complete NPZ file of plain numbers", f"{file}, whose field {name!r} is damaged",
                         _SAVE) from error  # fmt: skip
    numerical = values.dtype.kind in "fiub" or name in ("axes", "provenance")
    require(numerical, name, f"plain numbers in {file}", f"values of type {values.dtype}", "save it as a float array")
    return values


def _require_shapes(
    time: NDArray[np.float64],
    current: NDArray[np.float64],
    voltage: NDArray[np.float64],
    axes: tuple[str, ...],
    file: str,
) -> None:
    require(
        time.ndim == 1, "time_ms", f"one axis of samples in {file}", time.shape, "store the sample times of one sweep"
    )
    wanted = (current.shape[0] if current.ndim == 2 else 1, len(time))
    require(
        current.shape == wanted,
        "current_pa",
        f"of shape (sweep, time) with {len(time)} samples in {file}",
        current.shape,
        "give one row per sweep, as long as `time_ms`",
    )
    require(
        voltage.shape[-2:] == wanted and voltage.ndim == 2 + len(axes),
        "voltage_mv",
        f"of shape ({', '.join((*axes, 'sweep', 'time'))}) = (..., {wanted[0]}, {wanted[1]}) in {file}",
        voltage.shape,
        "give one voltage per current sample, and name leading axes in `axes`",
    )


def _steps(table: NDArray[np.float64] | None, n: int, file: str) -> list[Step | None] | None:
    """Steps from their table; None where the file has none."""
    if table is None:
        return None
    require(
        table.shape == (n, 4),
        "steps",
        f"of shape ({n}, 4) in {file}",
        table.shape,
        "give onset_ms, duration_ms, amplitude_pa, holding_pa per sweep, or leave `steps` out",
    )
    names = ("onset_ms", "duration_ms", "amplitude_pa", "holding_pa")
    return [None if np.isnan(row).any() else Step(**dict(zip(names, row.tolist(), strict=True))) for row in table]
