"""Which recordings lie in a list of files and folders, and under which name each one's result is kept.

A file of a known format is a recording; so is a folder of Igor waves (a sweep family is many files), or a list of waves
given by name. Among other files a wave stands for the pair that it belongs to, whichever of the two is named. A folder
without waves is looked into, one level deep: its files, and its folders of waves.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from noble_prob.errors import require
from noble_prob.readers import EXTENSIONS
from noble_prob.readers.ibw import files_of, key_of

WAVE = ".ibw"
RUN = "run.json"
TAKEN = ("summary.csv", "summary.json", RUN)
"""Files of a run, after which no folder of results can be named."""
BLOCK = 1 << 20
"""Bytes that are read at once."""
LONGEST = 200
"""Bytes of a name, well below what file systems take."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """One recording on disk.

    Attributes:
        name: Name of its folder of results, unique in a run.
        path: A file, or a folder of waves.
    """

    name: str
    path: Path

    @cached_property
    def sha256(self) -> str:
        """Hash of its content when first asked for, see :meth:`now`."""
        return self.now()

    def now(self) -> str:
        """Hash of its present content, with that of a wave's partner; empty if there is no file to read."""
        digest = hashlib.sha256()
        try:
            for file in sorted(_waves(self.path)) if self.path.is_dir() else _with_partners(self.path):
                if not file.is_file():  # a pipe would be waited for
                    return ""
                with file.open("rb") as stream:
                    while block := stream.read(BLOCK):  # a file may be larger than the memory
                        digest.update(block)
        except OSError:
            return ""
        return digest.hexdigest()


def is_many(paths: Sequence[Path]) -> bool:
    """Whether these paths are several recordings: several files that are not all waves, or a folder of recordings.

    Args:
        paths: As given by the user.
    """
    if len(paths) > 1:
        return not all(p.suffix.lower() == WAVE for p in paths)
    return os.path.isdir(paths[0]) and not _waves(paths[0]) and bool(_inside(paths[0]))


def find_recordings(paths: Sequence[Path]) -> list[Source]:
    """The recordings that files and folders hold, in a fixed order, each once.

    A file that does not exist, or whose format is not known, stays in the list where it was given by name: it fails by
    itself, with its own sentence.

    Args:
        paths: Files, folders of waves, or folders of recordings.

    Raises:
        UsageError: If there is none.
    """
    every: dict[str, Path] = {}
    for path in paths:
        inside = _inside(path) if os.path.isdir(path) and not _waves(path) else [path]
        for item in inside:
            every.setdefault(_identity(item), item)
    require(
        bool(every),
        "files",
        f"recordings ({', '.join(EXTENSIONS)}), or a folder that holds some",
        ", ".join(repr(p.name) for p in paths),
        "check the path",
    )
    found = list(every.values())
    return [Source(name=name, path=path) for name, path in zip(_names(found), found, strict=True)]


def passed_over(paths: Sequence[Path], out: Path) -> list[Path]:
    """Files of a known format in folders of folders, which :func:`find_recordings` does not look into.

    Args:
        paths: As given by the user.
        out: Folder of the results, which are no recordings; nor are those of other runs.
    """
    looked_at = {os.path.realpath(path) for path in (out, *paths)}
    found: list[Path] = []
    for folder in (path for path in paths if os.path.isdir(path) and not _waves(path)):
        looked_at |= {os.path.realpath(path) for path in _inside(folder)}
        for place, below, files in os.walk(folder):
            below[:] = sorted(
                name
                for name in below
                if name[:1] != "." and os.path.realpath(os.path.join(place, name)) not in looked_at
            )
            if RUN in files:
                below.clear()
            elif Path(place) != folder:
                found += (Path(place) / name for name in sorted(files) if _readable(name))
    return found


def require_apart(out: Path, sources: Sequence[Source]) -> None:
    """Refuse results in, or around, recordings: a result replaces what bears its name.

    A folder *beside* recordings, ``recordings/posteriors``, is fine.

    Args:
        out: Folder of the results.
        sources: Recordings.

    Raises:
        UsageError: If it is a recording, contains one or lies in one.
    """
    place = Path(os.path.realpath(out))
    for source in sources:
        path = Path(os.path.realpath(source.path))
        require(
            place != path and place not in path.parents and path not in place.parents,
            "out",
            "a folder apart from the recordings",
            f"{str(out)!r} with the recording {str(source.path)!r}",
            "choose another folder, such as a new one beside them",
        )


def _inside(folder: Path) -> list[Path]:
    """Recordings directly in a folder: files of a known format, and folders of waves."""
    items = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    return [p for p in items if (bool(_waves(p)) if p.is_dir() else _readable(p.name))]


def _readable(name: str) -> bool:
    return name[:1] != "." and Path(name).suffix.lower() in EXTENSIONS


def _waves(folder: Path) -> list[Path]:
    if not os.path.isdir(folder):
        return []
    return [p for p in folder.iterdir() if p.suffix.lower() == WAVE and not p.is_dir()]


def _is_wave(path: Path) -> bool:
    return path.suffix.lower() == WAVE and not os.path.isdir(path)


def _with_partners(path: Path) -> list[Path]:
    """The files that are read where this one is named."""
    return files_of(path)[1] if _is_wave(path) else [path]


def _identity(path: Path) -> str:
    """The same for two names of one recording."""
    real = Path(os.path.realpath(path))
    return str(real.with_name(f"{key_of(real)}{WAVE}") if _is_wave(real) else real)


def _names(paths: Sequence[Path]) -> list[str]:
    """A name for the results of each: the file's own, where that tells it apart and can be a folder's."""
    short = Counter(p.name for p in paths)
    names = [p.name if short[p.name] == 1 and p.name not in TAKEN and p.name[:1] != "." else _long(p) for p in paths]
    again = Counter(names)
    return [
        name if again[name] == 1 and len(os.fsencode(name)) <= LONGEST else _hashed(name, path)
        for name, path in zip(names, paths, strict=True)
    ]


def _long(path: Path) -> str:
    """A name that tells files of the same name in different folders apart."""
    return "__".join(Path(os.path.realpath(path)).parts[1:])


def _hashed(name: str, path: Path) -> str:
    """The end of a name behind a hash of the whole path."""
    digest = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:12]
    return f"{digest}__{os.fsencode(name)[-LONGEST // 2 :].decode(errors='ignore')}"
