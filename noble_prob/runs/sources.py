"""Which recordings lie in a list of files and folders, and under which name each one's result is kept.

A file of a known format is a recording; so is a folder of Igor waves (a sweep family is many files), or a list of waves
given by name. A folder without waves is looked into, one level deep: its files, and its folders of waves.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from noble_prob.errors import require
from noble_prob.readers import EXTENSIONS

WAVE = ".ibw"


@dataclass(frozen=True, kw_only=True)
class Source:
    """One recording on disk.

    Attributes:
        name: Name of its folder of results, unique in a run.
        path: A file, or a folder of waves.
    """

    name: str
    path: Path

    @property
    def sha256(self) -> str:
        """Hash of its content; empty if there is none to read."""
        digest, files = hashlib.sha256(), sorted(_waves(self.path)) if self.path.is_dir() else [self.path]
        try:
            for file in files:
                digest.update(file.read_bytes())
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
    return paths[0].is_dir() and not _waves(paths[0]) and bool(_inside(paths[0]))


def find_recordings(paths: Sequence[Path]) -> list[Source]:
    """The recordings that files and folders hold, in a fixed order, each once.

    A file that does not exist, or whose format is not known, stays in the list where it was given by name: it fails by
    itself, with its own sentence.

    Args:
        paths: Files, folders of waves, or folders of recordings.

    Raises:
        UsageError: If there is none.
    """
    every: dict[Path, Path] = {}
    for path in paths:
        inside = _inside(path) if path.is_dir() and not _waves(path) else [path]
        for item in inside:
            every.setdefault(item.resolve(), item)
    require(bool(every), "files", f"recordings ({', '.join(EXTENSIONS)}), or a folder that holds some",
            ", ".join(repr(p.name) for p in paths), "check the path")  # fmt: skip
    found = list(every.values())
    short = Counter(p.name for p in found)
    return [Source(name=p.name if short[p.name] == 1 else _long(p), path=p) for p in found]


def _inside(folder: Path) -> list[Path]:
    """Recordings directly in a folder: files of a known format, and folders of waves."""
    items = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    return [p for p in items if (bool(_waves(p)) if p.is_dir() else p.suffix.lower() in EXTENSIONS)]


def _waves(folder: Path) -> list[Path]:
    return [p for p in folder.iterdir() if p.suffix.lower() == WAVE] if folder.is_dir() else []


def _long(path: Path) -> str:
    """A name that tells files of the same name in different folders apart."""
    return "__".join(path.resolve().parts[1:])
