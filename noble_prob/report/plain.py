"""A report as JSON values and as text for a terminal."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from noble_prob.findings.base import Finding
from noble_prob.report.data import LatentRow, ReportData
from noble_prob.strict_json import jsonable

SEVERITIES = ("issue", "caution", "not judged", "passed")
"""Order in which findings are shown."""
COLUMNS = 100
"""Width of a report as text."""
MARKS = {"issue": "[!]", "caution": "[~]", "not judged": "[?]", "passed": "[ok]"}


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """Findings in the order of :data:`SEVERITIES`, then of code."""
    return sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), f.code))


def number(value: Any, digits: int = 3) -> str:
    """A value for people: some significant digits, words as they are, a dash for what is not known.

    Args:
        value: A number or a word; a list or an object of them is told one after the other.
        digits: Significant digits of every number.
    """
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {number(v, digits)}" for key, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(number(v, digits) for v in value)
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


def to_sd(value: float | None, sd: float | None) -> str:
    """A value for people down to the second digit of its SD: what is beyond says nothing, what is before all.

    Args:
        value: An estimate, an end of its interval, or the SD itself; a dash for None.
        sd: Its SD in the same unit; as :func:`number` where there is none, or one below a millionth.
    """
    if value is None or sd is None or not (math.isfinite(value) and math.isfinite(sd)) or sd < 1e-6:
        return number(value)
    places = 1 - int(f"{sd:.1e}".split("e")[1])  # rounded first: an SD of 0.0997 is 0.10
    return f"{value:z.{max(places, 0)}f}".replace("-", "−")


def label(name: str, unit: str) -> str:
    """A feature's name for people: ``ap1_width_ms`` in ms becomes ``ap1 width (ms)``."""
    words = name.removesuffix(f"_{unit.lower()}") if unit else name
    return words.replace("_", " ") + (f" ({unit})" if unit else "")


def words(name: str, unit: str) -> str:
    """The same without the unit: ``ap1 width``."""
    return label(name, unit).removesuffix(f" ({unit})")


def count(n: int, noun: str) -> str:
    """``1 sweep``, ``2 sweeps``."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


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
    """Verdicts, findings and the table of latents in at most :data:`COLUMNS` columns."""
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
    return textwrap.wrap(text.strip(), COLUMNS, subsequent_indent="     ")


def _latent_lines(rows: Sequence[LatentRow]) -> list[str]:
    """The table of latents; what is known of no latent gets no column."""
    columns = [c for c in _latent_columns(rows) if set(c[1:]) - {"", "–"}]
    width = [max(map(len, column)) for column in columns]
    gap = "  " if sum(width) + 2 * (len(width) - 1) <= COLUMNS else " "
    words = [column[0] in ("latent", "") for column in columns]
    return [
        gap.join(c.ljust(w) if word else c.rjust(w) for c, w, word in zip(line, width, words, strict=True)).rstrip()
        for line in zip(*columns, strict=True)
    ]


def _latent_columns(rows: Sequence[LatentRow]) -> list[tuple[str, ...]]:
    """Heading and cells of every column."""
    return [
        ("latent", *(row.name for row in rows)),
        ("unit", *(row.unit for row in rows)),
        ("mean", *(to_sd(row.mean, row.sd) for row in rows)),
        ("sd", *(to_sd(row.sd, row.sd) for row in rows)),
        ("89 % interval", *(f"{to_sd(row.low, row.sd)} .. {to_sd(row.high, row.sd)}" for row in rows)),
        ("R-hat", *(number(row.r_hat, 4) for row in rows)),
        ("ESS", *(number(None if row.ess_bulk is None else round(row.ess_bulk)) for row in rows)),
        ("truth", *(to_sd(row.truth, row.sd) for row in rows)),
        ("", *({None: "", True: "inside", False: "OUTSIDE"}[row.inside] for row in rows)),
    ]
