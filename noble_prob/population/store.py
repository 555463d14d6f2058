"""Data sets on disk: a folder of chunks that is complete at every moment of its making.

``docs/data_sets.md`` is the specification. In short: ``manifest.json`` says what is to be made and how;
``chunk-00012.npz`` holds the 13th group of models: a table of models, a table of currents, and the compressed voltages.
A chunk is written under another name, flushed to disk and renamed: it exists whole or not at all. Its bytes depend on
the plan and its number alone, never on the clock or on which process made it. So a reader may come while a writer
works, a killed run is continued by making the chunks that are missing, several machines may make different chunks of
one set, and the sets are merged by copying files.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from noble_prob.errors import UsageError, require
from noble_prob.jobs.place import begin_folder
from noble_prob.jobs.whole import write_atomically
from noble_prob.population.chunk import Chunk, join, pack, unpack
from noble_prob.population.codec import OFFSET_MV, SCALE_MV

FORMAT = "noble_prob data set, version 1"
EXTENDABLE = ("n_models", "provenance")
"""Entries of the manifest that may differ when a set is continued: they change no chunk. The number may only grow."""
DAMAGE = (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error, EOFError)
"""What reading a damaged chunk may raise."""
RESTORE = "restore the file, or choose another folder"
Condition = Literal["absent", "short", "damaged", "whole"]
_CHUNK = re.compile(r"chunk-(\d+)\.npz")


class Store:
    """A data set in a folder.

    Args:
        path: Folder of an existing set (make one with :meth:`Store.create`).

    Raises:
        UsageError: If the folder holds no data set of this format.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.manifest = _manifest(self.path / "manifest.json")
        self._sums = _checksums(self.path / "checksums.txt")

    @classmethod
    def create(cls, path: str | Path, plan: Mapping[str, Any]) -> Store:
        """Begin a data set, or continue the one that the same plan began.

        Args:
            path: Folder.
            plan: JSON values: ``n_models``, ``chunk_models``, ``parameter_names``, ``dt_ms``, ``n_samples`` and
                whatever else determines the content. Only ``n_models`` (upwards) and ``provenance`` may change.

        Raises:
            UsageError: If the folder holds a set of another plan, a larger one, chunks of an unknown plan, or can not
                be written.
        """
        folder = Path(path)
        codec = {
            "scale_mv": SCALE_MV,
            "offset_mv": OFFSET_MV,
            "planes": "low and high byte of int16 second differences",
        }
        manifest = json.loads(json.dumps({"format": FORMAT, "codec": codec, **plan}))
        if (folder / "manifest.json").exists():
            _require_same(cls(folder).manifest, manifest)
        else:
            strays = sorted(f.name for f in folder.glob("chunk-*.npz"))
            require(
                not strays,
                "out",
                "a folder whose chunks have their manifest.json",
                f"{strays[:3]} without it",
                "restore the manifest, or choose another folder",
            )
        begin_folder(folder)
        write_atomically(folder / "manifest.json", (json.dumps(manifest, indent=1) + "\n").encode())
        return cls(folder)

    @property
    def n_chunks(self) -> int:
        """Number of chunks of the complete set."""
        return -(-self.manifest["n_models"] // self.manifest["chunk_models"])

    def members(self, index: int) -> range:
        """Numbers of the models of a chunk."""
        size = self.manifest["chunk_models"]
        return range(index * size, min((index + 1) * size, self.manifest["n_models"]))

    def done(self) -> list[int]:
        """Numbers of the chunks that exist, in order."""
        return sorted(int(match[1]) for file in self.path.iterdir() if (match := _CHUNK.fullmatch(file.name)))

    def condition(self, index: int) -> Condition:
        """What there is of a chunk, all its bytes read.

        ``short``: it holds fewer models than it shall (the last one grows when ``n_models`` does). ``damaged``: it can
        not be read, holds other models, or is not what ``checksums.txt`` says.
        """
        try:
            content = self._file(index).read_bytes()
            held = unpack(content, index=index).model_id.tolist()
        except FileNotFoundError:
            return "absent"
        except DAMAGE:
            return "damaged"
        wanted = list(self.members(index))
        sealed = self._sums.get(self._file(index).name)
        if held != wanted[: len(held)] or sealed not in (None, hashlib.sha256(content).hexdigest()):
            return "damaged"
        return "whole" if len(held) == len(wanted) else "short"

    def missing(self) -> list[int]:
        """Numbers of the chunks still to be made, or to be made again."""
        return [i for i in range(self.n_chunks) if self.condition(i) != "whole"]

    def write(self, chunk: Chunk) -> None:
        """Add a chunk: whole, on disk, or not at all."""
        write_atomically(self._file(chunk.index), pack(chunk))
        self._sums.pop(self._file(chunk.index).name, None)

    def read(self, index: int) -> Chunk:
        """One chunk.

        Raises:
            UsageError: If it does not exist or its checksum is wrong.
        """
        try:
            return unpack(self._file(index).read_bytes(), index=index)
        except DAMAGE as error:
            raise UsageError(
                f"chunk {index}",
                "a readable chunk",
                error,
                "run the same `noble-prob populate` again: it mends the chunk",
            ) from error

    def __iter__(self) -> Iterator[Chunk]:
        for index in self.done():
            yield self.read(index)

    def statuses(self, index: int) -> list[str]:
        """Status of every model of a chunk, without reading a voltage; none where it is absent or damaged."""
        try:
            with np.load(self._file(index), allow_pickle=False) as content:
                return [str(status) for status in content["status"]]
        except DAMAGE:
            return []

    def accepted(self) -> Chunk:
        """All accepted models of the set as one chunk (all of it in memory: 2 bytes per sample)."""
        parts = [chunk.select(chunk.accepted) for chunk in self]
        require(bool(parts), "store", "a set with at least one chunk", "none yet", "wait for the first chunk")
        return join(parts)

    def seal(self) -> Path:
        """Write ``checksums.txt`` (``sha256sum -c`` reads it) over the manifest and all chunks that exist.

        A chunk that was sealed before and not written since keeps its checksum, so that damage stays visible.
        """
        files = [self.path / "manifest.json", *(self._file(i) for i in self.done())]
        known = {name: digest for name, digest in self._sums.items() if _CHUNK.fullmatch(name)}
        digests = {f.name: known.get(f.name) or hashlib.sha256(f.read_bytes()).hexdigest() for f in files}
        lines = "".join(f"{digest}  {name}\n" for name, digest in digests.items())
        write_atomically(self.path / "checksums.txt", lines.encode())
        return self.path / "checksums.txt"

    def _file(self, index: int) -> Path:
        return self.path / f"chunk-{index:05d}.npz"


def _manifest(file: Path) -> dict[str, Any]:
    """The plan of a set."""
    require(file.is_file(), "path", "a folder with a data set", str(file.parent), "make one with `noble-prob populate`")
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError("manifest.json", "readable JSON", error, RESTORE) from error
    require(isinstance(manifest, dict), "manifest.json", "a JSON object", type(manifest).__name__, RESTORE)
    require(
        manifest.get("format") == FORMAT,
        "manifest.format",
        FORMAT,
        manifest.get("format"),
        "read the set with the version that wrote it",
    )
    for name in ("n_models", "chunk_models"):
        value = manifest.get(name)
        require(type(value) is int and value > 0, f"manifest.{name}", "a positive whole number", value, RESTORE)
    return manifest


def _checksums(file: Path) -> dict[str, str]:
    """SHA-256 by file name; none where the list is missing, and lines that are not its own are passed over."""
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    return {name: digest for digest, name in re.findall(r"^([0-9a-f]{64})  (\S+)$", text, re.MULTILINE)}


def _require_same(old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Refuse to continue a set under another plan."""
    for name in sorted({*old, *new} - {*EXTENDABLE}):
        expected = f"{old.get(name)!r}, as in the set that is there"
        remedy = "continue with the same plan, or choose another folder"
        require(old.get(name) == new.get(name), name, expected, repr(new.get(name)), remedy)
    require(
        new["n_models"] >= old["n_models"],
        "n_models",
        f"at least {old['n_models']}, as in the set that is there",
        new["n_models"],
        "ask for as many or more, or choose another folder",
    )
