"""Recorded and ensemble voltages as overlays and rasters."""

from __future__ import annotations

from collections.abc import Sequence

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
        most_sweeps: Evenly spaced steps if there are more.
        most_members: Members drawn, and repeats of a step.
    """
    voltage = ensemble.voltage_mv.reshape(-1, *ensemble.voltage_mv.shape[-2:])
    groups = same_steps(ensemble)
    chosen = np.unique(np.linspace(0, len(groups) - 1, min(len(groups), most_sweeps)).astype(int))
    return tuple(
        _overlay(groups[k][:most_members], ensemble, recording, voltage[:most_members, groups[k][0]].cpu().numpy(),
                 len(voltage))
        for k in chosen
    )  # fmt: skip


def same_steps(recording: Recording) -> list[list[int]]:
    """Sweeps by the step they share (1 pA, 1 ms), in the order of their first."""
    groups: dict[object, list[int]] = {}
    for k, step in enumerate(recording.steps):
        key = k if step is None else (round(step.amplitude_pa), round(step.duration_ms))
        groups.setdefault((step is None, key), []).append(k)
    return list(groups.values())


def _overlay(
    sweeps: list[int], ensemble: Recording, recording: Recording | None, members: np.ndarray, total: int
) -> Overlay:
    """One step; the recording is put on the ensemble's time axis by its onset."""
    step, time = ensemble.steps[sweeps[0]], ensemble.time_ms.cpu().numpy()
    observed = None if recording is None else np.stack([_aligned(recording, k, step, time) for k in sweeps])
    title = f"sweep {sweeps[0]}" if len(sweeps) == 1 else f"{len(sweeps)} sweeps"
    title += f", {step.amplitude_pa:+.0f} pA" if step else ""
    return Overlay(
        title=title.replace("-", "−"), time_ms=time - _onset(step), ensemble_mv=members, observed_mv=observed,
        stimulus_ms=(0.0, step.duration_ms) if step else None, xlabel=AFTER_ONSET if step else "time (ms)",
        members=MEMBERS.get(ensemble.axes[-1] if ensemble.axes else "", "ensemble members"), n_members=total,
    )  # fmt: skip


def _aligned(recording: Recording, k: int, step: Step | None, time: np.ndarray) -> np.ndarray:
    """Voltage of one sweep on another time axis, NaN where it was not recorded."""
    own = recording.time_ms.cpu().numpy() + _onset(step) - _onset(recording.steps[k])
    voltage = recording.voltage_mv[..., k, :].reshape(-1, len(own))[0].cpu().numpy()
    return np.interp(time, own, voltage, left=np.nan, right=np.nan)


def _onset(step: Step | None) -> float:
    return 0.0 if step is None else step.onset_ms


def repeat_raster(
    observed: Sequence[np.ndarray], predicted: Sequence[np.ndarray], *, title: str, window_ms: tuple[float, float],
    names: tuple[str, str] = ("experiment", "ensemble"), xlabel: str = "time (ms)",
) -> Raster:  # fmt: skip
    """Spike times of recorded and predicted repeats, one above the other.

    Args:
        observed: Spike times (ms) of each repeat.
        predicted: Spike times (ms) of each predicted repeat.
        title: For example the current.
        window_ms: Start and end of the axis.
        names: What the two are called.
        xlabel: What the zero of the spike times is, and their unit.
    """
    groups = {names[0]: list(observed), names[1]: list(predicted)}
    return Raster(title=title, groups=groups, window_ms=window_ms, xlabel=xlabel)
