"""Biophysical models and a protocol in, a Recording out; :mod:`~noble_prob.population.trace` makes the single trace."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from noble_prob.errors import require, require_kind
from noble_prob.jobs.attempt import Outcome
from noble_prob.jobs.fanout import Engine, fan_out
from noble_prob.population.hof import CellModel, HallOfFame
from noble_prob.population.stimuli import OUNoise
from noble_prob.population.trace import Numerics, Trace, require_arbor, run_trace
from noble_prob.recording import Protocol, Recording
from noble_prob.recording.made import made_by


def simulate(
    models: CellModel | HallOfFame | Sequence[CellModel],
    protocol: Protocol | Sequence[float] | Tensor,
    *,
    numerics: Numerics | None = None,
    noise: OUNoise | None = None,
    trials: int | None = None,
    jobs: int = 1,
    timeout_s: float | None = None,
    progress: bool = False,
    engine: Engine = "processes",
    address: str | None = None,
) -> Recording:
    """Inject a protocol into biophysical models.

    Args:
        models: One model, several, or a Hall of Fame.
        protocol: The current; sweeps that are steps get exact edges, other waveforms are linear between samples. Step
            amplitudes (pA) stand for :meth:`Protocol.step_family` of them.
        numerics: Time step, compartments, pre-roll.
        noise: Background current on top of the protocol; each neuron, trial and sweep gets its own realisation,
            named by the model's label, the stimulus and the repeat of both: what else is simulated does not matter.
        trials: Repeat every sweep so often; adds the axis ``trial``. Without noise the repeats are equal.
        jobs: Number of processes; 1 stays in this one.
        timeout_s: Time limit per trace (s); a model over it counts as failed.
        progress: Show a bar on stderr.
        engine: Processes of this machine, or a Ray cluster.
        address: Address of the Ray cluster; None starts one on this machine.

    Returns:
        Voltage (mV) of shape ``(sweep, time)`` for one model, ``(neuron, sweep, time)`` for several, and with
        ``trials`` ``([neuron,] trial, sweep, time)``. Traces that failed are NaN and named in
        ``provenance["failures"]``; there are also the versions, and of a Hall of Fame its digest.

    Raises:
        UsageError: If there is no model, an argument is of another kind or not positive, or Arbor is not installed.
    """
    require_arbor()
    cells = _cells(models)
    protocol = protocol if isinstance(protocol, Protocol) else Protocol.step_family(protocol)
    require(bool(cells), "models", "at least one model", "none", "select a model")
    require(trials is None or trials > 0, "trials", "a positive number", trials, "repeat at least once")
    numerics = numerics or Numerics()
    tasks = _traces(cells, protocol, trials or 1, numerics, noise)
    title = "simulate" if progress else None
    outcomes = fan_out(run_trace, tasks, jobs=jobs, timeout_s=timeout_s, engine=engine, address=address, progress=title)
    voltage, failures = _gather(outcomes, tasks, protocol)
    leading = {} if isinstance(models, CellModel) else {"neuron": len(cells)}
    leading |= {} if trials is None else {"trial": trials}
    return Recording(
        protocol=protocol,
        voltage_mv=voltage.reshape(*leading.values(), *protocol.current_pa.shape),
        axes=tuple(leading),
        provenance=_provenance(models, cells, numerics, noise, failures),
    )


def _traces(
    cells: Sequence[CellModel], protocol: Protocol, trials: int, numerics: Numerics, noise: OUNoise | None
) -> list[Trace]:
    """One simulation per neuron, trial and sweep, in the order of the result."""
    sweeps = [_sweep(protocol, s) for s in range(len(protocol.steps))]
    before: Counter[int] = Counter()
    tasks = []
    for model in cells:
        for _ in range(trials):
            for sweep in sweeps:
                name = _name(model, sweep)
                tasks.append(
                    Trace(model=model, protocol=sweep, numerics=numerics, noise=noise, stream=(name, before[name]))
                )
                before[name] += 1
    return tasks


def _name(model: CellModel, sweep: Protocol) -> int:
    """A number for a model under a stimulus, whatever else is simulated."""
    step = sweep.steps[0]
    numbers = [] if step is None else [step.onset_ms, step.duration_ms, step.amplitude_pa, step.holding_pa]
    what = repr([round(x, 6) + 0.0 for x in numbers]).encode() if step else sweep.current_pa.numpy().tobytes()
    return int.from_bytes(hashlib.sha256(model.label.encode() + b"\0" + what).digest()[:8])


def _gather(outcomes: Iterable[Outcome], tasks: Sequence[Trace], protocol: Protocol) -> tuple[Tensor, dict[str, str]]:
    """Voltages in the order of the tasks, NaN where one failed, and why it failed."""
    voltage = torch.full((len(tasks), len(protocol.time_ms)), float("nan"))
    failures = {}
    for outcome in outcomes:
        if outcome.error is None:
            voltage[outcome.index] = torch.from_numpy(outcome.value)
        else:
            label, sweep = tasks[outcome.index].model.label, outcome.index % len(protocol.steps)
            failures[f"{label}, sweep {sweep}"] = outcome.error
    return voltage, failures


def _cells(models: CellModel | HallOfFame | Sequence[CellModel]) -> list[CellModel]:
    """The models as a list."""
    if isinstance(models, HallOfFame):
        return list(models.models)
    many = isinstance(models, Sequence) and not isinstance(models, str)
    cells: list[Any] = list(models) if many else [models]  # type: ignore[arg-type]
    remedy = "take those of noble_prob.population.builtin.builtin_hof(); a cell's decoder is asked by `respond`"
    for cell in cells:
        require_kind(cell, CellModel, "models", remedy, "a CellModel, several, or a HallOfFame")
    return cells


def _sweep(protocol: Protocol, s: int) -> Protocol:
    """One sweep of a protocol."""
    return Protocol(time_ms=protocol.time_ms, current_pa=protocol.current_pa[s : s + 1], steps=(protocol.steps[s],))


def _provenance(
    models: object, cells: Sequence[CellModel], numerics: Numerics, noise: OUNoise | None, failures: dict[str, str]
) -> dict[str, Any]:
    """What a reader of the recording must know to make it again."""
    names = [model.label for model in cells]
    return {
        "made_by": made_by(),
        "simulator": f"arbor {version('arbor')}",
        "models": names,
        **({"models_sha256": models.digest} if isinstance(models, HallOfFame) else {}),
        **({} if isinstance(models, CellModel) else {"labels": names}),
        "numerics": asdict(numerics),
        "noise": None if noise is None else asdict(noise),
        "failures": failures,
    }
