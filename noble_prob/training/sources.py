"""Where response sets come from: data sets of this package's simulator, and packed parts of the same codec."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from noble_prob.decoder.base import Window
from noble_prob.errors import require
from noble_prob.population.codec import decode
from noble_prob.population.store import Store
from noble_prob.training.data import ResponseSet

N_PUBLISHED = 60


def standard_window(current_pa: torch.Tensor) -> Window:
    """The grid every training response is on: 512 ms at 0.0625 ms, a 400 ms step from 12 ms."""
    low, high = float(current_pa.min()), float(current_pa.max())
    return Window(dt_ms=0.0625, n_samples=8192, onset_ms=12.0, duration_ms=400.0, current_range_pa=(low, high))


def from_store(path: Path, *, cell: str) -> ResponseSet:
    """Accepted models of a data set whose every pulse has the standard window.

    Args:
        path: Folder of the data set.
        cell: Name of the cell.

    Raises:
        UsageError: If a pulse has another onset or duration.
    """
    chunk = Store(path).accepted()
    ordinary = bool((chunk.onset_ms == 12.0).all() and (chunk.duration_ms == 400.0).all())
    require(ordinary, "path", "a data set of 400 ms pulses from 12 ms", str(path), "make it without random durations")
    current = torch.from_numpy(chunk.amps_pa.astype(np.float64))
    return ResponseSet(
        cell=cell,
        window=standard_window(current),
        model=torch.full((len(current),), -1),
        current_pa=current,
        counts=torch.from_numpy(chunk.quantised),
    )


def from_parts(paths: Sequence[Path], *, cell: str) -> ResponseSet:
    """Packed parts: ``amps`` (nA), ``idx``, and ``b``, the byte planes of int16 second differences.

    Args:
        paths: ``.npz`` files; models numbered 0..59 are the published ones.
        cell: Name of the cell.
    """
    amps, number, counts = [], [], []
    for path in paths:
        with np.load(path) as part:
            amps.append(part["amps"].astype(np.float64) * 1000)
            number.append(np.where(part["idx"] < N_PUBLISHED, part["idx"], -1).astype(np.int64))
            counts.append(decode(part["b"]))
    current = torch.from_numpy(np.concatenate(amps)).round(decimals=6)
    return ResponseSet(
        cell=cell,
        window=standard_window(current),
        model=torch.from_numpy(np.concatenate(number)),
        current_pa=current,
        counts=torch.from_numpy(np.concatenate(counts)),
    )
