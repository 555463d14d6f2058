"""A report as JSON values and as text for a terminal."""

from __future__ import annotations

import dataclasses
import json
import math
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from noble_prob.findings.base import Finding
from noble_prob.report.data import LatentRow, ReportData

SEVERITIES = ("issue", "caution", "not judged", "passed")
"""Order in which findings are shown."""
MARKS = {"issue": "[!]", "caution": "[~]", "not judged": "[?]", "passed": "[ok]"}


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """Findings in the order of :data:`SEVERITIES`, then of code."""
    return sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), f.code))


def number(value: Any, digits: int = 3) -> str:
    """A value for people: some significant digits, words as they are, a dash for what is not known."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{value:d}".replace("-", "−")
    if not isinstance(value, float | np.floating):
        return str(value)
    value = float(value)
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else ("∞" if value > 0 else "−∞")
    places = digits - 1 - math.floor(math.log10(abs(value)))
    if abs(value) >= 1e6 or abs(value) < 1e-4:
        return f"{value:.{digits - 1}e}".replace("-", "−")
    return f"{value:.{min(max(places, 0), 6)}f}".replace("-", "−")


def label(name: str, unit: str) -> str:
    """A feature's name for people: ``ap1_width_ms`` in ms becomes ``ap1 width (ms)``."""
    words = name.removesuffix(f"_{unit.lower()}") if unit else name
    return words.replace("_", " ") + (f" ({unit})" if unit else "")


def words(name: str, unit: str) -> str:
    """The same without the unit: ``ap1 width``."""
    return label(name, unit).removesuffix(f" ({unit})")


def jsonable(value: Any) -> Any:
    """Plain JSON values: arrays and tensors as lists, NaN and infinity as null, dataclasses as objects."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: jsonable(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if hasattr(value, "tolist"):
        return jsonable(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)


def report_dict(report: ReportData) -> dict[str, Any]:
    """The same findings and numbers as the page; traces and raw draws, which have their own files, are left out."""
    latents = {
        row.name: {**{k: v for k, v in jsonable(row).items() if k != "name"}, "inside": row.inside}
        for row in report.latents
    }
    return {
        "title": report.title,
        "subtitle": report.subtitle,
        "verdicts": jsonable(report.verdicts),
        "findings": [jsonable(f.to_dict()) for f in by_severity(report.findings)],
        "latents": latents,
        "features": jsonable(report.features),
        "coverage": jsonable(report.coverage),
        "fi": jsonable(report.fi),
        "tables": jsonable(report.tables),
        "methods": list(report.methods),
        "provenance": jsonable(report.provenance),
        **jsonable(report.values),
    }


def render_json(report: ReportData) -> str:
    """Indented JSON, strict (no NaN)."""
    return json.dumps(report_dict(report), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def render_text(report: ReportData) -> str:
    """Verdicts, findings and the table of latents in at most 100 columns."""
    lines = [report.title, report.subtitle] if report.subtitle else [report.title]
    for verdict in report.verdicts:
        lines += ["", *_paragraph(f"{MARKS[verdict.severity]} {verdict.level}: {verdict.sentence} {verdict.power}")]
    if report.latents:
        lines += ["", *_latent_lines(report.latents)]
    if report.findings:
        lines += ["", "Findings"]
    for finding in by_severity(report.findings):
        remedy = f" → {finding.remedy}" if finding.remedy else ""
        lines += _paragraph(f"{MARKS[finding.severity]} {finding.code} {finding.sentence}{remedy}")
    return "\n".join(lines) + "\n"


def _paragraph(text: str) -> list[str]:
    return textwrap.wrap(text.strip(), 100, subsequent_indent="     ")


def _latent_lines(rows: Iterable[LatentRow]) -> list[str]:
    """The table of latents; the column of the truth only where some truth is known."""
    rows = list(rows)
    known = any(row.truth is not None for row in rows)
    width = max(len(row.name) for row in rows)
    head = f"{'latent':<{width}} {'unit':>7} {'mean':>9} {'sd':>9} {'89 % interval':>21} {'R-hat':>6} {'ESS':>6}"
    lines = [head + ("     truth" if known else "")]
    for row in rows:
        interval = f"{number(row.low)} .. {number(row.high)}"
        line = f"{row.name:<{width}} {row.unit:>7} {number(row.mean):>9} {number(row.sd):>9} {interval:>21} "
        line += f"{number(row.r_hat, 4):>6} {number(None if row.ess_bulk is None else round(row.ess_bulk)):>6}"
        if known:
            line += f" {number(row.truth):>9} {'' if row.inside is None else 'inside' if row.inside else 'OUTSIDE'}"
        lines.append(line.rstrip())
    return lines
