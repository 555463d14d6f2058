"""When a neuron was at rest before its step: the current at its holding level, and the membrane settled there.

A test pulse of the amplifier (a seal test, a bridge check) or a prepulse shortly before the step moves the voltage, and
what is measured from a mean over it is wrong. So the resting voltage is averaged where the current had been at the
holding level for 100 ms: after the pulse if 20 ms are left there, else before it, else 50 ms after it. Where the
current does nothing before the step, all samples of the last 100 ms are taken.

Levels are those that the readers find (:mod:`noble_prob.readers.levels`): a pulse below 8 ms is not seen in a noisy
current.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from noble_prob.recording import Recording, Step
from noble_prob.recording.step import LEAST_REST_MS, SETTLING_MS

BASELINE_MS = 100.0
"""Longest stretch before the step that the resting voltage is averaged over (ms)."""
HISTORY_MS = 1000.0
"""How far before the step pulses are looked for (ms)."""
BRIEF_MS = 1.0
"""Shorter pulses move no membrane (ms)."""
COMMAND_PA, RECORDED_PA = 1.0, 5.0
"""Distance from the holding level that is a pulse: of a command, and of a recorded current, which drifts (pA)."""

Window = tuple[float, float]


def plain_window(recording: Recording, step: Step | None) -> Window:
    """The 100 ms before a step, as far as they were recorded (ms); empty where there is no step.

    Args:
        recording: Has the time axis.
        step: One of its steps, or None.
    """
    first = float(recording.time_ms[0])
    onset = first if step is None else step.onset_ms
    return max(onset - BASELINE_MS, first), onset


def rest_windows(recording: Recording) -> list[Window | None]:
    """From when to when the resting voltage of each sweep is averaged (ms).

    Args:
        recording: With or without leading axes.

    Returns:
        One window per sweep: :func:`plain_window` unless a pulse lies in it or ends less than 100 ms before it; None
        where the neuron was not at rest for 20 ms in the second before the step.
    """
    time, dt = recording.time_ms, recording.dt_ms
    first = float(time[0])
    onsets = [0 if step is None else math.ceil((step.onset_ms - first) / dt - 1e-6) for step in recording.steps]
    out: list[Window | None] = []
    for k, (step, moves) in enumerate(zip(recording.steps, _moving(recording, onsets), strict=True)):
        window: Window | None = plain_window(recording, step)
        if step is not None and moves:
            begin = max(onsets[k] - round(HISTORY_MS / dt), 0)
            current = recording.current_pa[k, begin : onsets[k]].detach().cpu().double().numpy()
            pulses = _pulses(current, step.holding_pa, dt)
            window = _beside(first + (begin + pulses) * dt, step, dt) if len(pulses) else window
        out.append(window)
    return out


def _moving(recording: Recording, onsets: list[int]) -> list[bool]:
    """Whether the current of each sweep changes before its step; sweeps that begin together are asked together."""
    out = [False] * len(onsets)
    for onset in {onset for onset in onsets if onset > 1}:
        sweeps = [k for k, other in enumerate(onsets) if other == onset]
        before = recording.current_pa[sweeps, :onset]
        for k, moves in zip(sweeps, (before != before[:, :1]).any(-1).tolist(), strict=True):
            out[k] = moves
    return out


def _pulses(current_pa: NDArray[np.float64], holding_pa: float, dt_ms: float) -> NDArray[np.float64]:
    """First samples of levels away from holding and those after them, edges of the current included, (pulse + 2, 2).

    Empty where there is no pulse.
    """
    from noble_prob.readers.levels import fit_levels  # simulated neurons are measured without SciPy

    nothing = np.empty((0, 2))
    fit = fit_levels(current_pa, dt_ms) if np.isfinite(current_pa).all() else None
    if fit is None or not fit.piecewise or not fit.edges:
        return nothing
    bounds = np.array([0, *fit.edges, len(current_pa)])
    size, margin = np.diff(bounds), round(1.5 / dt_ms)
    level = np.array([fit.mean(a, b, margin) for a, b in pairwise(bounds)])
    holding = level[np.abs(level - holding_pa).argmin()]
    least = np.maximum(RECORDED_PA, 5 * fit.noise_pa / np.sqrt(size)) if fit.noise_pa else COMMAND_PA
    away = (np.abs(level - holding) > least) & (size * dt_ms >= BRIEF_MS)
    ends = np.array([[-np.inf, 0.0], [len(current_pa)] * 2])
    return np.vstack([ends[:1], np.column_stack([bounds[:-1], bounds[1:]])[away], ends[1:]]) if away.any() else nothing


def _beside(pulses_ms: NDArray[np.float64], step: Step, dt_ms: float) -> Window | None:
    """The last stretch between pulses (ms) that is settled and long enough, 100 ms of it at most, or None."""
    for settling in SETTLING_MS:
        for (before, end), (stop, _) in reversed(list(pairwise(pulses_ms.tolist()))):
            start = end + settling * math.isfinite(before)
            if stop - start >= LEAST_REST_MS - 1e-6:
                stop = stop if stop < step.onset_ms - 0.5 * dt_ms else step.onset_ms
                return max(start, stop - BASELINE_MS), stop
    return None
