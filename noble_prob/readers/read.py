"""One verb for every file: :func:`read` a recording, or :func:`read_all` that a file holds.

The extension chooses the format; everything after that is common to all: units, checks, pulses, provenance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from noble_prob.errors import UsageError, listed, require
from noble_prob.readers.abf import load_abf
from noble_prob.readers.assemble import recordings
from noble_prob.readers.csv_table import load_csv
from noble_prob.readers.cut import PulseChoice
from noble_prob.readers.ibw import load_ibw
from noble_prob.readers.npz import load_npz
from noble_prob.readers.nwb import load_nwb
from noble_prob.readers.sweeps import RawFile
from noble_prob.recording import Recording

PathLike = str | Path
_LOADERS: dict[str, Callable[[Path, int | str | None], RawFile]] = {
    ".abf": load_abf,
    ".csv": load_csv,
    ".ibw": load_ibw,
    ".npz": load_npz,
    ".nwb": load_nwb,
    ".tsv": load_csv,
}
EXTENSIONS = tuple(_LOADERS)
"""Of the files that can be read."""
_KNOWN = ", ".join(EXTENSIONS)


def read(
    path: PathLike | Sequence[PathLike],
    *,
    channel: int | str | None = None,
    liquid_junction_potential_mv: float | None = None,
    pulse: PulseChoice | None = None,
    sweeps: Sequence[int] | None = None,
    require_current: bool = True,
) -> Recording:
    """Read one current-clamp recording.

    Args:
        path: An .abf, .nwb, .csv, .tsv, .npz or .ibw file; for Igor waves also the folder of a sweep family or a list
            of its files (a sweep is a voltage wave and a current wave).
        channel: Which voltage channel (ABF), electrode (NWB) or channel number (IBW), where there are several.
        liquid_junction_potential_mv: Potential to subtract from the voltage (mV), usually positive: 14 turns -60 into
            -74 mV. Nothing is subtracted unless given.
        pulse: Which pulse to keep where sweeps have several, counted from 0, or ``"all"`` (each becomes a sweep). None
            takes, of those of 100 ms or more, the first whose height varies over the sweeps, else the largest.
        sweeps: Which sweeps to keep, counted from 0 in the recording that is read without this argument; all if None.
        require_current: Whether a file without any injected current is refused.

    Returns:
        The sweeps of one family on one grid, voltage in mV and current in pA (float64), shape ``(sweep, time)``. A file
        of several families, lengths or rates gives the one with most steps, and says so in ``provenance["remarks"]``.

    Raises:
        UsageError: If the file is missing, broken, of another kind, or in other units than it says.

    Example:
        >>> recording = read("2019_07_24_0055.abf", liquid_junction_potential_mv=14.0)  # doctest: +SKIP
        >>> recording.protocol.amplitudes_pa  # doctest: +SKIP
        tensor([-100.,  -75.,  -50., ...], dtype=torch.float64)
    """
    recording = read_all(
        path,
        channel=channel,
        liquid_junction_potential_mv=liquid_junction_potential_mv,
        pulse=pulse,
        require_current=require_current,
    )[0]
    return recording if sweeps is None else _selected(recording, sweeps)


def _selected(recording: Recording, sweeps: Sequence[int]) -> Recording:
    """Some sweeps of a recording, in the order in which they are named."""
    last, sweeps = recording.n_sweeps - 1, _whole_numbers(sweeps)
    strange = [k for k in sweeps if not 0 <= k <= last]
    require(
        not strange and len(sweeps) > 0,
        "sweeps",
        f"among 0..{last}, the sweeps of this recording",
        listed(strange) or "none",
        "count from 0, or leave it out for all",
    )
    require(len(set(sweeps)) == len(sweeps), "sweeps", "each sweep once", listed(sweeps), "name it once")
    return recording.select(list(sweeps))


def _whole_numbers(sweeps: Any) -> list[int]:
    """Numbers of sweeps as a list: one number alone, or words, are what people try."""
    many = isinstance(sweeps, Iterable) and not isinstance(sweeps, str | bytes)
    given = list(getattr(sweeps, "tolist", lambda: sweeps)()) if many else []
    whole = many and all(isinstance(k, int | Integral) and not isinstance(k, bool) for k in given)
    require(whole, "sweeps", "a list of whole numbers", repr(sweeps), "write sweeps=[0, 1]")
    return [int(k) for k in given]


def read_all(
    path: PathLike | Sequence[PathLike],
    *,
    channel: int | str | None = None,
    liquid_junction_potential_mv: float | None = None,
    pulse: PulseChoice | None = None,
    require_current: bool = True,
) -> tuple[Recording, ...]:
    """Read every sweep family of a file, one recording each; the arguments are those of :func:`read`, less ``sweeps``.

    Returns:
        Recordings, the one with most steps of 100 ms or more first.

    Raises:
        UsageError: As :func:`read`.
    """
    potential = liquid_junction_potential_mv
    number = potential is None or (isinstance(potential, Real) and not isinstance(potential, bool))
    require(number, "liquid_junction_potential_mv", "a number of mV", repr(potential), "leave it out to subtract none")
    raw = _load(path, channel)
    return tuple(
        recordings(
            raw,
            liquid_junction_potential_mv=liquid_junction_potential_mv,
            pulse=pulse,
            require_current=require_current,
        )
    )


def _load(path: PathLike | Sequence[PathLike], channel: int | str | None) -> RawFile:
    """Choose the loader by extension after checking that there is something to load."""
    each: list[Any] = list(path) if isinstance(path, Sequence) and not isinstance(path, str | bytes) else [path]
    for one in each:
        named = isinstance(one, str | Path) and str(one)
        require(bool(named), "path", "the name of a file or folder, or a list of them", repr(one), "pass a path")
    if not isinstance(path, str | Path):
        return _load_list([Path(p) for p in path], channel)
    path = Path(path)
    require(
        path.exists(),
        "path",
        "an existing file or folder",
        f"{path.name!r}, which is not there",
        "check the path and its spelling",
    )
    if path.is_dir():
        _require_waves(path)
        return load_ibw(path, channel)
    _require_content(path)
    return _LOADERS[path.suffix.lower()](path, channel)


def _load_list(paths: list[Path], channel: int | str | None) -> RawFile:
    require(
        bool(paths), "path", "at least one .ibw file in the list", "an empty list", "list the waves of one sweep family"
    )
    for path in paths:
        require(path.exists(), "path", "existing files", f"{path.name!r}, which is not there", "check the list")
        require(
            path.suffix.lower() == ".ibw",
            "path",
            "a list of .ibw files",
            f"{path.name!r}",
            "read other files one by one",
        )
        _require_content(path)
    return load_ibw(paths, channel)


def _require_waves(folder: Path) -> None:
    """Refuse a folder that is no family of Igor waves, and say whether it holds anything that can be read."""
    kinds = {p.suffix.lower() for p in folder.iterdir()}
    some = bool(kinds & set(EXTENSIONS))
    require(
        ".ibw" in kinds,
        "path",
        f"a recording ({_KNOWN}), or a folder of .ibw waves",
        f"folder {folder.name!r} without .ibw files" + ("" if some else " and without any other recording"),
        "pass one of its files" if some else "check the path, or export a recording to one of these formats",
    )


def _require_content(path: Path) -> None:
    """Refuse what no loader knows, and what has no content; a pipe would be waited for, perhaps for ever."""
    require(
        path.suffix.lower() in _LOADERS,
        "path",
        f"a file of a known format ({_KNOWN})",
        f"{path.name!r}",
        "export it to one of these, CSV for one: python -m pydoc noble_prob.readers.csv_table names the columns",
    )
    require(
        path.is_file(), "path", "a regular file", f"{path.name!r}, a pipe, socket or device", "save it as a file first"
    )
    try:
        with path.open("rb") as stream:
            first = stream.read(1)
    except OSError as error:
        raise UsageError(
            "path", "a readable file", f"{path.name!r} ({error.strerror})", "check its permissions"
        ) from error
    require(
        bool(first),
        "path",
        "a file with content",
        f"{path.name!r}, which is empty (0 bytes)",
        "export or copy it again",
    )
