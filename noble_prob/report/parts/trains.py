"""Spike trains of repeats as raster, jitter by spike number, and distances within and across."""

from __future__ import annotations

import numpy as np

from noble_prob.calibration.train_contrast import TrainContrast
from noble_prob.calibration.wording import percent
from noble_prob.findings.registry import judge
from noble_prob.report.data import ReportData
from noble_prob.report.panels import FeaturePanel, FiPanel
from noble_prob.report.parts.traces import repeat_raster
from noble_prob.report.plain import number

MOST_SPIKES = 60
"""Trains with more spikes, in which counts hardly number the same event, get no curve of the jitter."""
MOST_ROWS = 24
"""Predicted trains drawn in the raster."""


def trains_part(
    c: TrainContrast,
    *,
    level: str,
    window_ms: tuple[float, float],
    names: tuple[str, str] = ("experiment", "ensemble"),
    xlabel: str = "time (ms)",
    total: int | None = None,
) -> ReportData:
    """What a report shows of a comparison of spike trains.

    Args:
        c: From ``compare_trains`` or ``compare_replays``.
        level: Heading that the panels are shown under.
        window_ms: Start and end of the raster.
        names: What the two sides are called.
        xlabel: What the zero of the spike times is, and their unit.
        total: Size of what the predicted trains were taken from; how many are at hand if not given.
    """
    title = f"{c.stimulus}, repeats" if c.stimulus else "repeats"
    raster = repeat_raster(
        [t[(t >= window_ms[0]) & (t <= window_ms[1])] for t in c.observed],
        [t[(t >= window_ms[0]) & (t <= window_ms[1])] for t in c.predicted[:MOST_ROWS]],
        title=title,
        window_ms=window_ms,
        names=names,
        xlabel=xlabel,
        total=total or len(c.predicted),
    )
    return ReportData(
        title="",
        findings=tuple(judge(c)),
        rasters=(raster,),
        fi=(_jitter(c, level),) if len(c.jitter_observed) <= MOST_SPIKES else (),
        features=(_distances(c, level), _across(c, level)),
    )


def _jitter(c: TrainContrast, level: str) -> FiPanel:
    """SD of spike times by spike number."""
    known = np.flatnonzero(np.isfinite(c.jitter_predicted) & np.isfinite(c.jitter_band).all(0))
    seen = np.flatnonzero(np.isfinite(c.jitter_observed))
    return FiPanel(
        title=f"spike-time jitter {c.stimulus}".strip(),
        current_pa=known + 1,
        median=c.jitter_predicted[known],
        bands={0.89: (c.jitter_band[0, known], c.jitter_band[1, known])},
        observed=np.column_stack([seen + 1, c.jitter_observed[seen]]),
        n_members=len(c.predicted),
        level=level,
        caption=f"SD over {len(c.observed)} recorded repeats (dots) and over as many predicted ones (89 % band)",
        xlabel="spike number",
        ylabel="SD of spike time (ms)",
    )


def _distances(c: TrainContrast, level: str) -> FeaturePanel:
    power = f"Power against twice the jitter: {percent(c.power)}." if np.isfinite(c.power) else ""
    return FeaturePanel(
        name=f"train distance within {c.stimulus}".strip(),
        unit="",
        observed=c.within_observed,
        ensemble=c.within_predicted,
        severity=c.severity,
        verdict=c.sentence,
        power=power,
        level=level,
    )


def _across(c: TrainContrast, level: str) -> FeaturePanel:
    ratio = float(np.mean(c.across) / max(np.mean(c.within_predicted), 1e-12))
    return FeaturePanel(
        name=f"train distance across {c.stimulus}".strip(),
        unit="",
        observed=c.across,
        ensemble=c.within_predicted,
        severity=c.severity,
        level=level,
        verdict=f"Recorded and predicted trains are {number(ratio, 2)} times as far apart as predicted ones.",
        power=f"Outline: {len(c.observed)} recorded to {len(c.predicted)} predicted trains; filled: predicted to "
        "predicted; van Rossum distance, 10 ms.",
    )
