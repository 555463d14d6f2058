"""An examination, or several, as one report: verdicts, traces, latents, checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from noble_prob.examination import Examination, Session
from noble_prob.findings.registry import judge
from noble_prob.inference import Posterior
from noble_prob.report.data import ReportData, Table, Verdict
from noble_prob.report.panels import AFTER_ONSET
from noble_prob.report.parts.calibration import calibration_part
from noble_prob.report.parts.merge import merge
from noble_prob.report.parts.methods import posterior_methods
from noble_prob.report.parts.posterior import heading, posterior_part, predictive_part
from noble_prob.report.parts.traces import ensemble_overlays
from noble_prob.report.parts.trains import trains_part
from noble_prob.report.plain import SEVERITIES, to_sd

NO_REPEATS = Verdict(
    level="Trial to trial",
    severity="not judged",
    sentence="No step was repeated, so the spread over repeats could not be judged.",
)
ONE = "the last step of every recording shown"


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
        provenance: Further entries.
    """
    e, posterior = examination, examination.posterior
    findings = [f for f in judge(posterior) if f not in posterior.notes]
    parts = [
        posterior_part(posterior, findings=findings, population=e.cell.models, truth=e.truth),
        ReportData(title="", overlays=ensemble_overlays(e.ensemble, e.recording)),
        _without_repeats(predictive_part(e.check, posterior), e),
        ReportData(title="", verdicts=(NO_REPEATS,)) if e.repeats is None else calibration_part(e.repeats),
        *(trains_part(c, level="Trial to trial", window_ms=(0.0, _end(e)), xlabel=AFTER_ONSET) for c in e.trains),
        *further,
    ]
    source = posterior.provenance.get("recording", {})
    file = {k: source[k] for k in ("file", "sha256", "liquid_junction_potential_mv") if source.get(k) is not None}
    known = {"cell": e.cell.name, "decoder_sha256": e.cell.card.get("weights_sha256", "none"), **file}
    known |= posterior.provenance
    return merge(title, parts, subtitle=heading(posterior, e.cell.name), provenance={**known, **(provenance or {})})


def _without_repeats(part: ReportData, e: Examination) -> ReportData:
    """The predictive part without rasters of steps whose repeats get one of their own."""
    shown = {c.stimulus for c in e.trains}
    return replace(part, rasters=[r for r in part.rasters if r.title not in shown])


def _end(e: Examination) -> float:
    """Longest step that was looked at (ms)."""
    return float(e.posterior.evidence.design.end_ms.max())


def session_report(session: Session, title: str) -> ReportData:
    """Several recordings on one page: a verdict per level over all, then each in tables, findings and figures.

    Args:
        session: From :func:`noble_prob.examination.examine_files`.
        title: Heading, where there are several files.
    """
    pages = {name: examination_report(e, name) for name, e in session.examinations.items()}
    if len(pages) == 1 and not session.refused:
        return next(iter(pages.values()))
    parts = [_named(name, page, session.examinations[name].posterior) for name, page in pages.items()]
    total = len(pages) + len(session.refused)
    left = f"; left out: {', '.join(session.refused)}" if session.refused else ""
    whole = Verdict(
        level="Files",
        severity="caution" if left else "passed",
        sentence=f"{len(pages)} of {total} files could be used{left}.",
    )
    verdicts = (whole, *by_level(pages)) if len(pages) > 1 else (whole, *next(iter(pages.values())).verdicts)
    tables = (verdict_table(pages), _posterior_means(session))
    how = posterior_methods([e.posterior for e in session.examinations.values()])
    head = ReportData(title="", verdicts=verdicts, findings=tuple(judge(session)), tables=tables, methods=how)
    values = {"files": {name: dict(page.values) for name, page in pages.items()}, "refused": session.refused}
    return replace(merge(title, [head, *parts], subtitle=f"{len(pages)} recordings"), values=values)


def _named(name: str, page: ReportData, posterior: Posterior) -> ReportData:
    """A page whose parts say which file they are about; what is shown of single files, or said of all, is left out."""
    own = (*posterior_methods([posterior]), page.methods[-1])
    return replace(
        page,
        pairs=None,
        rasters=(),
        features=(),
        coverage=(),
        verdicts=(),
        findings=[replace(f, sentence=f"{name}: {f.sentence}") for f in page.findings],
        overlays=[replace(p, title=f"{name}, {p.title}", shown=ONE) for p in page.overlays[-1:]],
        fi=[replace(p, title=f"{name}, {p.title}") for p in page.fi[:1]],
        latents=(),
        methods=[text for text in page.methods if text not in own],
    )


def by_level(pages: Mapping[str, ReportData]) -> list[Verdict]:
    """One verdict per level over all files: as bad as the worst, which are named."""
    found: dict[str, dict[str, Verdict]] = {}
    for name, page in pages.items():
        for verdict in page.verdicts:
            found.setdefault(verdict.level, {})[name] = verdict
    return [_over_files(level, verdicts) for level, verdicts in found.items()]


def _over_files(level: str, verdicts: Mapping[str, Verdict]) -> Verdict:
    """The verdicts of one level as one."""
    sentences = {v.sentence for v in verdicts.values()}
    groups = {s: [n for n, v in verdicts.items() if v.severity == s] for s in SEVERITIES}
    worst = next(s for s in SEVERITIES if groups[s])
    if len(sentences) == 1:
        sentence = f"All {len(verdicts)} recordings: {sentences.pop()}"
    else:
        counts = ", ".join(f"{len(names)} {s}" for s, names in groups.items() if names)
        few = f" The {worst}: {', '.join(groups[worst][:6])}" if worst in ("issue", "caution") else ""
        more = f" and {len(groups[worst]) - 6} more" if few and len(groups[worst]) > 6 else ""
        sentence = f"Of {len(verdicts)} recordings: {counts}.{few}{more}{'.' if few else ''}"
    power = {v.power for v in verdicts.values()}
    return Verdict(
        level=level,
        severity=verdicts[groups[worst][0]].severity,
        sentence=sentence,
        power=power.pop() if len(power) == 1 else "",
    )


def verdict_table(pages: Mapping[str, ReportData]) -> Table:
    """Every verdict of every file."""
    rows = [(name, v.level, v.severity, v.sentence) for name, page in pages.items() for v in page.verdicts]
    return Table(title="Verdicts of every recording", columns=("file", "level", "severity", "verdict"), rows=rows)


def _posterior_means(session: Session) -> Table:
    """Posterior mean and SD of every latent of every file."""
    first = next(iter(session.examinations.values())).posterior
    columns = ["file", *(f"{n} ({u})" for n, u in zip(first.space.names, first.space.units, strict=True))]
    rows = []
    for name, e in session.examinations.items():
        mean, sd = e.posterior.mean().tolist(), e.posterior.covariance().diagonal().sqrt().tolist()
        rows.append([name, *(f"{to_sd(m, s)} ± {to_sd(s, s)}" for m, s in zip(mean, sd, strict=True))])
    return Table(title="Latents of every recording", columns=columns, rows=rows, caption="Posterior mean ± SD.")
