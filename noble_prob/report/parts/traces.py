"""Recorded and ensemble voltages as overlays and rasters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from noble_prob.recording import Recording, Step
from noble_prob.report.panels import Overlay, Raster

MEMBERS = {"draw": "posterior draws", "neuron": "novel neurons", "trial": "predicted repeats"}


def ensemble_overlays(
    ensemble: Recording, recording: Recording | None = None, *, most_sweeps: int = 6, most_members: int = 12
) -> tuple[Overlay, ...]:
    """One overlay per sweep: the recording over members of the ensemble, onsets aligned.

    Args:
        ensemble: Axes end in what a member is (``draw``, ``neuron`` or ``trial``); its sweeps are those of
            ``recording``.
        recording: One neuron with the same sweeps in the same order; its own grid and lengths are kept.
        most_sweeps: Evenly spaced sweeps if there are more.
        most_members: Members drawn.
    """
    voltage = ensemble.voltage_mv.reshape(-1, *ensemble.voltage_mv.shape[-2:])
    chosen = np.unique(np.linspace(0, ensemble.n_sweeps - 1, min(ensemble.n_sweeps, most_sweeps)).astype(int))
    return tuple(
        _overlay(int(k), ensemble, recording, voltage[:most_members, k].cpu().numpy(), len(voltage)) for k in chosen
    )


def _overlay(k: int, ensemble: Recording, recording: Recording | None, members: np.ndarray, total: int) -> Overlay:
    """One sweep; the recording is put on the ensemble's time axis by its onset."""
    step, time = ensemble.steps[k], ensemble.time_ms.cpu().numpy()
    observed = None
    if recording is not None:
        shift = _onset(step) - _onset(recording.steps[k])
        own = recording.time_ms.cpu().numpy() + shift
        observed = np.interp(time, own, recording.voltage_mv[..., k, :].reshape(-1, len(own))[0].cpu().numpy(),
                             left=np.nan, right=np.nan)  # fmt: skip
    title = f"sweep {k}" + (f", {step.amplitude_pa:+.0f} pA" if step else "")
    return Overlay(
        title=title.replace("-", "−"), time_ms=time, ensemble_mv=members, observed_mv=observed,
        stimulus_ms=(step.onset_ms, step.offset_ms) if step else None,
        members=MEMBERS.get(ensemble.axes[-1] if ensemble.axes else "", "ensemble members"), n_members=total,
    )  # fmt: skip


def _onset(step: Step | None) -> float:
    return 0.0 if step is None else step.onset_ms


def repeat_raster(
    observed: Sequence[np.ndarray], predicted: Sequence[np.ndarray], *, title: str, window_ms: tuple[float, float],
    names: tuple[str, str] = ("experiment", "ensemble"),
) -> Raster:  # fmt: skip
    """Spike times of recorded and predicted repeats, one above the other.

    Args:
        observed: Spike times (ms) of each repeat.
        predicted: Spike times (ms) of each predicted repeat.
        title: For example the current.
        window_ms: Start and end of the axis.
        names: What the two are called.
    """
    return Raster(title=title, groups={names[0]: list(observed), names[1]: list(predicted)}, window_ms=window_ms)
