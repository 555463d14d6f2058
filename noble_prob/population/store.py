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
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from noble_prob.errors import UsageError, require
from noble_prob.population.chunk import Chunk, join, pack, unpack
from noble_prob.population.codec import OFFSET_MV, SCALE_MV

FORMAT = "noble_prob data set, version 1"
EXTENDABLE = ("n_models", "provenance")
"""Entries of the manifest that may differ when a set is continued: they change no chunk."""


class Store:
    """A data set in a folder.

    Args:
        path: Folder of an existing set (make one with :meth:`Store.create`).

    Raises:
        UsageError: If the folder holds no data set of this format.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        try:
            self.manifest: dict[str, Any] = json.loads((self.path / "manifest.json").read_text())
        except (OSError, ValueError) as error:
            raise UsageError("path", "a folder with a data set", path, "make one with `noble-prob populate`") from error
        require(self.manifest.get("format") == FORMAT, "manifest.format", FORMAT, self.manifest.get("format"),
                "read the set with the version that wrote it")  # fmt: skip

    @classmethod
    def create(cls, path: str | Path, plan: Mapping[str, Any]) -> Store:
        """Begin a data set, or continue the one that the same plan began.

        Args:
            path: Folder.
            plan: JSON values: ``n_models``, ``chunk_models``, ``parameter_names``, ``dt_ms``, ``n_samples`` and
                whatever else determines the content. Only ``n_models`` and ``provenance`` may change later.

        Raises:
            UsageError: If the folder holds a set of another plan.
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
        folder.mkdir(parents=True, exist_ok=True)
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
        return sorted(int(file.stem.split("-")[1]) for file in self.path.glob("chunk-[0-9]*.npz"))

    def complete(self, index: int) -> bool:
        """Whether a chunk exists with all its models (the last one grows when ``n_models`` does)."""
        if not self._file(index).exists():
            return False
        with np.load(self._file(index), allow_pickle=False) as data:
            return len(data["model_id"]) == len(self.members(index))

    def missing(self) -> list[int]:
        """Numbers of the chunks still to be made."""
        return [i for i in range(self.n_chunks) if not self.complete(i)]

    def write(self, chunk: Chunk) -> None:
        """Add a chunk: whole, on disk, or not at all."""
        write_atomically(self._file(chunk.index), pack(chunk))

    def read(self, index: int) -> Chunk:
        """One chunk.

        Raises:
            UsageError: If it does not exist or its checksum is wrong.
        """
        try:
            return unpack(self._file(index).read_bytes(), index=index)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise UsageError(
                f"chunk {index}", "a readable chunk", error, "delete the file and make it again"
            ) from error

    def __iter__(self) -> Iterator[Chunk]:
        for index in self.done():
            yield self.read(index)

    def accepted(self) -> Chunk:
        """All accepted models of the set as one chunk (all of it in memory: 2 bytes per sample)."""
        parts = [chunk.select(chunk.accepted) for chunk in self]
        require(bool(parts), "store", "a set with at least one chunk", "none yet", "wait for the first chunk")
        return join(parts)

    def seal(self) -> Path:
        """Write ``checksums.txt`` (``sha256sum -c`` reads it) over the manifest and all chunks that exist."""
        files = [self.path / "manifest.json", *(self._file(i) for i in self.done())]
        lines = "".join(f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.name}\n" for f in files)
        write_atomically(self.path / "checksums.txt", lines.encode())
        return self.path / "checksums.txt"

    def _file(self, index: int) -> Path:
        return self.path / f"chunk-{index:05d}.npz"


def write_atomically(file: Path, content: bytes) -> None:
    """Write beside the file, flush to disk, rename over it, flush the folder."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    with draft.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    draft.rename(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _require_same(old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Refuse to continue a set under another plan."""
    for name in sorted({*old, *new} - {*EXTENDABLE}):
        expected = f"{old.get(name)!r}, as in the set that is there"
        remedy = "continue with the same plan, or choose another folder"
        require(old.get(name) == new.get(name), name, expected, repr(new.get(name)), remedy)
