"""Where response sets come from: data sets of this package's simulator, and packed parts of the same codec."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from noble_prob.decoder.base import Window
from noble_prob.errors import UsageError, require
from noble_prob.population.codec import decode
from noble_prob.population.latents import HELD_OUT_MODELS
from noble_prob.population.progress import progress
from noble_prob.population.store import Store
from noble_prob.training.data import N_PUBLISHED, ResponseSet


def standard_window(current_pa: torch.Tensor) -> Window:
    """The grid every training response is on: 512 ms at 0.0625 ms, a 400 ms step from 12 ms."""
    low, high = float(current_pa.min()), float(current_pa.max())
    return Window(dt_ms=0.0625, n_samples=8192, onset_ms=12.0, duration_ms=400.0, current_range_pa=(low, high))


def from_store(path: Path, *, cell: str, held_out: Iterable[int] = HELD_OUT_MODELS) -> ResponseSet:
    """Accepted models of a data set whose every pulse has the standard window.

    The manifest says which models are the published ones themselves (``include_base``): they keep their numbers.

    Args:
        path: Folder of the data set.
        cell: Name of the cell.
        held_out: Published models that nothing may be perturbed from.

    Raises:
        UsageError: If a pulse has another onset or duration, the grid is another, or a held-out model is among those
            that were perturbed.
    """
    store = Store(path)
    chunk = store.accepted()
    require(
        len(chunk.model_id) > 0,
        "stores",
        "data sets with accepted models",
        f"none in {store.path.name!r} ({progress(store).why})",
        "make it with other `--targets`, a larger `--k-sd` or base models that fire",
    )
    ordinary = bool((chunk.onset_ms == 12.0).all() and (chunk.duration_ms == 400.0).all())
    require(ordinary, "path", "a data set of 400 ms pulses from 12 ms", str(path), "make it without random durations")
    grid = (store.manifest["n_samples"], store.manifest["dt_ms"])
    require(
        grid == (8192, 0.0625), "path", "a data set of 8192 samples every 0.0625 ms", grid, "make it with that grid"
    )
    current = torch.from_numpy(chunk.amps_pa.astype(np.float64))
    model = torch.from_numpy(_published(store, chunk.model_id))
    _require_apart(store, model, set(held_out))
    counts = torch.from_numpy(chunk.quantised)
    return ResponseSet(cell=cell, window=standard_window(current), model=model, current_pa=current, counts=counts)


def unfinished(stores: Iterable[Path]) -> list[str]:
    """A sentence about every data set of which chunks are missing.

    Raises:
        UsageError: If one is no data set.
    """
    found = [(path, progress(Store(path))) for path in stores]
    return [f"{path.name} is not complete. {state.sentence}" for path, state in found if state.missing]


def _published(store: Store, model_id: np.ndarray) -> np.ndarray:
    """Published number of every model of a set, -1 for perturbed ones."""
    base = store.manifest.get("base", {})
    keys = np.array([*(base.get("keys", ()) if base.get("included") else ()), -1], dtype=np.int64)
    return keys[np.minimum(model_id, len(keys) - 1)]


def _require_apart(store: Store, model: torch.Tensor, held_out: set[int]) -> None:
    """Refuse perturbed models that may descend from a held-out one."""
    parents = held_out & set(store.manifest.get("base", {}).get("keys", ()))
    require(
        not parents or bool((model >= 0).all()),
        "held_out",
        "models that nothing was perturbed from",
        f"{sorted(parents)} among the parents of {store.path.name!r}",
        "make the set again with `--held-out`, or name in `held_out` what the set held out ([] for none)",
    )


def from_parts(paths: Sequence[Path], *, cell: str) -> ResponseSet:
    """Packed parts: ``amps`` (nA), ``idx``, and ``b``, the byte planes of int16 second differences.

    Args:
        paths: ``.npz`` files; models numbered 0..59 are the published ones.
        cell: Name of the cell.

    Raises:
        UsageError: If a file is missing, damaged or of another kind.
    """
    amps, number, counts = [], [], []
    for path in paths:
        try:
            with np.load(path, allow_pickle=False) as part:
                amps.append(part["amps"].astype(np.float64) * 1000)
                number.append(np.where(part["idx"] < N_PUBLISHED, part["idx"], -1).astype(np.int64))
                counts.append(decode(part["b"]))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise UsageError(
                "parts",
                "NPZ files with amps, idx and b",
                f"{path.name} ({error})",
                "check the path or restore the file",
            ) from error
    current = torch.from_numpy(np.concatenate(amps)).round(decimals=3)
    return ResponseSet(
        cell=cell,
        window=standard_window(current),
        model=torch.from_numpy(np.concatenate(number)),
        current_pa=current,
        counts=torch.from_numpy(np.concatenate(counts)),
    )
