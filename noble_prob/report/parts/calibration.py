"""A calibration as verdict, findings, feature panels, coverage curve and tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from noble_prob.calibration import Calibration, Drift, FeatureVerdict
from noble_prob.calibration.power import SMALL
from noble_prob.calibration.wording import percent
from noble_prob.findings.base import Finding
from noble_prob.findings.registry import judge
from noble_prob.report.data import ReportData, Table, Verdict
from noble_prob.report.panels import CoverageCurve, FeaturePanel

LEVELS = {"trial": "Trial to trial", "neuron": "Between neurons", "draw": "Posterior predictive"}
ROWS = {"trial": "repeats", "neuron": "cells", "draw": "sweeps"}
COLUMNS = {
    "feature": "name",
    "unit": "unit",
    "n": "n",
    "observed mean": "observed_mean",
    "observed SD": "observed_sd",
    "predicted mean": "predicted_mean",
    "predicted SD": "predicted_sd",
    "SD ratio": "sd_ratio",
    "5.5 %": "sd_ratio_low",
    "94.5 %": "sd_ratio_high",
    "p spread": "p_spread",
    "p mean": "p_location",
    "50 % holds": "coverage_50",
    "89 % holds": "coverage_89",
    "CRPS ratio": "crps_ratio",
    "power ×½": "power_narrow",
    "power ×2": "power_wide",
}
"""Heads of the table of features, and what of a verdict stands below each."""


def calibration_part(calibration: Calibration, *, level: str = "") -> ReportData:
    """What a report shows of a calibration.

    Args:
        calibration: From ``calibrate_repeats``, ``calibrate_population`` or ``compare_experiments``.
        level: Heading of the verdict; by the kind of rows if not given.
    """
    c = calibration
    heading = level or LEVELS[c.level]
    curve = c.coverage
    coverage = (
        ()
        if curve is None
        else (
            CoverageCurve(
                title="coverage of all features",
                nominal=curve.nominal,
                observed=curve.observed,
                low=curve.low,
                high=curve.high,
                n=curve.n,
                level=heading,
            ),
        )
    )
    return ReportData(
        title=heading,
        verdicts=(Verdict(level=heading, severity=c.severity, sentence=c.sentence, power=c.power_sentence),),
        findings=tuple(_placed(f, level) for f in judge(c)),
        features=tuple(_panel(c, item, heading) for item in c.features),
        coverage=coverage,
        tables=(_table(c, heading),) if c.features else (),
        methods=(_methods(c),),
        values={"calibration": {c.level: _values(c)}},
    )


def _placed(finding: Finding, level: str) -> Finding:
    """The finding with the comparison it is about in front, unless that is the usual one of its page."""
    if not level or level in LEVELS.values():
        return finding
    return replace(finding, sentence=f"{level[:1].upper()}{level[1:]}: {finding.sentence}")


def _panel(c: Calibration, item: FeatureVerdict, level: str) -> FeaturePanel:
    power = ""
    if np.isfinite(item.sd_ratio):
        power = (
            f"Power for this feature alone, n = {item.n}: half the spread {percent(item.power_narrow)}, "
            f"twice {percent(item.power_wide)}."
        )
    return FeaturePanel(
        name=item.name,
        unit=item.unit,
        observed=c.observed.column(item.name),
        ensemble=c.ensemble.column(item.name),
        pit=item.pit,
        severity=item.severity,
        verdict=item.sentence.split(": ", 1)[-1],
        power=power,
        level=level,
    )


def _table(c: Calibration, heading: str) -> Table:
    rows = [tuple(getattr(f, name) for name in COLUMNS.values()) for f in c.features]
    caption = (
        f"Experiment: {len(c.observed)} {ROWS[c.level]} ({c.observed.source}); ensemble: {len(c.ensemble)} "
        f"({c.ensemble.source}). SD ratio: predicted over observed, with its 89 % interval{_doubt(c)}; p values "
        "corrected over features; CRPS ratio: ensemble over the experiment's own leave-one-out score, 1 if as good; "
        "power: a spread off by two in this feature alone, named."
    )
    return Table(title=f"{heading}: observed and predicted", columns=tuple(COLUMNS), rows=rows, caption=caption)


def _doubt(c: Calibration) -> str:
    """What intervals of small ensembles are worth."""
    if len(c.ensemble) >= SMALL * len(c.observed):
        return ""
    return (
        f" (the ensemble has fewer than {SMALL} rows per row of the experiment: where values are skewed or "
        "heavy-tailed, the interval holds 70 to 85 %)"
    )


def _methods(c: Calibration) -> str:
    return (
        f"{LEVELS[c.level]} variability was calibrated on {len(c.observed)} {ROWS[c.level]} ({c.observed.source}) and "
        f"{len(c.ensemble)} predicted ones. Rows were relabelled at random; the log ratio of the spreads along the "
        "pooled principal axes, the largest spread misfit of any feature, Welch's t along the axes, and the shares "
        "defined were combined by their weighted smallest p value (Westfall and Young), at a level of "
        f"{100 * c.alpha:.0f} % for the whole comparison. Power was found by playing the test through on "
        "pseudo-experiments drawn from the ensemble, stretched or shrunk by two, or shifted by one SD in a single "
        f"feature. Calibration seed {c.seed}."
    )


def _values(c: Calibration) -> dict[str, object]:
    """Numbers of the comparison that are in no panel or table."""
    return {
        "p_value": c.p_value,
        "p_question": c.p_question,
        "alpha": c.alpha,
        "miscalibrated": c.miscalibrated,
        "power_narrow": c.power_narrow,
        "power_wide": c.power_wide,
        "n": len(c.observed),
        "ensemble": len(c.ensemble),
        "energy_ratio": c.energy_ratio,
        "energy_ratio_low": c.energy_ratio_low,
        "seed": c.seed,
        "energy_ratio_high": c.energy_ratio_high,
        "skipped": c.skipped,
        "left_out": c.left_out,
    }


def drift_part(drift: Drift) -> ReportData:
    """Drift and jitter of each feature as findings and a table."""
    rows = [
        (
            name,
            unit,
            int(drift.n[k]),
            *(float(v[k]) for v in (drift.total_sd, drift.jitter_sd, drift.drift_share, drift.p_value)),
        )
        for k, (name, unit) in enumerate(zip(drift.names, drift.units, strict=True))
    ]
    table = Table(
        title="Drift and jitter",
        rows=rows,
        columns=("feature", "unit", "n", "total SD", "jitter SD", "drift share", "p"),
        caption="Jitter: half the mean squared difference of successive repeats; p corrected over features.",
    )
    return ReportData(title="Drift", findings=tuple(judge(drift)), tables=(table,))
