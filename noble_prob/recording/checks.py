"""Refuse, in a sentence, what is no protocol: a ragged grid, a step that the current does not show."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from noble_prob.errors import require
from noble_prob.recording.step import Step

OFF_SHARE, OFF_PA = 0.5, 10.0
"""A current is not what a step says if it is off by more than both (share of the height, pA)."""


def require_grid(time_ms: Tensor) -> None:
    """Refuse a time axis that is not regular and increasing."""
    require(
        time_ms.ndim == 1 and len(time_ms) >= 2,
        "time_ms",
        "one axis of at least two samples",
        tuple(time_ms.shape),
        "give the sample times of one sweep",
    )
    step = torch.diff(time_ms)
    require(
        bool(torch.isfinite(time_ms).all()) and bool((step > 0).all()),
        "time_ms",
        "finite and increasing",
        "NaN, or a step back",
        "sort the samples and give times in ms",
    )
    _require_even(time_ms, step)


def _require_even(time_ms: Tensor, step: Tensor) -> None:
    """Refuse times whose intervals (``step``) differ, or together lead off an even grid."""
    ragged = float((step - step.mean()).abs().max() / step.mean())
    require(
        ragged < 0.05,
        "time_ms",
        "regularly sampled",
        f"intervals that differ by {100 * ragged:.0f} %",
        "resample the recording to a regular grid",
    )
    even = torch.linspace(float(time_ms[0]), float(time_ms[-1]), len(time_ms), dtype=torch.float64)
    drift = float((time_ms.detach().cpu().double() - even).abs().max() / step.mean())
    require(
        drift < 0.5,
        "time_ms",
        "regularly sampled",
        f"times up to {drift:.1f} intervals off an even grid",
        "resample the recording to a regular grid",
    )


def require_pulse(*, onset_ms: float, duration_ms: float, total_ms: float, dt_ms: float, holding_pa: float) -> None:
    """Refuse a pulse that does not fit into its sweep, or a sweep that is no grid.

    Args:
        onset_ms: Start of the pulse (ms).
        duration_ms: Its length (ms).
        total_ms: Length of the sweep (ms).
        dt_ms: Sampling interval (ms).
        holding_pa: Current outside the pulse (pA).

    Raises:
        UsageError: If it does not.
    """
    require(math.isfinite(total_ms), "total_ms", "a finite length in ms", total_ms, "pass the length of a sweep")
    require(
        0 < dt_ms <= total_ms / 2,
        "dt_ms",
        f"positive, and short for a sweep of {total_ms} ms",
        dt_ms,
        "pass the sampling interval in ms",
    )
    require(math.isfinite(holding_pa), "holding_pa", "a finite current in pA", holding_pa, "pass 0 for none")
    require(
        onset_ms >= 0 and duration_ms > 0 and onset_ms + duration_ms <= total_ms,
        "duration_ms",
        f"positive and end within the sweep of {total_ms} ms",
        duration_ms,
        "shorten the pulse or lengthen `total_ms`",
    )


def require_steps(steps: Sequence[Step | None], time_ms: Tensor, current_pa: Tensor) -> None:
    """Refuse steps that begin off the grid, or of which the current shows something else.

    Args:
        steps: Per sweep the pulse, or None.
        time_ms: Sample times (ms), shape ``(time,)``.
        current_pa: Injected current (pA), shape ``(sweep, time)``.

    Raises:
        UsageError: If a step begins beyond the grid, or if mean and median current of its samples are both off by more
            than half of its height and 10 pA.
    """
    first, last = float(time_ms[0]), float(time_ms[-1])
    dt = (last - first) / (len(time_ms) - 1)
    sweeps: dict[tuple[float, float], list[int]] = {}
    for k, step in enumerate(steps):
        if step is not None:
            require(
                isinstance(step, Step),
                "steps",
                "of a Step or None per sweep",
                f"{step!r} for sweep {k}",
                "build it by Step(onset_ms=, duration_ms=, amplitude_pa=)",
            )
            there = first - dt <= step.onset_ms <= last + dt
            require(
                there,
                "steps",
                f"within the time axis of {first:g} to {last:g} ms",
                f"an onset of {step.onset_ms:g} ms in sweep {k}",
                "give onsets in ms on the axis of `time_ms`",
            )
            sweeps.setdefault((step.onset_ms, step.duration_ms), []).append(k)
    for (onset, duration), own in sweeps.items():
        start, stop = (max(math.ceil((at - first) / dt - 1e-6), 0) for at in (onset, onset + duration))
        rows = current_pa if len(own) == len(steps) else current_pa[own]
        within = rows[:, start:stop]
        if within.shape[1]:
            _require_height([steps[k] for k in own], own, within)


def _require_height(steps: Sequence[Step | None], sweeps: Sequence[int], current_pa: Tensor) -> None:
    """Refuse a current, shape ``(sweep, time)``, that is on the whole far from what its step says."""
    said = torch.tensor([(s.amplitude_pa, s.holding_pa) for s in steps if s]).to(current_pa)
    level, most = said.sum(-1), (OFF_SHARE * said[:, 0].abs()).clamp(min=OFF_PA)
    near = (current_pa.mean(-1) - level).abs() <= most
    for k in (~near).nonzero()[:, 0].tolist():  # artefacts of spikes move a mean and leave the median
        found = float(current_pa[k].nanmedian())
        require(
            not abs(found - float(level[k])) > float(most[k]),
            "steps",
            "what `current_pa` shows",
            f"{found:.3g} pA within the step of sweep {sweeps[k]}, which says {float(level[k]):.4g} pA",
            "give the current in pA and the step in ms and pA, or None for a sweep that is no step",
        )
