"""Results of other rooms laid out as parts of a report; nothing is computed here, only chosen and named."""

from noble_prob.report.parts.calibration import calibration_part, drift_part
from noble_prob.report.parts.ensemble import ensemble_part, ensemble_report
from noble_prob.report.parts.examination import examination_report, session_report
from noble_prob.report.parts.left_out import left_out_part
from noble_prob.report.parts.merge import merge
from noble_prob.report.parts.population import population_part
from noble_prob.report.parts.posterior import posterior_part, predictive_part
from noble_prob.report.parts.traces import ensemble_overlays, repeat_raster
from noble_prob.report.parts.trains import trains_part
from noble_prob.report.parts.whole import report_of

__all__ = [
    "calibration_part",
    "drift_part",
    "ensemble_overlays",
    "ensemble_part",
    "ensemble_report",
    "examination_report",
    "left_out_part",
    "merge",
    "population_part",
    "posterior_part",
    "predictive_part",
    "repeat_raster",
    "report_of",
    "session_report",
    "trains_part",
]
