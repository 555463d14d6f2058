"""Igor binary waves (IBW), through neo: one wave a file, so a sweep is a pair of files.

Acquisition programs save each channel of a sweep as a wave of its own: ``X_IDrest_ch0_326.ibw`` and
``X_IDrest_ch1_326.ibw`` belong together. Pairs are found by the name without its channel token, and *which of the
two is the voltage is read from the unit*: its channel number differs from rig to rig and from day to day. One file
names its pair; a folder, or a list of files, gives one sweep per pair. The part of the name before the sweep number
is the sweep family (``X_IDrest``).
"""

from __future__ import annotations

import logging
import re
import struct
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noble_prob.errors import UsageError, require
from noble_prob.readers.sweeps import RawFile, RawSweep, factor, number_in, quantity

_CHANNEL = re.compile(r"(?i)(?:^|[_\-. ])(?:ch|chan|channel|ad)[_\- ]?(\d+)(?=$|[_\-. ])")


@dataclass(frozen=True, kw_only=True)
class _Wave:
    """One wave in our units."""

    path: Path
    kind: str
    channel: int | None
    value: NDArray[np.float64]
    dt_ms: float


def load_ibw(path: Path | Sequence[Path], channel: int | str | None) -> RawFile:
    """Read one pair of waves, a folder of them, or a list of them.

    Args:
        path: One of the two files of a sweep, a folder, or a list of files.
        channel: Channel number of the voltage waves where a sweep has several; by unit alone when None.

    Raises:
        UsageError: If a file is no complete wave, has no unit, or a sweep lacks its voltage or its current.
    """
    name, files = files_of(path)
    groups: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        groups[key_of(file)].append(file)
    sweeps, used, alone = [], [], []
    for key, members in sorted(groups.items(), key=lambda item: _natural(item[0])):
        waves = [_wave(file) for file in members]
        pair = _pair(key, waves, channel, refuse=len(groups) == 1)
        if pair is None:
            alone.append(key)
            continue
        used += [pair[0].path, pair[1].path]
        sweeps.append(_sweep(key, *pair))
    require(
        bool(sweeps),
        "path",
        "pairs of a voltage and a current wave",
        f"{len(files)} waves of {name} without a partner",
        "put both channels of each sweep into one folder, under names that differ in the channel only",
    )
    remarks = [f"Without a partner, so left out: {', '.join(alone)}."] if alone else []
    return RawFile(
        name=name,
        format="IBW",
        files=tuple(used),
        sweeps=tuple(sweeps),
        remarks=tuple(remarks),
        libraries=("neo", "igor2"),
    )


def files_of(path: Path | Sequence[Path]) -> tuple[str, list[Path]]:
    """Name of the set and the files in it; one file is joined by the others of its sweep.

    Args:
        path: As for :func:`load_ibw`.
    """
    if not isinstance(path, Path):
        files = [Path(p) for p in path]
        return files[0].parent.name if len(files) > 1 else files[0].name, files
    if path.is_dir():
        return path.name, sorted(p for p in path.iterdir() if p.suffix.lower() == ".ibw")
    partners = [p for p in path.parent.iterdir() if p.suffix.lower() == ".ibw" and key_of(p) == key_of(path)]
    return path.name, sorted({path, *partners})


def key_of(path: Path) -> str:
    """File name without its channel token: the same for both waves of a sweep.

    Args:
        path: A wave.
    """
    return _CHANNEL.sub("", path.stem)


def _natural(text: str) -> list[tuple[int, int | str]]:
    """Sort key in which sweep 9 comes before sweep 10."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", text) if part]


_SIZES = {1: "i", 2: "iii", 3: "iiii", 5: "2xiiii4i4iiii"}
"""Byte counts that the header of each version declares, after the version itself (WaveMetrics TN003)."""


def _require_whole(path: Path) -> None:
    """Compare the sizes that a wave declares with the file, before a parser reserves memory for them.

    Raises:
        ValueError: If the file is of an unknown version, or smaller than it says.
    """
    if not path.is_file():  # a pipe would be waited for
        raise ValueError("no regular file")
    with path.open("rb") as stream:
        head = stream.read(64)
    order = "<" if head[1] == 0 else ">"
    version = struct.unpack_from(order + "h", head)[0]
    if version not in _SIZES:
        raise ValueError("not an Igor binary wave")
    sizes = struct.unpack_from(order + _SIZES[version], head, 2)
    if min(sizes) < 0 or sum(sizes) > path.stat().st_size:
        raise ValueError(f"{sum(sizes)} bytes declared, {path.stat().st_size} there")


def _load(path: Path) -> tuple[str, NDArray[np.float64], float]:
    """Unit, samples and sampling interval (ms) of a wave, as neo reads them."""
    import neo

    try:
        _require_whole(path)
        reader = neo.IgorIO(str(path.with_suffix(".ibw")))
        reader.filename = str(path)  # neo checks the extension in lower case only
        with _quiet("igor2"):
            signal: Any = reader.read_segment().analogsignals[0]
        dt_ms = float(signal.sampling_period.rescale("ms").magnitude)
        return signal.units.dimensionality.string, np.asarray(signal.magnitude, float), dt_ms
    except Exception as error:
        raise UsageError(
            "path",
            "a complete Igor binary wave with a unit and a time axis",
            f"{path.name}, which neo can not read ({type(error).__name__}: {str(error)[:80]})",
            "copy the file again from the rig; it may be truncated",
        ) from error


def _wave(path: Path) -> _Wave:
    unit, value, dt_ms = _load(path)
    require(
        value.ndim == 1 or value.shape[1:] == (1,),
        "path",
        "a wave of one sweep",
        f"{path.name} of shape {value.shape}",
        "save each sweep as a wave of its own",
    )
    kind = quantity(unit)
    require(
        kind != "other",
        "unit",
        "V, mV, A, nA or pA in every wave",
        f"{unit!r} in {path.name}",
        "set the data units of the wave in Igor (SetScale d) and save it again",
    )
    found = _CHANNEL.search(path.stem)
    return _Wave(
        path=path,
        kind=kind,
        channel=int(found[1]) if found else None,
        value=value.reshape(-1) * factor(unit, path.name),
        dt_ms=dt_ms,
    )


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Keep a library from logging the raw bytes of a broken file: the error that is raised says enough."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _pair(key: str, waves: list[_Wave], channel: int | str | None, *, refuse: bool) -> tuple[_Wave, _Wave] | None:
    """The voltage and the current wave of a sweep; None (or an error) if it lacks one."""
    number = number_in(channel)
    require(
        channel is None or number is not None,
        "channel",
        "a channel number for .ibw files",
        repr(channel),
        "pass an integer",
    )
    volts = [w for w in waves if w.kind == "voltage" and number in (None, w.channel)]
    amps = [w for w in waves if w.kind == "current"]
    if volts and amps:
        return volts[0], amps[0]
    if not refuse:
        return None
    missing = "current" if volts else "voltage"
    raise UsageError(
        "path",
        "a voltage wave and a current wave per sweep",
        f"no {missing} wave beside {', '.join(w.path.name for w in waves)}",
        f"put the {missing} wave of sweep {key!r} into the same folder, its name different in the channel only",
    )


def _sweep(key: str, voltage: _Wave, current: _Wave) -> RawSweep:
    require(
        abs(voltage.dt_ms - current.dt_ms) <= 1e-6 * voltage.dt_ms,
        "sampling rate",
        f"the same in both waves of sweep {key!r}",
        f"intervals of {voltage.dt_ms:g} and {current.dt_ms:g} ms",
        "export both channels at one rate",
    )
    return RawSweep(
        label=key,
        voltage_mv=voltage.value,
        current_pa=current.value,
        dt_ms=round(voltage.dt_ms, 9),
        family=re.sub(r"[_\-. ]*\d+$", "", key),
    )
