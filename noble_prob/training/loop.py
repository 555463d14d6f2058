"""One training loop for every network of the package, resumable to the bit.

Everything random in a step comes from a generator seeded by ``(seed, step)`` and the learning rate is a function of the
step, so the state of a run is three things: the step, the weights, the optimiser's moments. They are written
together, atomically, every so often; a run killed at any moment continues from the last write and ends with the same
weights as one that was left alone.
"""

from __future__ import annotations

import csv
import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how fast to train.

    Attributes:
        steps: Optimiser steps.
        batch: Traces per step, over all processes.
        peak_lr: Highest learning rate; linear warm-up, then cosine to zero.
        warmup: Share of the steps spent warming up.
        weight_decay: Of AdamW.
        clip: Largest norm of the gradient.
        ema: Decay of the running average of the weights that is kept as the result; 0 keeps the last weights.
        seed: Of initialisation, data order and augmentation.
        save_every: Steps between resumable states.
        validate_every: Steps between validations.
    """

    steps: int = 4000
    batch: int = 512
    peak_lr: float = 2e-3
    warmup: float = 0.1
    weight_decay: float = 1e-4
    clip: float = 1.0
    ema: float = 0.0
    seed: int = 0
    save_every: int = 1000
    validate_every: int = 1000

    def lr(self, step: int) -> float:
        """Learning rate of a step."""
        rise = max(1, round(self.warmup * self.steps))
        if step < rise:
            return self.peak_lr * (step + 1) / rise
        return self.peak_lr * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, self.steps - rise)))


class Task(Protocol):
    """What is trained: a module, a loss on a random batch, a validation."""

    module: nn.Module

    def loss(self, batch: int, generator: torch.Generator) -> Tensor:
        """Scalar loss of a random batch."""
        ...

    def validate(self) -> dict[str, float]:
        """Figures on the validation models."""
        ...


def fit(task: Task, schedule: Schedule, folder: Path | None = None, *, name: str = "train") -> list[dict[str, float]]:
    """Train a task's module in place.

    Args:
        task: Module, loss and validation.
        schedule: Length and speed.
        folder: Where states and the ``NAME.csv`` log go; an existing state is continued. None keeps nothing.
        name: Names the files and the progress bar.

    Returns:
        The validation rows of this call.
    """
    run = _Run(task, schedule, folder, name)
    rows: list[dict[str, float]] = []
    began = time.perf_counter()
    for step in tqdm(range(run.step, schedule.steps), initial=run.step, total=schedule.steps, desc=name, mininterval=5):
        loss = run.advance(step)
        if (step + 1) % schedule.validate_every == 0 or step + 1 == schedule.steps:
            with run.averaged():
                row = {"step": step + 1, "loss": float(loss), "seconds": time.perf_counter() - began} | task.validate()
            rows.append(row)
            run.log(row)
        if (step + 1) % schedule.save_every == 0 or step + 1 == schedule.steps:
            run.save(step + 1)
    run.adopt_average()
    return rows


class _Run:
    """State of one training run."""

    def __init__(self, task: Task, schedule: Schedule, folder: Path | None, name: str):
        self.task, self.schedule, self.name = task, schedule, name
        self.folder = None if folder is None else Path(folder)
        self.params: list[Tensor] = [p for p in task.module.parameters() if p.requires_grad]
        fused = self.params[0].device.type == "cuda" and not any(p.is_complex() for p in self.params)
        self.optimiser = torch.optim.AdamW(self.params, lr=1.0, weight_decay=schedule.weight_decay, fused=fused)
        self.average = [p.detach().clone() for p in self.params] if schedule.ema else []
        self.step = self._resume()

    def advance(self, step: int) -> Tensor:
        """One optimiser step."""
        device = self.params[0].device
        generator = torch.Generator(device).manual_seed(self.schedule.seed * 1_000_003 + step)
        for group in self.optimiser.param_groups:
            group["lr"] = self.schedule.lr(step)
        loss = self.task.loss(self.schedule.batch, generator)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.params, self.schedule.clip)
        self.optimiser.step()
        if self.average:
            decay = min(self.schedule.ema, (1 + step) / (10 + step))
            torch._foreach_lerp_(self.average, [p.detach() for p in self.params], 1 - decay)
        return loss.detach()

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the module carries the averaged weights."""
        live = [p.detach().clone() for p in self.params]
        self.adopt_average()
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self.params, live)

    def adopt_average(self) -> None:
        """Put the averaged weights into the module."""
        if self.average:
            with torch.no_grad():
                torch._foreach_copy_(self.params, self.average)

    def log(self, row: dict[str, float]) -> None:
        """Append a row to the run's CSV."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{self.name}.csv"
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            if fresh:
                writer.writeheader()
            writer.writerow(row)

    def save(self, step: int) -> None:
        """Write the state atomically."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"param.{i}": p.detach().contiguous() for i, p in enumerate(self.params)}
        tensors |= {f"average.{i}": a.contiguous() for i, a in enumerate(self.average)}
        for i, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optim.{i}.{key}": value.contiguous() for key, value in state.items()}
        target = self.folder / f"{self.name}.state"
        partial = target.with_suffix(".partial")
        save_file(tensors, partial, metadata={"step": str(step), "schedule": json.dumps(asdict(self.schedule))})
        os.replace(partial, target)

    def _resume(self) -> int:
        """Load the state of an earlier call, if there is one of the same schedule."""
        path = None if self.folder is None else self.folder / f"{self.name}.state"
        if path is None or not path.exists():
            return 0
        meta = _metadata(path)
        if json.loads(meta["schedule"]) != asdict(self.schedule):
            return 0
        tensors = load_file(path, device=str(self.params[0].device))
        with torch.no_grad():
            torch._foreach_copy_(self.params, [tensors[f"param.{i}"] for i in range(len(self.params))])
        self.average = [tensors[f"average.{i}"] for i in range(len(self.average))]
        moments: dict[int, dict[str, Any]] = {}
        for key, value in tensors.items():
            if key.startswith("optim."):
                _, i, field = key.split(".")
                moments.setdefault(int(i), {})[field] = value.cpu() if field == "step" else value
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": moments, "param_groups": groups})
        return int(meta["step"])


def _metadata(path: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return dict(file.metadata())
