"""Axon Binary Format (ABF 1 and 2), through neo.

The voltage is the channel in volts, the current is the analogue output in amperes (the *command*, free of noise) or
the recorded channel in amperes. The command is preferred where the file holds it whole; ramps, trains and stimulus
files are not reconstructed by neo, so there the recorded current is taken, or the file is refused. A file that
commands a voltage and records a current is voltage clamp and is refused.

Reference: Molecular Devices, Axon Binary File Format 2 user guide; ``neo.io.AxonIO``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noble_prob.errors import UsageError, require
from noble_prob.readers.sweeps import RawFile, RawSweep, choose, factor, quantity

_PLAIN_EPOCHS = (0, 1)
"""Epoch types of ABF that neo plays back right: off and step."""
Signal = tuple[str, str, NDArray[np.float64]]


def load_abf(path: Path, channel: int | str | None) -> RawFile:
    """Read all sweeps of an ABF file.

    Args:
        path: The file.
        channel: Which voltage channel, by position among them or by name; the first when None.

    Raises:
        UsageError: If the file is no complete ABF file, holds no voltage, no current, or is voltage clamp.
    """
    import neo

    with path.open("rb") as stream:
        require(
            stream.read(4) in (b"ABF ", b"ABF2"),
            "path",
            "an ABF file (it begins with 'ABF')",
            f"{path.name}, which does not",
            "check the extension, or export the recording again",
        )
    try:
        reader = neo.AxonIO(str(path))
        segments = reader.read_block(signal_group_mode="split-all").segments
        rows = [_signals(segment) for segment in segments]
        dt_ms = float(segments[0].analogsignals[0].sampling_period.rescale("ms").magnitude)
        commands = _commands(reader)
    except Exception as error:
        raise UsageError(
            "path",
            "a complete ABF file",
            f"{path.name}, which neo can not read ({_short(error)})",
            "copy the file again from the rig; it may be truncated",
        ) from error
    return _assemble(path, rows, commands, round(dt_ms, 9), channel)


def _signals(segment: Any) -> list[Signal]:
    """Name, unit and samples of each channel of a neo segment."""
    return [
        (str(s.name or ""), s.units.dimensionality.string, np.asarray(s.magnitude, float)[:, 0])
        for s in segment.analogsignals
    ]


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0][:80] if str(error) else 'no message'}"


def _commands(reader: Any) -> list[list[Signal]]:
    """Analogue outputs per sweep, without those that neo can not play back; empty for ABF 1."""
    info = reader._axon_info
    if info["fFileVersionNumber"] < 2:
        return []
    epochs = info["dictEpochInfoPerDAC"]
    plain = [
        int(dac["nWaveformEnable"]) == 0
        or (
            int(dac["nWaveformSource"]) == 1
            and all(e["nEpochType"] in _PLAIN_EPOCHS for e in epochs.get(k, {}).values())
        )
        for k, dac in enumerate(info["listDACInfo"])
    ]
    segments = reader.read_protocol()
    return [[signal for signal, ok in zip(_signals(s), plain, strict=False) if ok] for s in segments]


def _assemble(
    path: Path, rows: list[list[Signal]], commands: list[list[Signal]], dt_ms: float, channel: int | str | None
) -> RawFile:
    voltages = [name for name, unit, _ in rows[0] if quantity(unit) == "voltage"]
    clamp = not voltages or (_moves(commands, "voltage") and not _moves(commands, "current"))
    require(
        not clamp,
        "path",
        "a current-clamp recording (voltage recorded, current commanded)",
        f"{path.name}, a voltage-clamp or current-only file",
        "choose a current-clamp file of this cell",
    )
    chosen = choose(channel, voltages, "voltage channels")
    remarks = [f"Of the voltage channels {voltages} this is {voltages[chosen]!r}."] if len(voltages) > 1 else []
    current, source, remark = _injected(path, rows, commands)
    sweeps = []
    for i, row in enumerate(rows):
        _, unit, volts = [s for s in row if quantity(s[1]) == "voltage"][chosen]
        volts = volts * factor(unit, f"channel {voltages[chosen]!r}")
        sweeps.append(RawSweep(label=str(i), voltage_mv=volts, current_pa=current[i], dt_ms=dt_ms, source=source))
    return RawFile(
        name=path.name,
        format="ABF",
        files=(path,),
        sweeps=tuple(sweeps),
        remarks=tuple(remarks + remark),
        libraries=("neo",),
    )


def _injected(
    path: Path, rows: list[list[Signal]], commands: list[list[Signal]]
) -> tuple[list[NDArray[np.float64]], str, list[str]]:
    """The injected current per sweep (pA), whether it is the command or recorded, and remarks on that choice."""
    recorded = _of_unit(rows, "current")
    command = _of_unit(commands, "current") if _moves(commands, "current") else None
    if command is not None and [len(c) for c in command] != [len(row[0][2]) for row in rows]:
        command = None  # a protocol of another length than the recording is not its command
    if command is not None and recorded is not None and not _agree(command, recorded):
        return recorded, "recorded", ["The recorded current does not follow the command, so the recorded one is used."]
    if command is not None:
        return command, "command", []
    if recorded is not None:
        return recorded, "recorded", []
    raise UsageError(
        "path",
        "a file with the injected current (command or recorded)",
        f"{path.name}, which holds neither",
        "export voltage and current to CSV (python -m pydoc noble_prob.readers.csv_table names the columns)",
    )


def _of_unit(rows: list[list[Signal]], kind: str) -> list[NDArray[np.float64]] | None:
    """Per sweep the liveliest signal of a kind, in pA or mV; None where a sweep has none."""
    if not rows or not all(any(quantity(unit) == kind for _, unit, _ in row) for row in rows):
        return None
    scaled = [[x * factor(unit, name) for name, unit, x in row if quantity(unit) == kind] for row in rows]
    span = [max(float(np.ptp(row[k])) if len(row[k]) else 0.0 for row in scaled) for k in range(len(scaled[0]))]
    best = int(np.argmax(span))
    return [row[best] for row in scaled]


def _moves(commands: list[list[Signal]], kind: str) -> bool:
    signals = _of_unit(commands, kind)
    return signals is not None and any(float(np.ptp(x)) > 0 for x in signals)


def _agree(command: list[NDArray[np.float64]], recorded: list[NDArray[np.float64]]) -> bool:
    """Whether the recorded current has the command's shape: correlation above 0.5 in the sweep that moves most."""
    i = int(np.argmax([np.ptp(c) for c in command]))
    n = min(len(command[i]), len(recorded[i]))
    if np.std(recorded[i][:n]) == 0:
        return False
    return bool(np.corrcoef(command[i][:n], recorded[i][:n])[0, 1] > 0.5)
