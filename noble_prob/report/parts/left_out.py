"""What a report says of sweeps that were held back from an inference."""

from __future__ import annotations

from noble_prob.calibration.predictive import PredictiveCheck
from noble_prob.findings.registry import judge
from noble_prob.report.data import ReportData, Verdict
from noble_prob.report.plain import by_severity


def left_out_part(check: PredictiveCheck) -> ReportData:
    """The verdict, its findings, and the numbers under ``left_out``.

    Args:
        check: From :func:`noble_prob.check_left_out`.
    """
    found = tuple(judge(check))
    (main,) = [f for f in found if f.code == "NP220"]
    verdict = Verdict(level="Sweeps held back", severity=by_severity(found)[0].severity, sentence=main.sentence)
    values = {
        "sweeps": list(check.sweeps),
        **{name: main.evidence[name] for name in ("p_misfit", "coverage_50", "coverage_89", "values")},
        "findings": [f.to_dict() for f in found],
    }
    return ReportData(title="", verdicts=(verdict,), findings=found, values={"left_out": values})
