"""Write a recording as NPZ or CSV, whole or not at all.

The file is written beside its destination under a temporary name and renamed when complete, so that a reader (or a
crash) never meets half a file.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from noble_prob.errors import require, require_kind
from noble_prob.recording import Recording, Step
from noble_prob.recording.made import made_by

_DIGITS = "%.10g"


def write_npz(recording: Recording, path: str | Path) -> Path:
    """Write all of a recording: grid, current, voltage, steps, axes, provenance.

    Args:
        recording: What to write, with or without leading axes.
        path: Destination, ``.npz``; replaced if it exists.

    Returns:
        The destination. :func:`noble_prob.readers.read` restores the recording (its provenance under ``made_from``,
        with the version of this package under ``written_by``), with time from its first sample.

    Raises:
        UsageError: If this is no recording, or the destination no ``.npz`` file in an existing folder.
    """
    _require_recording(recording)
    path = _destination(path, ".npz")
    with _whole(path) as stream:
        np.savez_compressed(stream, **_fields(recording))
    return path


def write_csv(recording: Recording, path: str | Path) -> Path:
    """Write one recording (no leading axes but of one member) as a table: ``sweep, time_ms, current_pa, voltage_mv``.

    Args:
        recording: What to write. Steps and provenance are not part of a table; the reader finds the steps again.
        path: Destination, ``.csv``; replaced if it exists.

    Returns:
        The destination. Numbers have ten significant digits; a missing voltage is ``nan``.

    Raises:
        UsageError: If this is no recording or is an ensemble, or the file is no ``.csv`` in an existing folder.
    """
    _require_recording(recording)
    recording = recording.squeeze()
    require(
        not recording.axes,
        "recording",
        "one recording, for a table has no leading axes",
        f"an ensemble with {recording.axes}",
        "write one member, `ensemble.members(0)`, or all of them by write_npz",
    )
    path = _destination(path, ".csv")
    time = recording.time_ms.cpu().numpy()
    with _whole(path) as stream:
        stream.write(b"sweep,time_ms,current_pa,voltage_mv\n")
        for i in range(recording.n_sweeps):
            columns = [
                np.full(len(time), i),
                time,
                recording.current_pa[i].cpu(),
                recording.voltage_mv[i].detach().cpu(),
            ]
            np.savetxt(
                stream,
                np.column_stack([np.asarray(c, np.float64) for c in columns]),
                delimiter=",",
                fmt=["%d", _DIGITS, _DIGITS, _DIGITS],
            )
    return path


def _require_recording(recording: object) -> None:
    """Refuse what is no recording: numpy writes the path first."""
    require_kind(recording, Recording, "recording", "pass the recording first and the path second")


def _fields(recording: Recording) -> dict[str, Any]:
    """Arrays of the archive by their names."""
    fields = {
        "time_ms": recording.time_ms.cpu().numpy(),
        "current_pa": recording.current_pa.cpu().numpy(),
        "voltage_mv": recording.voltage_mv.detach().cpu().numpy(),
        "steps": np.array([_row(step) for step in recording.steps], dtype=np.float64),
        "provenance": np.array(json.dumps({**recording.provenance, "written_by": made_by()}, default=str)),
    }
    return fields | ({"axes": np.array(recording.axes)} if recording.axes else {})


def _row(step: Step | None) -> tuple[float, float, float, float]:
    if step is None:
        return (np.nan,) * 4
    return step.onset_ms, step.duration_ms, step.amplitude_pa, step.holding_pa


def _destination(path: str | Path, extension: str) -> Path:
    path = Path(path)
    require(
        path.suffix.lower() == extension,
        "path",
        f"a file name that ends in {extension}",
        repr(path.name),
        f"name it *{extension}",
    )
    require(
        path.parent.is_dir(),
        "path",
        "in an existing folder",
        f"folder {path.parent.name!r}, which is not there",
        "make the folder first",
    )
    return path


@contextmanager
def _whole(path: Path) -> Iterator[IO[bytes]]:
    """A stream whose content appears under ``path`` at once when the block ends well, and vanishes otherwise."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
