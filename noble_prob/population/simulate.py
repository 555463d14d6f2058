"""Biophysical models and a protocol in, a Recording out.

Every trace begins at rest. The pre-roll runs without stimulus on a coarse time step: the scheme is implicit in the
voltage and its fixed points do not depend on the step, so 3 s at 1 ms end within 1e-7 mV of the resting state that a
fine step would find, at a tenth of the price (docs/simulation.md has the table). It is cut off; the first sample is the
settled cell. Then ``dt_ms`` rules: 0.05 ms loses spikes, 0.025 ms is the standard here.

The voltage is sampled at every time step and carried to the grid of the protocol by cubic interpolation through four
neighbours (exact where the grids meet).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from noble_prob.errors import require
from noble_prob.population.fanout import fan_out
from noble_prob.population.hof import CellModel, HallOfFame
from noble_prob.population.stimuli import OUNoise
from noble_prob.recording import Protocol, Recording, Step

SLICE_MS = 50.0
"""A simulation returns to Python this often, so that a time limit can interrupt it."""


@dataclass(frozen=True, kw_only=True)
class Numerics:
    """How finely to solve.

    Attributes:
        dt_ms: Time step (ms).
        cv_um: Largest length of a compartment (micrometre).
        preroll_ms: Time before the first sample in which the cell settles (ms).
        preroll_dt_ms: Time step of the pre-roll (ms).
    """

    dt_ms: float = 0.025
    cv_um: float = 20.0
    preroll_ms: float = 3000.0
    preroll_dt_ms: float = 1.0

    def __post_init__(self) -> None:
        for name in ("dt_ms", "cv_um", "preroll_ms", "preroll_dt_ms"):
            require(getattr(self, name) > 0, name, "positive", getattr(self, name), "give it in the unit of its name")


def simulate(
    models: CellModel | HallOfFame | Sequence[CellModel],
    protocol: Protocol,
    *,
    numerics: Numerics | None = None,
    noise: OUNoise | None = None,
    trials: int | None = None,
    jobs: int = 1,
    timeout_s: float | None = None,
    progress: bool = True,
) -> Recording:
    """Inject a protocol into biophysical models.

    Args:
        models: One model, several, or a Hall of Fame.
        protocol: The current; sweeps that are steps get exact edges, other waveforms are linear between samples.
        numerics: Time step, compartments, pre-roll.
        noise: Background current on top of the protocol; each neuron, trial and sweep gets its own realisation.
        trials: Repeat every sweep so often; adds the axis ``trial``. Without noise the repeats are equal.
        jobs: Number of processes; 1 stays in this one.
        timeout_s: Time limit per trace (s); a model over it counts as failed.
        progress: Show a progress bar.

    Returns:
        Voltage (mV) of shape ``(sweep, time)`` for one model, ``(neuron, sweep, time)`` for several, and with
        ``trials`` ``([neuron,] trial, sweep, time)``. Traces that failed are NaN and named in
        ``provenance["failures"]``.

    Raises:
        UsageError: If there is no model or an argument is not positive.
    """
    single = isinstance(models, CellModel)
    cells = _cells(models)
    require(bool(cells), "models", "at least one model", "none", "select a model")
    require(trials is None or trials > 0, "trials", "a positive number", trials, "repeat at least once")
    numerics = numerics or Numerics()
    repeats = trials or 1
    tasks = [
        Trace(model=model, protocol=_sweep(protocol, s), numerics=numerics, noise=noise, stream=(m, t, s))
        for m, model in enumerate(cells)
        for t in range(repeats)
        for s in range(len(protocol.steps))
    ]
    n_sweeps, n_time = protocol.current_pa.shape
    voltage = torch.full((len(cells) * repeats * n_sweeps, n_time), float("nan"))
    failures = {}
    for outcome in fan_out(run_trace, tasks, jobs=jobs, timeout_s=timeout_s, progress="simulate" if progress else None):
        if outcome.error is None:
            voltage[outcome.index] = torch.from_numpy(outcome.value)
        else:
            failures[f"{tasks[outcome.index].model.label}, sweep {tasks[outcome.index].stream[2]}"] = outcome.error
    shape = ([] if single else [len(cells)]) + ([] if trials is None else [trials]) + [n_sweeps, n_time]
    axes = (() if single else ("neuron",)) + (() if trials is None else ("trial",))
    return Recording(
        protocol=protocol,
        voltage_mv=voltage.reshape(shape),
        axes=axes,
        provenance=_provenance(cells, numerics, noise, failures),
    )


@dataclass(frozen=True, kw_only=True)
class Trace:
    """One simulation: a model, a protocol of one sweep, numerics, noise and the numbers that name its noise."""

    model: CellModel
    protocol: Protocol
    numerics: Numerics
    noise: OUNoise | None = None
    stream: tuple[int, ...] = ()


def run_trace(trace: Trace) -> np.ndarray:
    """Simulate one sweep.

    Returns:
        Voltage (mV, float32) on the protocol's grid, shape ``(time,)``.
    """
    import arbor
    from arbor import units as U

    from noble_prob.population.cell import Patched, build_cell

    n, settled = trace.numerics, trace.numerics.preroll_ms
    end = settled + float(trace.protocol.time_ms[-1] - trace.protocol.time_ms[0]) + 2 * n.dt_ms
    cell = build_cell(trace.model, clamps(trace), cv_um=n.cv_um)
    simulation = arbor.simulation(Patched(cell), arbor.context(threads=1, gpu_id=None))
    handle = simulation.sample(0, "v", arbor.regular_schedule(settled * U.ms, n.dt_ms * U.ms))
    _advance(simulation, 0.0, settled, n.preroll_dt_ms, slice_ms=1000.0)
    _advance(simulation, settled, end, n.dt_ms, slice_ms=SLICE_MS)
    samples = simulation.samples(handle)[0][0]
    wanted = (trace.protocol.time_ms - trace.protocol.time_ms[0]).numpy()
    return interpolate(samples[:, 1], wanted / n.dt_ms).astype(np.float32)


def clamps(trace: Trace) -> list[Any]:
    """The current clamps of a sweep: its step or waveform, its holding current, its noise."""
    import arbor
    from arbor import units as U

    start, time = trace.numerics.preroll_ms, trace.protocol.time_ms - trace.protocol.time_ms[0]
    step, length = trace.protocol.steps[0], float(time[-1])

    def envelope(at_ms: np.ndarray, current_pa: np.ndarray) -> Any:
        return arbor.i_clamp(
            [((start + float(t)) * U.ms, float(i) * U.pA) for t, i in zip(at_ms, current_pa, strict=True)]
        )

    result = []
    if step is None:
        result.append(envelope(time.numpy(), trace.protocol.current_pa[0].numpy()))
    else:
        onset = step.onset_ms - float(trace.protocol.time_ms[0])
        if step.amplitude_pa:
            result.append(arbor.i_clamp((start + onset) * U.ms, step.duration_ms * U.ms, step.amplitude_pa * U.pA))
        if step.holding_pa:
            result.append(arbor.i_clamp(0 * U.ms, (start + length + 10) * U.ms, step.holding_pa * U.pA))
    if trace.noise is not None and trace.noise.sd_pa > 0:
        at = np.arange(int(np.ceil(length / trace.numerics.dt_ms)) + 2) * trace.numerics.dt_ms
        result.append(envelope(at, trace.noise.draw(n=len(at), dt_ms=trace.numerics.dt_ms, stream=trace.stream)))
    return result


def interpolate(values: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Values at fractional sample positions by the cubic through the four nearest samples.

    Args:
        values: Samples, shape ``(n,)``.
        position: Where, in units of the sampling interval, shape ``(m,)``.
    """
    position = np.where(np.abs(position - np.round(position)) < 1e-6, np.round(position), position)
    i = np.clip(np.floor(position).astype(int), 1, len(values) - 3)
    x = position - i
    a, b, c, d = (values[i + k] for k in (-1, 0, 1, 2))
    return (
        -a * x * (x - 1) * (x - 2) / 6
        + b * (x + 1) * (x - 1) * (x - 2) / 2
        - c * (x + 1) * x * (x - 2) / 2
        + d * (x + 1) * x * (x - 1) / 6
    )


def _advance(simulation: Any, start_ms: float, end_ms: float, dt_ms: float, *, slice_ms: float) -> None:
    """Run in slices, so that Python can act on signals in between."""
    from arbor import units as U

    edges = np.append(np.arange(start_ms + slice_ms, end_ms - 1e-9, slice_ms), end_ms)
    for edge in edges:
        simulation.run(float(edge) * U.ms, dt_ms * U.ms)


def _cells(models: CellModel | HallOfFame | Sequence[CellModel]) -> list[CellModel]:
    """The models as a list."""
    if isinstance(models, CellModel):
        return [models]
    return list(models.models if isinstance(models, HallOfFame) else models)


def _sweep(protocol: Protocol, s: int) -> Protocol:
    """One sweep of a protocol."""
    return Protocol(time_ms=protocol.time_ms, current_pa=protocol.current_pa[s : s + 1], steps=(protocol.steps[s],))


def step_trace(
    model: CellModel, step: Step, *, total_ms: float, sample_ms: float, numerics: Numerics | None = None
) -> np.ndarray:
    """One model, one pulse: voltage (mV) of shape ``(time,)``; :func:`simulate` without the frame around it."""
    from noble_prob.population.stimuli import steps

    protocol = steps([step], total_ms=total_ms, dt_ms=sample_ms)
    return run_trace(Trace(model=model, protocol=protocol, numerics=numerics or Numerics()))


def _provenance(
    cells: Sequence[CellModel], numerics: Numerics, noise: OUNoise | None, failures: dict[str, str]
) -> dict[str, Any]:
    """What a reader of the recording must know to make it again."""
    return {
        "simulator": f"arbor {version('arbor')}",
        "models": [model.label for model in cells],
        "numerics": asdict(numerics),
        "noise": None if noise is None else asdict(noise),
        "failures": failures,
    }
