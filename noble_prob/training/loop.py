"""One training loop for every network of the package, resumable to the bit.

Everything random in a step comes from a generator seeded by ``(seed, step, process)`` and the learning rate is a
function of the step, so the state of a run is the step, the weights and the optimiser's moments (and averages). They
are written together, atomically, every so often: a run killed at any moment continues from the last write and ends with
the same weights as one that was left alone. Nothing in a step waits for the device, except when a loss is logged.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict

import torch
from torch import Tensor, nn

from noble_prob.jobs.bars import counter
from noble_prob.training import processes
from noble_prob.training.captured import CapturedStep
from noble_prob.training.history import Board, Row, write_csv
from noble_prob.training.objective import Objective, Task
from noble_prob.training.schedule import Schedule
from noble_prob.training.soap import Soap
from noble_prob.training.state import State

ALWAYS = ("step", "loss", "lr", "seconds")
"""Columns of every row of the log; the others are a validation's figures."""
RANK_STRIDE = 2_654_435_761
"""Between the seeds of two processes; it differs in the low 32 bits, all that a generator on the CPU looks at."""


class OutOfTimeError(Exception):
    """The time limit was reached; the state is saved and the same call continues it."""


class FitOptions(TypedDict, total=False):
    """Options of :func:`fit` that callers hand through."""

    captured: bool
    deadline: float | None
    tensorboard: bool
    progress: bool


@torch.enable_grad()
def fit(
    task: Task,
    schedule: Schedule,
    folder: Path | None = None,
    *,
    name: str = "train",
    about: Mapping[str, Any] | None = None,
    captured: bool = True,
    deadline: float | None = None,
    tensorboard: bool = False,
    progress: bool = True,
) -> list[Row]:
    """Train a task's module in place; every process of a group calls it alike.

    Args:
        task: Module, loss and validation.
        schedule: Length and speed.
        folder: Where the state ``NAME.state`` and the log ``NAME.csv`` go; an existing state is continued. None keeps
            nothing.
        name: Names the files and the progress bar.
        about: What else the weights depend on (a digest of the data); a state of other values is not continued.
        captured: Record a step as a CUDA graph, where one process trains on a GPU.
        deadline: Moment (``time.monotonic()``) after which to save and stop; needs a folder.
        tensorboard: Also write TensorBoard's event files.
        progress: Show a bar on stderr.

    Returns:
        The rows with validation figures, those from before a resume included.

    Raises:
        UsageError: If the folder holds a state of another schedule, network or data.
        OutOfTimeError: At the deadline.
    """
    run = _Run(task, schedule, folder, name, dict(about or {}), tensorboard, captured)
    show = progress and processes.first()
    with counter(
        initial=run.state.step, total=schedule.steps, desc=name, unit="step", mininterval=2, show=show
    ) as shown:
        while not run.state.finished:
            run.advance()
            shown.update()
            if run.state.step % schedule.log_every == 0 and processes.from_first(_late(deadline)):
                run.save()
                raise OutOfTimeError(f"{name}: {run.state.step} of {schedule.steps} steps are done and saved")
    return run.conclude()


def _late(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() > deadline


def figures(row: Row) -> Row:
    """The validation figures of a row."""
    return {name: value for name, value in row.items() if name not in ALWAYS}


def _optimiser(params: list[Tensor], schedule: Schedule, captured: bool) -> torch.optim.Optimizer:
    """AdamW or SOAP; one that a CUDA graph can hold keeps its learning rate and step counts on the device."""
    lr: Any = torch.ones((), device=params[0].device) if captured else 1.0
    if schedule.optimiser == "soap":
        return Soap(params, lr=lr, weight_decay=schedule.weight_decay, capturable=captured)
    fused = params[0].device.type == "cuda" and not any(p.is_complex() for p in params)
    return torch.optim.AdamW(params, lr=lr, weight_decay=schedule.weight_decay, fused=fused, capturable=captured)


def _set_rate(group: dict[str, Any], rate: float) -> None:
    """The learning rate of a step, in place where a graph reads it."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


class _Run:
    """One training run of one process."""

    def __init__(
        self,
        task: Task,
        schedule: Schedule,
        folder: Path | None,
        name: str,
        about: dict[str, Any],
        tb: bool,
        captured: bool,
    ):
        self.task, self.schedule = task, schedule
        self.settings = {**schedule.settings(), "processes": processes.world(), **about}
        params: list[Tensor] = [p for p in task.module.parameters() if p.requires_grad]
        self.device = params[0].device
        self.straight = torch.zeros((), device=self.device) if schedule.straight else None
        self.loss = processes.shared(Objective(task, self.straight))  # from here on all processes have the same weights
        captured = captured and self.device.type == "cuda" and processes.world() == 1
        self.state = State(params=params, optimiser=_optimiser(params, schedule, captured))
        self.captured = CapturedStep(self.loss, self.state, schedule.clip) if captured else None
        if schedule.ema:
            self.state.average = [p.detach().clone() for p in params]
        self.files = None if folder is None else (Path(folder) / f"{name}.state", Path(folder) / f"{name}.csv")
        if self.files and self.files[0].exists():
            self.state.load(self.files[0], self.settings)
        wanted = tb and folder is not None and processes.first()
        self.board = Board(Path(folder or ".") / "tensorboard" / name, step=self.state.step) if wanted else None
        self.began = time.perf_counter() - (self.state.history[-1]["seconds"] if self.state.history else 0.0)

    def advance(self) -> None:
        """One optimiser step, with what falls due after it."""
        state, schedule = self.state, self.schedule
        loss = self._step(state.step)
        state.step += 1
        state.finished = state.step == schedule.steps
        validates = state.finished or state.step % schedule.validate_every == 0
        if validates or state.step % schedule.log_every == 0:
            self._note(loss, validates)
        if state.finished or state.step % schedule.save_every == 0:
            self.save()

    def _step(self, step: int) -> Tensor:
        schedule, state = self.schedule, self.state
        seed = (schedule.seed * 1_000_003 + step + processes.rank() * RANK_STRIDE) % 2**63
        batch = max(1, schedule.batch // processes.world())
        rows = self.task.draw(batch, torch.Generator(self.device).manual_seed(seed))
        for group in state.optimiser.param_groups:
            _set_rate(group, schedule.lr(step))
        if self.straight is not None:
            self.straight.fill_(schedule.penalty(step))
        loss = self.captured(rows) if self.captured else self._eager(rows)
        if isinstance(state.optimiser, Soap):
            state.optimiser.turn(step + 1)
        if state.average:
            decay = min(schedule.ema, (1 + step) / (10 + step))
            torch._foreach_lerp_(state.average, [p.detach() for p in state.params], 1 - decay)
        return loss.detach()

    def _eager(self, rows: Tensor) -> Tensor:
        loss: Tensor = self.loss(rows)
        self.state.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.state.params, self.schedule.clip)
        self.state.optimiser.step()
        return loss

    def _note(self, loss: Tensor, validates: bool) -> None:
        """Append a row to the history; a validation may end the run early."""
        state, schedule = self.state, self.schedule
        mean = float(processes.mean(loss))
        row: Row = {"step": state.step, "loss": mean, "lr": schedule.lr(state.step - 1), "seconds": 0.0}
        if validates:
            with self._carrying(state.average):
                row |= processes.from_first(self.task.validate() if processes.first() else None)
        state.history.append({**row, "seconds": time.perf_counter() - self.began})
        if self.board:
            self.board.add(state.history[-1])
        if validates and schedule.patience:
            self._judge()

    def _judge(self) -> None:
        """Keep the weights if they are the best so far; stop when none has been better for long."""
        scores = [next(iter(figures(row).values())) for row in self.validations()]
        best = min(range(len(scores)), key=scores.__getitem__)
        if best == len(scores) - 1:
            self.state.best = [p.detach().clone() for p in self.state.average or self.state.params]
        self.state.finished |= len(scores) - 1 - best >= self.schedule.patience

    def validations(self) -> list[Row]:
        """Rows with validation figures."""
        return [row for row in self.state.history if figures(row)]

    def save(self) -> None:
        """Write state and log, in the first process."""
        if self.files and processes.first():
            self.state.save(self.files[0], self.settings)
            write_csv(self.state.history, self.files[1])

    def conclude(self) -> list[Row]:
        """Put the result into the module: the best weights, else the average, else the last."""
        with torch.no_grad():
            if self.state.best or self.state.average:
                torch._foreach_copy_(self.state.params, self.state.best or self.state.average)
        if self.board:
            self.board.close()
        return self.validations()

    @contextmanager
    def _carrying(self, weights: list[Tensor]) -> Iterator[None]:
        """Inside, the module carries other weights, if there are any."""
        live = [p.detach().clone() for p in self.state.params] if weights else []
        with torch.no_grad():
            torch._foreach_copy_(self.state.params, weights) if weights else None
            try:
                yield
            finally:
                torch._foreach_copy_(self.state.params, live) if weights else None
