"""An examination, or several, as one report: verdicts, traces, latents, checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from noble_prob.calibration.train_contrast import TrainContrast
from noble_prob.examination import Examination, Session
from noble_prob.findings.base import with_minus
from noble_prob.findings.registry import judge
from noble_prob.findings.words import in_words
from noble_prob.inference import Posterior
from noble_prob.report.data import ReportData, Table, Verdict
from noble_prob.report.estimates import plain_unit, told
from noble_prob.report.panels import AFTER_ONSET, Overlay
from noble_prob.report.parts.calibration import calibration_part
from noble_prob.report.parts.cautions import reasons
from noble_prob.report.parts.merge import merge
from noble_prob.report.parts.methods import posterior_methods
from noble_prob.report.parts.posterior import heading, latent_rows, posterior_part, predictive_part
from noble_prob.report.parts.traces import ensemble_overlays
from noble_prob.report.parts.trains import trains_part
from noble_prob.report.plain import SEVERITIES

NO_REPEATS = Verdict(
    level="Trial to trial",
    severity="not judged",
    sentence="No step was repeated, so the spread over repeats could not be judged.",
)
CODES = {
    "Posterior of the latents": ("NP10", "NP11"),
    "Posterior predictive check": ("NP22",),
    "Trial to trial": ("NP20", "NP21"),
}
"""How the codes of the findings behind each verdict begin."""
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
        ReportData(title="", overlays=_overlays(e)),
        _without_repeats(predictive_part(e.check, posterior), e),
        ReportData(title="", verdicts=(NO_REPEATS,)) if e.repeats is None else calibration_part(e.repeats),
        *(_trains(c, e) for c in e.trains),
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


def _overlays(e: Examination) -> list[Overlay]:
    """Voltages of some draws, told from how many."""
    return [replace(o, n_members=_size(e)) for o in ensemble_overlays(e.ensemble, e.recording)]


def _trains(c: TrainContrast, e: Examination) -> ReportData:
    """Spike trains of one repeated step."""
    names = ("recording", "posterior draws")
    window = (0.0, _end(e))
    return trains_part(c, level="Trial to trial", window_ms=window, names=names, xlabel=AFTER_ONSET, total=_size(e))


def _size(e: Examination) -> int:
    """Draws of the posterior."""
    return e.posterior.latents.shape[:2].numel()


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
    values = {
        "files": {name: {**page.values, "provenance": dict(page.provenance)} for name, page in pages.items()},
        "refused": session.refused,
    }
    cells, methods = (
        dict.fromkeys(named)
        for named in zip(*((e.cell.name, e.posterior.method) for e in session.examinations.values()), strict=True)
    )
    subtitle = f"decoder of {', '.join(cells)}, {', '.join(methods)}"
    return replace(merge(title, [head, *parts], subtitle=subtitle, provenance=_of_all(pages)), values=values)


def _of_all(pages: Mapping[str, ReportData]) -> dict[str, Any]:
    """Provenance that all files share."""
    first, *others = (page.provenance for page in pages.values())
    return {k: v for k, v in first.items() if all(k in other and other[k] == v for other in others)}


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
        provenance={},
        methods=[text for text in page.methods if text not in own],
    )


def by_level(pages: Mapping[str, ReportData]) -> list[Verdict]:
    """One verdict per level over all files: as bad as the worst, which are named."""
    found: dict[str, dict[str, Verdict]] = {}
    for name, page in pages.items():
        for verdict in page.verdicts:
            found.setdefault(verdict.level, {})[name] = verdict
    return [_over_files(level, verdicts, pages) for level, verdicts in found.items()]


def _over_files(level: str, verdicts: Mapping[str, Verdict], pages: Mapping[str, ReportData]) -> Verdict:
    """The verdicts of one level as one."""
    sentences = {v.sentence for v in verdicts.values()}
    groups = {s: [n for n, v in verdicts.items() if v.severity == s] for s in SEVERITIES}
    worst = next(s for s in SEVERITIES if groups[s])
    if len(sentences) == 1:
        sentence = f"All {len(verdicts)} recordings: {sentences.pop()}"
    else:
        counts = ", ".join(f"{len(names)} {s}" for s, names in groups.items() if names)
        why = [_why(name, pages[name], level, worst) for name in groups[worst]]
        few = f" {worst.capitalize()}: {'; '.join(why[:6])}" if worst in ("issue", "caution") else ""
        more = f"; and {len(why) - 6} more" if few and len(why) > 6 else ""
        sentence = f"Of {len(verdicts)} recordings: {counts}.{few}{more}{'.' if few else ''}"
    power = {v.power for v in verdicts.values()}
    return Verdict(
        level=level,
        severity=verdicts[groups[worst][0]].severity,
        sentence=sentence,
        power=power.pop() if len(power) == 1 else "",
    )


def _why(name: str, page: ReportData, level: str, severity: str) -> str:
    """A file with what its verdict rests on."""
    codes = CODES.get(level)
    found = [f for f in page.findings if codes and f.severity == severity and f.code.startswith(codes)]
    said = reasons(found)
    misfits = [in_words(f.evidence["feature"]) for f in page.findings if f.code == "NP221"]
    if level == "Posterior predictive check" and misfits:
        said = f"misfit of {', '.join(misfits)} (NP221)"
    return f"{name}, {said}" if said else name


def verdict_table(pages: Mapping[str, ReportData]) -> Table:
    """Every verdict of every file."""
    rows = [(name, v.level, v.severity, v.sentence) for name, page in pages.items() for v in page.verdicts]
    return Table(title="Verdicts of every recording", columns=("file", "level", "severity", "verdict"), rows=rows)


def _posterior_means(session: Session) -> Table:
    """Posterior mean and interval of every latent of every file, the latents as rows."""
    found = [latent_rows(e.posterior) for e in session.examinations.values()]
    rows = []
    for same in zip(*found, strict=True):
        cells = [f"{cell['mean']} ({cell['low']} to {cell['high']})" for cell in map(told, same)]
        rows.append([with_minus(same[0].words), same[0].name, plain_unit(same[0].unit), *cells])
    return Table(
        title="Latents of every recording",
        columns=("latent", "identifier", "unit", *session.examinations),
        rows=rows,
        caption="Posterior mean (89 % interval).",
    )
