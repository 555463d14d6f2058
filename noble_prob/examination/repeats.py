"""Repeats of one stimulus in one cell: do they scatter as the posterior says?

Sweeps with the same step are repeats. Their features, with the mean of each step taken out as recursive residuals
(:func:`noble_prob.calibration.pooling.within`), are one row each; the same is done to every posterior predictive draw,
which replays the same sweeps with its own trial noise. What is compared is trial-to-trial spread alone: neither the
posterior's uncertainty about the neuron nor the decoder's error varies within a draw.

Limit: the noise scales were inferred from these very sweeps, so a right answer is expected and a wrong one telling; the
power of the comparison is printed with it. Slow drift counts as spread here.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from noble_prob.calibration import Calibration, FeatureTable, calibrate_repeats, within
from noble_prob.calibration.replay import sweep_features
from noble_prob.calibration.train_contrast import TrainContrast, compare_replays
from noble_prob.inference import Posterior
from noble_prob.recording.step import same_height

MOST_DRAWS = 100
REPLAYS, FEWEST_DRAWS = 200, 80


def groups_of_repeats(posterior: Posterior) -> dict[str, list[int]]:
    """Sweeps of the evidence by the step they share, where there are at least two: equal in length, close in current.

    Keys tell the steps apart: ``"+180 pA"``, or ``"+180 pA, 200 ms"`` where one current was given for several times.
    """
    design = posterior.evidence.design
    current, end = design.current_pa.tolist(), [round(ms) for ms in design.end_ms.tolist()]
    groups: list[list[int]] = []
    for k in sorted(range(len(current)), key=lambda k: (end[k], current[k])):
        last = groups[-1][-1] if groups else None
        if last is not None and end[last] == end[k] and same_height(current[last], current[k]):
            groups[-1].append(k)
        else:
            groups.append([k])
    repeated = [sorted(group) for group in groups if len(group) >= 2]
    steps = [f"{np.mean([current[k] for k in group]):+.0f} pA" for group in repeated]
    return {
        step if steps.count(step) == 1 else f"{step}, {end[group[0]]} ms": group
        for step, group in zip(steps, repeated, strict=True)
    }


def judge_repeats(posterior: Posterior, *, seed: int = 0) -> Calibration | None:
    """Compare the spread over recorded repeats with that over predicted ones.

    Args:
        posterior: With its evidence and predictive draws.
        seed: Of ties and relabellings.

    Returns:
        The comparison, None where no step was repeated.
    """
    groups = groups_of_repeats(posterior)
    if not groups:
        return None
    sweeps = [s for members in groups.values() for s in members]
    steps = [step for step, members in groups.items() for _ in members]
    e, p = posterior.evidence, posterior.predictive
    seen = _table(e.times_ms[None], e.summary[None], posterior, sweeps, "recorded repeats")
    drawn = _table(p.times_ms[:MOST_DRAWS], p.summary[:MOST_DRAWS], posterior, sweeps, "posterior predictive repeats")
    draws = len(drawn) // len(sweeps)
    observed = within(seen, steps)
    predicted = within(drawn, [f"{d} {step}" for d in range(draws) for step in steps])
    moved = predicted.value + _mean(observed.value) - _mean(predicted.value)  # the mean is the predictive check's
    return calibrate_repeats(replace(observed, labels=()), replace(predicted, labels=(), value=moved), seed=seed)


def _mean(value: np.ndarray) -> np.ndarray:
    """Means of the columns, 0 where nothing is defined."""
    known = np.isfinite(value)
    return np.where(known, value, 0.0).sum(0) / np.maximum(known.sum(0), 1)


def judge_trains(posterior: Posterior) -> tuple[TrainContrast, ...]:
    """Compare spike trains of recorded repeats with those that posterior draws replay, per step that fires.

    Args:
        posterior: With its evidence and predictive draws.
    """
    found = []
    for step, sweeps in groups_of_repeats(posterior).items():
        seen, drawn = (
            _trains(x)
            for x in (posterior.evidence.times_ms[sweeps][None], posterior.predictive.times_ms[:REPLAYS, sweeps])
        )
        if any(map(len, seen[0])) and len(drawn) >= FEWEST_DRAWS:
            found.append(compare_replays(seen[0], drawn, stimulus=step.replace("-", "−")))
    return tuple(found)


def _trains(times_ms: torch.Tensor) -> list[list[np.ndarray]]:
    """Spike times of every draw and sweep without the padding."""
    return [[row[np.isfinite(row)] for row in draw] for draw in times_ms.cpu().numpy()]


def _table(
    times_ms: torch.Tensor, summary: torch.Tensor, posterior: Posterior, sweeps: list[int], source: str
) -> FeatureTable:
    """One row per draw and sweep: features of the train and of the summary."""
    value, units = sweep_features(times_ms[:, sweeps], summary[:, sweeps], posterior.evidence.design.summary_names)
    return FeatureTable(
        names=tuple(units),
        units=tuple(units.values()),
        value=value.reshape(-1, len(units)),
        axis="trial",
        source=source,
    )
