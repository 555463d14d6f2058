"""An examination as one report: verdicts, traces, latents, checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from noble_prob.examination import Examination
from noble_prob.findings.registry import judge
from noble_prob.report.data import ReportData
from noble_prob.report.parts.merge import merge
from noble_prob.report.parts.posterior import posterior_part, predictive_part
from noble_prob.report.parts.traces import ensemble_overlays


def examination_report(
    examination: Examination,
    title: str,
    *,
    further: Sequence[ReportData] = (),
    provenance: Mapping[str, Any] | None = None,
) -> ReportData:
    """Everything about one recording on one page.

    Args:
        examination: From :func:`noble_prob.examination.examine`.
        title: What was examined, for example the file's name.
        further: Parts that follow.
        provenance: Further entries, for example hashes of the file.
    """
    e, posterior = examination, examination.posterior
    notes = posterior.notes
    parts = [
        posterior_part(posterior, findings=[f for f in judge(posterior) if f not in notes],
                       population=e.cell.models, truth=e.truth),
        ReportData(title="", overlays=ensemble_overlays(e.ensemble, e.recording)),
        predictive_part(e.check, posterior),
        *further,
    ]  # fmt: skip
    subtitle = f"decoder of {e.cell.name}, {posterior.method}, {len(posterior.sweeps)} sweeps"
    known = {"cell": e.cell.name, "decoder_sha256": e.cell.card.get("weights_sha256", "none"), **posterior.provenance}
    return merge(title, parts, subtitle=subtitle, provenance={**known, **(provenance or {})})
