"""A group of models with their traces: in memory, and as the bytes of a file.

The bytes are an npz archive without dates, so that equal content is equal bytes; voltages are packed by
:mod:`noble_prob.population.codec`. The archive carries a checksum of each member, which is verified on reading.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.errors import require
from noble_prob.population.codec import decode, dequantise, encode
from noble_prob.population.stimuli import steps
from noble_prob.recording import Recording, Step

ARRAYS = ("model_id", "parameters", "amps_pa", "onset_ms", "duration_ms", "quantised")
"""Fields of a chunk that are arrays with one row per model."""


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

    def recording(self, columns: Sequence[int], *, sample_ms: float) -> Recording:
        """Responses of all models to pulses that are the same for all, such as the standard protocol.

        Args:
            columns: Positions on the current axis.
            sample_ms: Sampling interval of the set (ms).

        Raises:
            UsageError: If the models' pulses differ in these columns.
        """
        c = list(columns)
        pulses = np.stack([self.onset_ms[:, c], self.duration_ms[:, c], self.amps_pa[:, c]], -1)
        same = bool((pulses == pulses[:1]).all())
        require(same, "columns", "pulses that all models share", c, "take the columns of the standard protocol")
        protocol = steps(
            [Step(onset_ms=o, duration_ms=d, amplitude_pa=a) for o, d, a in pulses[0].tolist()],
            total_ms=self.quantised.shape[-1] * sample_ms,
            dt_ms=sample_ms,
        )
        return Recording(
            protocol=protocol, voltage_mv=torch.from_numpy(dequantise(self.quantised[:, c])), axes=("neuron",)
        )


def join(chunks: Sequence[Chunk]) -> Chunk:
    """All models of several chunks as one, in order."""
    arrays = {n: np.concatenate([getattr(c, n) for c in chunks]) for n in ARRAYS}
    return Chunk(index=-1, status=tuple(s for c in chunks for s in c.status), **arrays)


def pack(chunk: Chunk) -> bytes:
    """The bytes of a chunk."""
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


def unpack(content: bytes, *, index: int) -> Chunk:
    """Inverse of :func:`pack`.

    Args:
        content: The bytes.
        index: Number of the chunk.

    Raises:
        zipfile.BadZipFile: If a checksum is wrong; other errors of numpy and zlib if the archive is damaged elsewhere.
    """
    with np.load(io.BytesIO(content), allow_pickle=False) as data:
        arrays = {name: data[name] for name in data.files}
    quantised = decode(arrays.pop("second_difference"))
    return Chunk(index=index, status=tuple(str(s) for s in arrays.pop("status")), quantised=quantised, **arrays)
