"""Import of an older layout of data sets: ``part_N.npz`` files, all models of a part in one archive.

Fields: ``b`` uint8 (model, current, 2, time), the byte planes of :mod:`noble_prob.population.codec`; ``amps`` nA;
``P`` parameters, positive ones as logarithms, and their names ``keys``; ``idx`` the number of a published model (0..59)
or something else for a perturbed one. Onset 12 ms, duration 400 ms, 0.0625 ms per sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from noble_prob.errors import UsageError, require
from noble_prob.population.accept import FIRES, Criterion, judge_models
from noble_prob.population.codec import decode, dequantise
from noble_prob.population.perturb import is_log
from noble_prob.population.store import Chunk
from noble_prob.recording import Protocol, Recording

ONSET_MS, DURATION_MS, SAMPLE_MS = 12.0, 400.0, 0.0625
N_STANDARD = 4
"""The first four currents are the same for every model."""


def read_legacy_part(path: str | Path, *, index: int = 0, criteria: Sequence[Criterion] = FIRES) -> Chunk:
    """One part as a chunk.

    Args:
        path: The file.
        index: Number that the chunk gets.
        criteria: Which models count as accepted; published models are always accepted.

    Returns:
        The part; ``model_id`` is the number of a published model, or -1.

    Raises:
        UsageError: If the file is not of this layout.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            planes, amps_na, values, names, number = (data[n] for n in ("b", "amps", "P", "keys", "idx"))
    except (OSError, KeyError, ValueError) as error:
        raise UsageError("path", "a part with b, amps, P, keys, idx", path, "give a part_N.npz file") from error
    quantised = decode(planes)
    logs = [is_log(str(name)) for name in names]
    published = (number >= 0) & (number < 60)
    verdicts = judge_models(_standard(quantised, amps_na), criteria)
    return Chunk(
        index=index,
        model_id=np.where(published, number, -1),
        status=tuple("accepted" if p else v.status for p, v in zip(published, verdicts, strict=True)),
        parameters=np.where(logs, np.exp(np.where(logs, values, 0.0)), values),
        amps_pa=np.round(1000 * amps_na, 3),
        onset_ms=np.full(amps_na.shape, ONSET_MS),
        duration_ms=np.full(amps_na.shape, DURATION_MS),
        quantised=quantised,
    )


def _standard(quantised: np.ndarray, amps_na: np.ndarray) -> Recording:
    """The columns that all models share."""
    heights = 1000 * amps_na[:, :N_STANDARD]
    require(bool((heights == heights[0]).all()), "amps", "the same standard currents for all models", "different ones",
            "import parts of one cell")  # fmt: skip
    total = quantised.shape[-1] * SAMPLE_MS
    protocol = Protocol.step_family(heights[0].tolist(), onset_ms=ONSET_MS, duration_ms=DURATION_MS, total_ms=total,
                                    dt_ms=SAMPLE_MS)  # fmt: skip
    voltage = torch.from_numpy(dequantise(quantised[:, :N_STANDARD]))
    return Recording(protocol=protocol, voltage_mv=voltage, axes=("neuron",))
