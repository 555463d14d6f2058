"""One simulation: one model, one sweep, from rest.

The pre-roll runs without stimulus on a coarse time step: the scheme is implicit in the voltage and its fixed points do
not depend on the step, so 3 s at 1 ms end within 1e-7 mV of the resting state that a fine step would find, at a tenth
of the price (docs/simulation.md has the table). It is cut off; the first sample is the settled cell. Then ``dt_ms``
rules: 0.05 ms loses spikes; 0.02 ms is the standard here, that of the shipped decoders' published models.

The voltage is sampled at every time step and carried to the grid of the protocol by cubic interpolation through four
neighbours (exact where the grids meet).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from noble_prob.errors import require
from noble_prob.population.hof import CellModel
from noble_prob.population.stimuli import OUNoise, steps
from noble_prob.recording import Protocol, Step

SLICE_MS = 50.0
"""A simulation returns to Python this often, so that a time limit can interrupt it."""
FINEST_UM = 0.1
"""Shortest compartment (micrometre): a neuron of a centimetre has a hundred thousand of them."""
COARSEST_MS = 1.0
"""Longest time step (ms): a spike lasts no longer."""


@dataclass(frozen=True, kw_only=True)
class Numerics:
    """How finely to solve.

    Attributes:
        dt_ms: Time step (ms).
        cv_um: Largest length of a compartment (micrometre).
        preroll_ms: Time before the first sample in which the cell settles (ms).
        preroll_dt_ms: Time step of the pre-roll (ms).
    """

    dt_ms: float = 0.02
    cv_um: float = 20.0
    preroll_ms: float = 3000.0
    preroll_dt_ms: float = 1.0

    def __post_init__(self) -> None:
        for name in ("dt_ms", "cv_um", "preroll_ms", "preroll_dt_ms"):
            require(getattr(self, name) > 0, name, "positive", getattr(self, name), "give it in the unit of its name")
        require(
            self.cv_um >= FINEST_UM,
            "cv_um",
            f"at least {FINEST_UM:g} µm, for memory grows as compartments do",
            self.cv_um,
            "use 20",
        )
        require(self.dt_ms <= COARSEST_MS, "dt_ms", f"at most {COARSEST_MS:g} ms", self.dt_ms, "use 0.02")


@dataclass(frozen=True, kw_only=True)
class Trace:
    """One simulation: a model, a protocol of one sweep, numerics, noise and the numbers that name its realisation."""

    model: CellModel
    protocol: Protocol
    numerics: Numerics
    noise: OUNoise | None = None
    stream: tuple[int, ...] = ()


def require_arbor() -> None:
    """Refuse to begin without the simulator.

    Raises:
        UsageError: If it is not installed; says how to install it.
    """
    import_module("noble_prob.population.cell")


def run_trace(trace: Trace) -> np.ndarray:
    """Simulate one sweep.

    Returns:
        Voltage (mV, float32) on the protocol's grid, shape ``(time,)``.

    Raises:
        RuntimeError: If Arbor can not build or solve the model, or its solution is not finite.
    """
    import arbor
    from arbor import units

    from noble_prob.population.cell import Patched, build_cell

    n, settled = trace.numerics, trace.numerics.preroll_ms
    end = settled + float(trace.protocol.time_ms[-1] - trace.protocol.time_ms[0]) + 2 * n.dt_ms
    cell = build_cell(trace.model, clamps(trace), cv_um=n.cv_um)
    simulation = arbor.simulation(Patched(cell), arbor.context(threads=1, gpu_id=None))
    handle = simulation.sample(0, "v", arbor.regular_schedule(settled * units.ms, n.dt_ms * units.ms))
    _advance(simulation, 0.0, settled, n.preroll_dt_ms, slice_ms=1000.0)
    _advance(simulation, settled, end, n.dt_ms, slice_ms=SLICE_MS)
    samples = simulation.samples(handle)[0][0]
    if not np.isfinite(samples[:, 1]).all():
        raise RuntimeError("the voltage is not finite: a parameter or the current is beyond what can be solved")
    wanted = (trace.protocol.time_ms - trace.protocol.time_ms[0]).numpy()
    return interpolate(samples[:, 1], wanted / n.dt_ms).astype(np.float32)


def clamps(trace: Trace) -> list[Any]:
    """The current clamps of a sweep: its step or waveform, its holding current, its noise."""
    import arbor
    from arbor import units

    start, time = trace.numerics.preroll_ms, trace.protocol.time_ms - trace.protocol.time_ms[0]
    step, length = trace.protocol.steps[0], float(time[-1])

    def envelope(at_ms: np.ndarray, current_pa: np.ndarray) -> Any:
        return arbor.i_clamp(
            [((start + float(t)) * units.ms, float(i) * units.pA) for t, i in zip(at_ms, current_pa, strict=True)]
        )

    result = []
    if step is None:
        result.append(envelope(time.numpy(), trace.protocol.current_pa[0].numpy()))
    else:
        onset = step.onset_ms - float(trace.protocol.time_ms[0])
        if step.amplitude_pa:
            result.append(
                arbor.i_clamp((start + onset) * units.ms, step.duration_ms * units.ms, step.amplitude_pa * units.pA)
            )
        if step.holding_pa:
            result.append(arbor.i_clamp(0 * units.ms, (start + length + 10) * units.ms, step.holding_pa * units.pA))
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
    from arbor import units

    edges = np.append(np.arange(start_ms + slice_ms, end_ms - 1e-9, slice_ms), end_ms)
    for edge in edges:
        simulation.run(float(edge) * units.ms, dt_ms * units.ms)


def step_trace(
    model: CellModel, step: Step, *, total_ms: float, sample_ms: float, numerics: Numerics | None = None
) -> np.ndarray:
    """One model, one pulse: voltage (mV) of shape ``(time,)``; :func:`simulate` without the frame around it."""
    protocol = steps([step], total_ms=total_ms, dt_ms=sample_ms)
    return run_trace(Trace(model=model, protocol=protocol, numerics=numerics or Numerics()))
