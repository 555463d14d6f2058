"""A report as text for a terminal."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence

from noble_prob.findings.disowned import no_posterior
from noble_prob.report.data import LatentRow, ReportData
from noble_prob.report.estimates import plain_unit, told
from noble_prob.report.plain import by_severity, number

NARROW, WIDE = 80, 100
"""Width of a report as text: that of the terminal, within these columns; the larger where there is none."""
SPARED = ("ESS", "R-hat", "sd")
"""Columns that a narrow table does without, in this order; findings and the interval say what matters of them."""
MARKS = {"issue": "[!]", "caution": "[~]", "not judged": "[?]", "passed": "[ok]"}
LEGEND = "  ".join(f"{mark} {severity}" for severity, mark in MARKS.items())
"""What the marks mean, in one line."""


def render_text(report: ReportData) -> str:
    """Verdicts, findings and the table of latents, as wide as the terminal (:data:`NARROW` to :data:`WIDE`)."""
    lines = [report.title, report.subtitle] if report.subtitle else [report.title]
    for verdict in report.verdicts:
        mark = f"{MARKS[verdict.severity]} " if verdict.tested else ""
        lines += ["", *_paragraph(f"{mark}{verdict.level}: {verdict.sentence} {verdict.power}")]
    if report.latents:
        head = ["Not a posterior:"] if no_posterior(report.findings) else []
        lines += ["", *head, *_latent_lines(report.latents)]
    if report.findings:
        lines += ["", "Findings", LEGEND]
    for finding in by_severity(report.findings):
        remedy = f" → {finding.remedy}" if finding.remedy else ""
        lines += _paragraph(f"{MARKS[finding.severity]} {finding.code} {finding.sentence}{remedy}")
    return "\n".join(lines) + "\n"


def _width() -> int:
    return max(NARROW, min(WIDE, shutil.get_terminal_size((WIDE, 0)).columns))


def _paragraph(text: str) -> list[str]:
    return textwrap.wrap(text.strip(), _width(), subsequent_indent="     ")


def _latent_lines(rows: Sequence[LatentRow]) -> list[str]:
    """The table of latents; what is known of no latent gets no column, nor what there is no room for."""
    columns = [c for c in _latent_columns(rows) if set(c[1:]) - {"", "–"}]
    for name in SPARED:
        if _room(columns, " ") > _width():
            columns = [column for column in columns if column[0] != name]
    width = [max(map(len, column)) for column in columns]
    gap = "  " if _room(columns, "  ") <= _width() else " "
    words = [column[0] in ("latent", "unit", "") for column in columns]
    return [
        gap.join(c.ljust(w) if word else c.rjust(w) for c, w, word in zip(line, width, words, strict=True)).rstrip()
        for line in zip(*columns, strict=True)
    ]


def _room(columns: Sequence[Sequence[str]], gap: str) -> int:
    """Width of a table of these columns."""
    return sum(max(map(len, column)) for column in columns) + len(gap) * (len(columns) - 1)


def _latent_columns(rows: Sequence[LatentRow]) -> list[tuple[str, ...]]:
    """Heading and cells of every column."""
    cells = [told(row) for row in rows]
    return [
        ("latent", *(row.words or row.name for row in rows)),
        ("unit", *(plain_unit(row.unit) for row in rows)),
        ("mean", *(cell["mean"] for cell in cells)),
        ("sd", *(cell["sd"] for cell in cells)),
        ("89 % interval", *(f"{cell['low']} .. {cell['high']}" for cell in cells)),
        ("R-hat", *("" if row.r_hat is None else f"{row.r_hat:.3f}" for row in rows)),
        ("ESS", *(number(None if row.ess_bulk is None else round(row.ess_bulk)) for row in rows)),
        ("truth", *(cell["truth"] for cell in cells)),
        ("", *({None: "", True: "inside", False: "OUTSIDE"}[row.inside] for row in rows)),
    ]
