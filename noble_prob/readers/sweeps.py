"""What every file format is turned into first: sweeps in mV and pA, and the units that got there.

Foreign units live in this room only. A unit is a prefix and a base (``mV``, ``nA``, ``volts``); a channel is a
voltage or a current by its base, wherever it sits in the file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from noble_prob.errors import UsageError
from noble_prob.recording import Step

_POWER = {"": 0, "f": -15, "p": -12, "n": -9, "u": -6, "µ": -6, "μ": -6, "m": -3, "k": 3}
_WORDS = {"volt": "V", "volts": "V", "ampere": "A", "amperes": "A", "amp": "A", "amps": "A"}
_PREFIX = {"milli": "m", "micro": "u", "nano": "n", "pico": "p"}
_TARGET = {"V": -3, "A": -12}


@dataclass(frozen=True, kw_only=True)
class RawSweep:
    """One sweep as a file gives it, in our units.

    Attributes:
        label: How the file calls it.
        voltage_mv: Voltage (mV), shape ``(*batch, time)``.
        current_pa: Injected current (pA), shape ``(time,)``.
        dt_ms: Sampling interval (ms).
        family: Name of its sweep family; sweeps of different families are not put into one recording.
        source: ``"command"`` or ``"recorded"``: what the current is.
        step: Its pulse where the file states it; ``None`` otherwise.
        stated: Whether the file states ``step`` (then nothing is detected).
    """

    label: str
    voltage_mv: NDArray[np.float64]
    current_pa: NDArray[np.float64]
    dt_ms: float
    family: str = ""
    source: str = "recorded"
    step: Step | None = None
    stated: bool = False


@dataclass(frozen=True, kw_only=True)
class RawFile:
    """All current-clamp sweeps of a file or of a set of files.

    Attributes:
        name: File or folder name, without its path.
        format: ``"ABF"``, ``"IBW"``, ``"NWB"``, ``"CSV"``, ``"NPZ"`` or ``"arrays"``.
        files: The files that were read.
        sweeps: Their sweeps, in order.
        axes: Names of leading batch axes (NPZ and arrays only).
        remarks: What a user should know, in sentences.
        libraries: Packages that took part in reading, to be recorded with their versions.
        given: Provenance that the file itself carries (NPZ only).
    """

    name: str
    format: str
    files: tuple[Path, ...]
    sweeps: tuple[RawSweep, ...]
    axes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    given: Mapping[str, object] = field(default_factory=dict)


def quantity(unit: str) -> str:
    """``"voltage"``, ``"current"`` or ``"other"``, from a unit as files write it."""
    base = _parse(unit)[1]
    return {"V": "voltage", "A": "current"}.get(base, "other")


def factor(unit: str, where: str) -> float:
    """Multiply values in ``unit`` by this to get mV (volts) or pA (amperes).

    Raises:
        UsageError: If the unit is neither a voltage nor a current.
    """
    power, base = _parse(unit)
    if base not in _TARGET:
        raise UsageError(
            "unit",
            "a voltage (V, mV) or a current (A, nA, pA)",
            f"{unit!r} for {where}",
            "correct the unit of this channel in the file",
        )
    return math.pow(10.0, power - _TARGET[base])


def number_in(channel: int | str | None) -> int | None:
    """A channel given as a number or as the text of one; None for a name or nothing."""
    if isinstance(channel, str) and channel.isdecimal():
        return int(channel)
    return channel if isinstance(channel, int) else None


def choose(channel: int | str | None, names: Sequence[str], what: str) -> int:
    """Index of a channel given by position or by name; the first when not given.

    Args:
        channel: Position, name, or None.
        names: Names of the channels there are.
        what: What kind of channel, for the error.

    Raises:
        UsageError: If there is no such channel.
    """
    if channel is None:
        return 0
    if isinstance(channel, str) and channel in names:
        return names.index(channel)
    index = number_in(channel)
    if index is None or not 0 <= index < len(names):
        listed = ", ".join(f"{i} = {name!r}" for i, name in enumerate(names))
        raise UsageError(
            "channel", f"one of the {what}: {listed}", repr(channel), "pass the number or name of one of them"
        )
    return index


def _parse(unit: str) -> tuple[int, str]:
    """Power of ten and base (``"V"``, ``"A"`` or ``""``) of a unit."""
    text = unit.strip()
    if text.lower() in _WORDS:
        return 0, _WORDS[text.lower()]
    for word, prefix in _PREFIX.items():
        rest = text.lower().removeprefix(word)
        if rest != text.lower() and rest in _WORDS:
            return _POWER[prefix], _WORDS[rest]
    match = re.fullmatch(r"([fpnuµμmk]?)([VA])", text)
    return (_POWER[match[1]], match[2]) if match else (0, "")
