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
import io
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.errors import UsageError, require
from noble_prob.population.codec import OFFSET_MV, SCALE_MV, decode, dequantise, encode

FORMAT = "noble_prob data set, version 1"
EXTENDABLE = ("n_models", "provenance")
"""Entries of the manifest that may differ when a set is continued: they change no chunk."""


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A group of models with their traces.

    Attributes:
        index: Number of the chunk.
        model_id: Number of each model in the population, shape ``(model,)``.
        status: Per model ``"accepted"``, or why not: ``"rejected: ..."``, ``"failed: ..."``.
        parameters: Natural units, shape ``(model, parameter)``; names are in the manifest.
        amps_pa: Pulse heights (pA), NaN where a trace was not simulated, shape ``(model, current)``.
        onset_ms: Pulse onsets, shape ``(model, current)``.
        duration_ms: Pulse durations, shape ``(model, current)``.
        quantised: Voltages in int16 steps (see :mod:`noble_prob.population.codec`), shape ``(model, current, time)``.
    """

    index: int
    model_id: np.ndarray
    status: tuple[str, ...]
    parameters: np.ndarray
    amps_pa: np.ndarray
    onset_ms: np.ndarray
    duration_ms: np.ndarray
    quantised: np.ndarray

    @property
    def voltage_mv(self) -> Float[Tensor, "model current time"]:
        """Voltage (mV, float32); NaN where a trace was not simulated."""
        voltage = dequantise(self.quantised)
        voltage[np.isnan(self.amps_pa)] = np.nan
        return torch.from_numpy(voltage)

    @property
    def accepted(self) -> np.ndarray:
        """Which models were accepted, shape ``(model,)``."""
        return np.array([s == "accepted" for s in self.status], dtype=bool)

    def select(self, keep: np.ndarray) -> Chunk:
        """Only some of the models.

        Args:
            keep: Mask or positions of models.
        """
        at = np.arange(len(self.model_id))[keep]
        names = ("model_id", "parameters", "amps_pa", "onset_ms", "duration_ms", "quantised")
        return Chunk(
            index=self.index, status=tuple(self.status[i] for i in at), **{n: getattr(self, n)[at] for n in names}
        )


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
            with np.load(self._file(index), allow_pickle=False) as data:
                arrays = {name: data[name] for name in data.files}
        except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
            raise UsageError(
                f"chunk {index}", "a readable chunk", error, "delete the file and make it again"
            ) from error
        quantised = decode(arrays.pop("second_difference"))
        return Chunk(index=index, status=tuple(str(s) for s in arrays.pop("status")), quantised=quantised, **arrays)

    def __iter__(self) -> Iterator[Chunk]:
        for index in self.done():
            yield self.read(index)

    def accepted(self) -> Chunk:
        """All accepted models of the set as one chunk (all of it in memory: 2 bytes per sample)."""
        parts = [chunk.select(chunk.accepted) for chunk in self]
        require(bool(parts), "store", "a set with at least one chunk", "none yet", "wait for the first chunk")
        names = ("model_id", "parameters", "amps_pa", "onset_ms", "duration_ms", "quantised")
        joined = {n: np.concatenate([getattr(p, n) for p in parts]) for n in names}
        return Chunk(index=-1, status=sum((p.status for p in parts), ()), **joined)

    def seal(self) -> Path:
        """Write ``checksums.txt`` (``sha256sum -c`` reads it) over the manifest and all chunks that exist."""
        files = [self.path / "manifest.json", *(self._file(i) for i in self.done())]
        lines = "".join(f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.name}\n" for f in files)
        write_atomically(self.path / "checksums.txt", lines.encode())
        return self.path / "checksums.txt"

    def _file(self, index: int) -> Path:
        return self.path / f"chunk-{index:05d}.npz"


def pack(chunk: Chunk) -> bytes:
    """The bytes of a chunk: an npz archive without dates, so that equal content is equal bytes."""
    arrays = {
        "model_id": chunk.model_id.astype(np.int64),
        "status": np.array(chunk.status, dtype=np.str_),
        "parameters": chunk.parameters.astype(np.float64),
        "amps_pa": chunk.amps_pa.astype(np.float64),
        "onset_ms": chunk.onset_ms.astype(np.float64),
        "duration_ms": chunk.duration_ms.astype(np.float64),
        "second_difference": encode(chunk.quantised),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, value in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(value), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(entry, member.getvalue(), compress_type=zipfile.ZIP_DEFLATED, compresslevel=6)
    return buffer.getvalue()


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
