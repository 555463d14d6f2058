"""Measured cells against a prior ensemble, before and after recalibration, as one part of a report."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from noble_prob.calibration import Calibration, Recalibration
from noble_prob.examination import PopulationComparison
from noble_prob.examination.moved import Move
from noble_prob.findings.registry import judge
from noble_prob.report.data import ReportData, Table, Verdict
from noble_prob.report.panels import PairPlot
from noble_prob.report.parts.calibration import calibration_part

PRIOR, MOVED = "Between neurons", "Between neurons, latents moved"
MOST_PAIRS = 6
COLUMNS = {
    "feature": "names",
    "unit": "units",
    "cells' mean": "target_mean",
    "cells' SD": "target_sd",
    "prior mean": "before_mean",
    "prior SD": "before_sd",
    "reweighted mean": "after_mean",
    "reweighted SD": "after_sd",
}
"""Heads of the table of a reweighted prior, and what of the weights stands below each."""


def population_part(population: PopulationComparison) -> ReportData:
    """What a report shows of a population: the prior as it is first, then what recalibration makes of it.

    Args:
        population: From :func:`noble_prob.examination.examine_population`.
    """
    parts = [calibration_part(population.before, level=PRIOR)]
    if population.weights is not None:
        parts.append(weights_part(population.weights))
    if population.after is not None and population.move is not None:
        parts.append(_after(calibration_part(population.after, level=MOVED), population.move))
    joined: dict[str, Any] = {
        name: [item for part in parts for item in getattr(part, name)]
        for name in ("verdicts", "findings", "features", "coverage", "tables", "methods")
    }
    values = {key: value for part in parts for key, value in part.values.items()}
    return ReportData(title="PopulationComparison", pairs=pairs(population.before), values=values, **joined)


def _after(part: ReportData, move: Move) -> ReportData:
    """The comparison after the move, told apart from that before; its verdict says which neurons can not be."""
    (found,), (verdict,) = judge(move), part.verdicts
    if found.severity == "caution":
        severity = "caution" if verdict.severity == "passed" else verdict.severity
        verdict = replace(verdict, severity=severity, sentence=f"{verdict.sentence} {found.sentence}")
    return replace(
        part,
        verdicts=(verdict,),
        findings=[*(f for f in part.findings if f.code == "NP201"), found],
        values={"calibration_after": part.values["calibration"]},
    )


def weights_part(weights: Recalibration) -> ReportData:
    """The reweighted prior: what it reaches, and how many neurons are left of it."""
    (found,) = judge(weights)
    rows = zip(*(getattr(weights, name) for name in COLUMNS.values()), strict=True)
    table = Table(
        title="Reweighted prior",
        columns=tuple(COLUMNS),
        rows=list(rows),
        caption=f"Effective sample size {weights.ess:.1f} of {weights.n} drawn neurons.",
    )
    return ReportData(
        title="",
        findings=(found,),
        tables=(table,),
        verdicts=(Verdict(level="Reweighted prior", severity=found.severity, sentence=found.sentence),),
        methods=(
            "The prior was reweighted by exponential tilting: of all weights that give the cells' means and SDs, "
            "those of least relative entropy to equal ones.",
        ),
        values={"recalibration": {"ess": weights.ess, "n": weights.n, "reached": weights.reached}},
    )


def pairs(result: Calibration) -> PairPlot | None:
    """Novel neurons and measured cells in every pair of features that both have."""
    names = [f.name for f in result.features if f.n > 2 and f.m > 2][:MOST_PAIRS]
    if len(names) < 2:
        return None
    seen, drawn = result.observed.select(names), result.ensemble.select(names)
    return PairPlot(
        names=names,
        units=seen.units,
        posterior=_whole(drawn.value),
        population=_whole(seen.value),
        labels=("neurons of the prior as it is", "", "measured cells"),
        of="features",
        measured=True,
    )


def _whole(value: np.ndarray) -> np.ndarray:
    """Rows without gaps."""
    return value[np.isfinite(value).all(-1)]
