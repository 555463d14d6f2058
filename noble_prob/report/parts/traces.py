"""Recorded and ensemble voltages as overlays and rasters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from noble_prob.recording import Recording, Step
from noble_prob.report.panels import AFTER_ONSET, Overlay, Raster

MEMBERS = {"draw": "posterior draws", "neuron": "novel neurons", "trial": "predicted repeats"}


def ensemble_overlays(
    ensemble: Recording, recording: Recording | None = None, *, most_sweeps: int = 6, most_members: int = 12
) -> tuple[Overlay, ...]:
    """One overlay per step: its recorded sweeps over members of the ensemble, onsets aligned.

    Args:
        ensemble: Axes end in what a member is (``draw``, ``neuron`` or ``trial``); its sweeps are those of
            ``recording``.
        recording: One neuron with the same sweeps in the same order; its own grid and lengths are kept.
        most_sweeps: Steps, evenly spaced in current if there are more: the strongest is always shown.
        most_members: Members drawn, and repeats of a step.
    """
    voltage = ensemble.voltage_mv.reshape(-1, *ensemble.voltage_mv.shape[-2:])
    groups = same_steps(ensemble)
    steps = [ensemble.steps[group[0]] for group in groups]
    chosen = spread([step.amplitude_pa if step else 0.0 for step in steps], most_sweeps)
    kind = "steps" if any(len(group) > 1 for group in groups) else "sweeps"
    shown = shown_of(len(chosen), len(groups), kind)
    panels = [
        _overlay(groups[k], ensemble, recording, voltage[:, groups[k][0]].cpu().numpy(), most_members) for k in chosen
    ]
    return tuple(replace(panel, shown=shown) for panel in panels)


def spread(values: Sequence[float], most: int) -> list[int]:
    """At most so many items, evenly spaced in the order of a value, the smallest and the largest always among them.

    Args:
        values: Of each item.
        most: How many, at least 2.

    Returns:
        Indices in ascending order.
    """
    order = np.argsort(values, kind="stable")
    return sorted(order[np.unique(np.linspace(0, len(order) - 1, min(len(order), most)).astype(int))].tolist())


def shown_of(shown: int, every: int, kind: str) -> str:
    """``6 of 7 sweeps shown``; empty where all are."""
    return f"{shown} of {every} {kind} shown" if shown < every else ""


def same_steps(recording: Recording) -> list[list[int]]:
    """Sweeps by the step they share (1 pA, 1 ms), in the order of their first."""
    groups: dict[object, list[int]] = {}
    for k, step in enumerate(recording.steps):
        key = k if step is None else (round(step.amplitude_pa), round(step.duration_ms))
        groups.setdefault((step is None, key), []).append(k)
    return list(groups.values())


def _overlay(
    sweeps: list[int], ensemble: Recording, recording: Recording | None, members: np.ndarray, most: int
) -> Overlay:
    """One step; the recording is put on the ensemble's time axis by its onset."""
    step, time = ensemble.steps[sweeps[0]], ensemble.time_ms.cpu().numpy()
    observed = None if recording is None else np.stack([_aligned(recording, k, step, time) for k in sweeps[:most]])
    given = step if recording is None else recording.steps[sweeps[0]]
    drawn_mv, note = _as_long_as_both(members[:most], time - _onset(step), step, given)
    drawn = f"{most} of {len(sweeps)}" if len(sweeps) > most else f"{len(sweeps)}"
    title = f"sweep {sweeps[0]}" if len(sweeps) == 1 else f"{drawn} sweeps"
    title += f", {step.amplitude_pa:+.0f} pA" if step else ""
    return Overlay(
        title=title.replace("-", "−"),
        time_ms=time - _onset(step),
        ensemble_mv=drawn_mv,
        observed_mv=observed,
        stimulus_ms=(0.0, min(given.duration_ms, time[-1] - _onset(step))) if given else None,
        note=note,
        xlabel=AFTER_ONSET if step else "time (ms)",
        members=MEMBERS.get(ensemble.axes[-1] if ensemble.axes else "", "ensemble members"),
        n_members=len(members),
    )


def _as_long_as_both(
    members: np.ndarray, after_ms: np.ndarray, step: Step | None, given: Step | None
) -> tuple[np.ndarray, str]:
    """Members without what follows the end of the shorter step, where theirs and the recorded one differ; a note."""
    if step is None or given is None or abs(step.duration_ms - given.duration_ms) < 1.0:
        return members, ""
    end, longer = sorted((step.duration_ms, given.duration_ms))
    which = "the decoder's" if end < given.duration_ms else "the recorded"
    return np.where(after_ms <= end, members, np.nan), f"draws end with {which} step, at {end:.0f} of {longer:.0f} ms"


def _aligned(recording: Recording, k: int, step: Step | None, time: np.ndarray) -> np.ndarray:
    """Voltage of one sweep on another time axis, NaN where it was not recorded."""
    own = recording.time_ms.cpu().numpy() + _onset(step) - _onset(recording.steps[k])
    voltage = recording.voltage_mv[..., k, :].reshape(-1, len(own))[0].cpu().numpy()
    return np.interp(time, own, voltage, left=np.nan, right=np.nan)


def _onset(step: Step | None) -> float:
    return 0.0 if step is None else step.onset_ms


def repeat_raster(
    observed: Sequence[np.ndarray],
    predicted: Sequence[np.ndarray],
    *,
    title: str,
    window_ms: tuple[float, float],
    names: tuple[str, str] = ("experiment", "ensemble"),
    xlabel: str = "time (ms)",
    **others: Any,
) -> Raster:
    """Spike times of recorded and predicted repeats, one above the other.

    Args:
        observed: Spike times (ms) of each repeat.
        predicted: Spike times (ms) of each predicted repeat.
        title: For example the current.
        window_ms: Start and end of the axis.
        names: What the two are called.
        xlabel: What the zero of the spike times is, and their unit.
        others: What else a :class:`Raster` has.
    """
    groups = {names[0]: list(observed), names[1]: list(predicted)}
    return Raster(title=title, groups=groups, window_ms=window_ms, xlabel=xlabel, **others)
