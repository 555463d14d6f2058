"""A report of whatever result it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from noble_prob.calibration import Calibration, Drift
from noble_prob.errors import UsageError
from noble_prob.examination import Examination, PopulationComparison, Session
from noble_prob.findings.registry import judge
from noble_prob.inference import Posterior
from noble_prob.report.data import ReportData
from noble_prob.report.parts.calibration import calibration_part, drift_part
from noble_prob.report.parts.ensemble import ensemble_report
from noble_prob.report.parts.examination import examination_report, session_report
from noble_prob.report.parts.population import population_part
from noble_prob.report.parts.posterior import posterior_part
from noble_prob.sampling import Ensemble

Result = ReportData | Examination | Session | Posterior | Calibration | Drift | PopulationComparison | Ensemble
"""What there is a report of."""


def _examination(found: Examination) -> ReportData:
    source = found.posterior.provenance.get("recording", {})
    return examination_report(found, str(source.get("file", f"A recording, taken for {found.cell.name}")))


def _posterior(found: Posterior) -> ReportData:
    return posterior_part(found, findings=[f for f in judge(found) if f not in found.notes])


_PARTS: Mapping[type, Callable[[Any], ReportData]] = {
    ReportData: lambda report: report,
    Examination: _examination,
    Session: lambda session: session_report(session, "Recordings"),
    Posterior: _posterior,
    Calibration: calibration_part,
    Drift: drift_part,
    PopulationComparison: population_part,
    Ensemble: ensemble_report,
}


def report_of(result: Result) -> ReportData:
    """The report of a result, under a usual title; the functions of :mod:`noble_prob.report.parts` take others.

    Args:
        result: A report as it is; an examination, a session, a posterior, a calibration, a drift, a population that
            was examined, or an ensemble.

    Raises:
        UsageError: If it is something else.
    """
    if type(result) not in _PARTS:
        known = ", ".join(kind.__name__ for kind in _PARTS)
        raise UsageError(
            "report",
            f"one of {known}",
            f"a {type(result).__name__}",
            "make a ReportData of it, with the functions of noble_prob.report.parts",
        )
    return _PARTS[type(result)](result)
