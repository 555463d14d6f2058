"""Posterior draws of hundreds of recordings: batch by batch, on several processes, each batch on disk when it is done.

A run that is killed at any moment has lost the batches under way and nothing else; the same call makes those, and those
that are damaged, and no other. A folder belongs to one set of recordings and one way to infer them: of another it is
refused.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from noble_prob.amortised import fingerprint
from noble_prob.errors import UsageError, require
from noble_prob.inference.batch import draw_latents
from noble_prob.inference.belongs import probe, stranger
from noble_prob.inference.task import ONE_BY_ONE, Task
from noble_prob.jobs.fanout import fan_out
from noble_prob.jobs.place import require_folder
from noble_prob.jobs.whole import write_atomically
from noble_prob.noise import Evidence
from noble_prob.priors import derive, single_thread, undisturbed

RUN = "run.json"


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One batch: what to infer, and where its draws go.

    Attributes:
        index: Its number.
        task: How to infer.
        evidences: Its recordings.
        seed: Its seed.
        keep: Draws kept of each recording.
        path: Its file; None keeps it in memory.
        alone: Whether to use one thread.
    """

    index: int
    task: Task
    evidences: Sequence[Evidence]
    seed: int
    keep: int
    path: Path | None
    alone: bool


@undisturbed()
def thinned_draws(
    task: Task,
    evidences: Sequence[Evidence],
    *,
    seed: int,
    batch: int = 50,
    keep: int = 200,
    jobs: int = 1,
    folder: Path | None = None,
    title: str | None = None,
) -> Float[ndarray, "recording draw latent"]:
    """Standardised posterior draws of every recording.

    Args:
        task: How to infer; a batched method.
        evidences: One per recording.
        seed: Of everything random.
        batch: Recordings inferred side by side.
        keep: Draws kept of each, evenly thinned.
        jobs: Processes.
        folder: Where finished batches are kept, to be continued after a stop; None keeps nothing.
        title: Of a progress bar on stderr; None for none.

    Raises:
        UsageError: If the folder holds another run, the method is not a batched one, or the estimator belongs to
            another decoder, prior or program.
    """
    require(task.method not in ONE_BY_ONE, "method", "hmc, importance or npe", task.method, "choose a batched method")
    if task.method == "npe" and task.estimator is not None:
        of = stranger(task.estimator, task.decoder, task.prior, noise=task.noise)
        require(not of, "estimator", "the one of this cell", f"one of {of}", "train it again: `noble-prob train-npe`")
    starts = range(0, len(evidences), batch)
    if folder is not None:
        _claim(folder, _about(task, evidences, seed, batch, keep))
    items = [
        Batch(
            index=k,
            task=task,
            evidences=evidences[at : at + batch],
            seed=derive("batch", seed, at),
            keep=keep,
            alone=jobs > 1,
            path=None if folder is None else folder / f"draws_{k:05d}.npy",
        )
        for k, at in enumerate(starts)
    ]
    made = {item.index: draws for item in items if (draws := _kept(item)) is not None}
    left = [item for item in items if item.index not in made]
    for outcome in fan_out(infer_batch, left, jobs=jobs, progress=title):
        if outcome.error:
            raise RuntimeError(f"batch {left[outcome.index].index}: {outcome.error}")
        made[left[outcome.index].index] = outcome.value
    return np.concatenate([made[item.index] for item in items])


def infer_batch(item: Batch) -> ndarray:
    """Thinned draws of one batch, written to its file."""
    with single_thread() if item.alone else nullcontext():
        pooled = draw_latents(item.task, item.evidences, seed=item.seed).flatten(1, 2)
    at = torch.linspace(0, pooled.shape[1] - 1, min(item.keep, pooled.shape[1])).round().long()
    draws = pooled[:, at].numpy()
    if item.path is not None:
        file = io.BytesIO()
        np.save(file, draws)
        write_atomically(item.path, file.getvalue())
    return draws


def _kept(item: Batch) -> ndarray | None:
    """The draws of a batch that an earlier run made; None if there are none, or they are damaged."""
    if item.path is None or not item.path.is_file():
        return None
    try:
        draws: ndarray = np.load(item.path, allow_pickle=False)
    except (ValueError, EOFError):
        return None
    latents = len(item.task.prior.space)
    whole = draws.ndim == 3 and (draws.shape[0], draws.shape[2]) == (len(item.evidences), latents)
    return draws if whole and draws.shape[1] == min(item.keep, item.task.chains * item.task.draws) else None


def _about(task: Task, evidences: Sequence[Evidence], seed: int, batch: int, keep: int) -> dict[str, Any]:
    """Everything the draws depend on."""
    data = hashlib.sha256()
    for e in evidences:
        for part in (e.design.current_pa, e.design.end_ms, e.times_ms, e.summary):
            data.update(part.numpy().tobytes())
    return {
        "recordings": len(evidences),
        "data": data.hexdigest(),
        "belongs_to": fingerprint(task.decoder, task.prior),
        "program": [f"{x:.4g}" for x in probe(task.decoder, task.prior, noise=task.noise, robust=task.robust)],
        "estimator": repr(task.estimator.facts) if task.estimator and task.method == "npe" else None,
        "method": task.method,
        "robust": task.robust,
        "noise": repr(task.noise),
        "chains": task.chains,
        "warmup": task.warmup,
        "draws": task.draws,
        "seed": seed,
        "batch": batch,
        "keep": keep,
    }


def _claim(folder: Path, about: dict[str, Any]) -> None:
    """Begin a run in a folder, or continue the one that is there if it is the same."""
    require_folder(folder, "folder")
    path, remedy = folder / RUN, f"delete {folder.name!r}"
    folder.mkdir(parents=True, exist_ok=True)
    nameless = not path.exists() and any(folder.glob("draws_*.npy"))
    require(not nameless, "folder", f"one whose {RUN} says what its draws belong to", f"draws without {RUN}", remedy)
    try:
        old = json.loads(path.read_text()) if path.exists() else about
    except (ValueError, OSError):
        old = None
    if not isinstance(old, dict):
        raise UsageError("folder", f"one with a readable {RUN}", f"a damaged one in {folder.name!r}", remedy)
    different = sorted(name for name in {**old, **about} if old.get(name) != about.get(name))
    require(
        not different,
        "folder",
        "empty, or of the same run",
        f"one of another {', '.join(different)}",
        f"continue with the old settings, or {remedy}",
    )
    write_atomically(path, (json.dumps(about, indent=1) + "\n").encode())
