"""A report as JSON values, and numbers for people."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from noble_prob.findings.base import Finding
from noble_prob.findings.words import in_words
from noble_prob.report.data import LatentRow, ReportData
from noble_prob.strict_json import jsonable

SEVERITIES = ("issue", "caution", "not judged", "passed")
"""Order in which findings are shown."""


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
    """A feature's name for people: ``ap1_width_ms`` in ms becomes ``first spike width (ms)``."""
    return in_words(name) + (f" ({unit})" if unit not in ("", "1") else "")


def report_dict(report: ReportData) -> dict[str, Any]:
    """The same findings and numbers as the page; traces and raw draws, which have their own files, are left out."""
    latents = {row.name: _latent(row) for row in report.latents}
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


def _latent(row: LatentRow) -> dict[str, Any]:
    """A row as JSON values; the interval also in ms where the latent is a logarithm of ms."""
    values = {k: v for k, v in jsonable(row).items() if k != "name"}
    ends = {"interval_89_ms": [math.exp(row.low), math.exp(row.high)]} if row.unit == "ln(ms)" else {}
    return {**values, **ends, "inside": row.inside}


def render_json(report: ReportData) -> str:
    """Indented JSON, strict (no NaN)."""
    return json.dumps(report_dict(report), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
