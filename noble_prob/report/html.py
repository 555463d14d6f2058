"""A report as one self-contained HTML page: Jinja templates, inline SVG, no network, no script."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Sequence
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from noble_prob.findings.base import with_minus
from noble_prob.findings.disowned import no_posterior
from noble_prob.report.data import LatentRow, ReportData, Table
from noble_prob.report.estimates import is_log
from noble_prob.report.figures.features import draw_coverage, draw_feature, draw_fi
from noble_prob.report.figures.latents import draw_intervals
from noble_prob.report.figures.pairs import MOST_POINTS, draw_pairs
from noble_prob.report.figures.traces import draw_overlay, draw_raster, overlay_key
from noble_prob.report.panels import FiPanel
from noble_prob.report.parts.merge import PACKAGES
from noble_prob.report.plain import by_severity, label, number
from noble_prob.report.shown import shown, shown_latents
from noble_prob.strict_json import jsonable

ENDS = ("5.5 %", "94.5 %")
"""Columns of the ends of an interval."""
LOGARITHMS = (
    "Of logarithms, exp of the mean and of the interval's ends, and the SD in per cent; the CSV has them as they are, "
    "with every latent's name in files."
)
"""Caption of a table of latents with logarithms."""
_SYMBOLS = {"issue": "✕", "caution": "!", "not judged": "?", "passed": "✓"}


def render_html(report: ReportData) -> str:
    """The page."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("noble_prob.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = number
    environment.filters["csv_uri"] = csv_uri
    environment.filters["minus"] = with_minus
    environment.filters["shown"] = shown
    page = environment.get_template("page.html")
    latents = latent_table(report.latents)
    return page.render(
        report=report,
        findings=by_severity(report.findings),
        symbols=_SYMBOLS,
        no_posterior=no_posterior(report.findings),
        latent_table=latents,
        latents_shown=shown_latents(report.latents, latents) if latents else None,
        provenance=_told_once(report),
        figures=_figures(report),
        groups=_groups(report),
        overlay_key=overlay_key,
        voltages=_voltages(report),
        legend=_legend(report),
        fi_caption=fi_caption,
        label=label,
        most_points=MOST_POINTS,
    )


def _told_once(report: ReportData) -> dict[str, object]:
    """Provenance but for the packages, which the methods name, and for nested values, which JSON has."""
    values = jsonable(report.provenance).items()
    return {k: v for k, v in values if k not in ("Python", *PACKAGES) and not isinstance(v, dict)}


def _voltages(report: ReportData) -> str:
    """Heading of the voltages and spike trains."""
    if any(panel.observed_mv is not None for panel in report.overlays):
        return "Recording and ensemble"
    return "Voltages" if report.overlays else "Spike trains"


def _legend(report: ReportData) -> dict[str, bool]:
    """What the panels about features have that needs a key."""
    return {
        "experiment": any(
            len(np.asarray(seen)) for seen in [p.observed for p in report.features] + [p.observed for p in report.fi]
        ),
        "second": bool(report.features),
        "bands": bool(report.fi),
        "pit": any(len(np.asarray(p.pit)) for p in report.features),
    }


def fi_caption(panel: FiPanel) -> str:
    """How many values of either side a curve shows."""
    seen = len(np.asarray(panel.observed))
    return f"{f'recorded n = {seen}; ' if seen else ''}{panel.n_members or 'some'} {panel.members}"


def _figures(report: ReportData) -> dict[str, Any]:
    """Every figure of the page, drawn, by the part it belongs to."""
    draws = {
        "overlays": [draw_overlay(p, f"overlay{i}") for i, p in enumerate(report.overlays)],
        "rasters": [draw_raster(p, f"raster{i}") for i, p in enumerate(report.rasters)],
        "intervals": [draw_intervals(report.latents, "intervals")] if report.latents else [],
        "pairs": [draw_pairs(report.pairs, "pairs")] if report.pairs else [],
    }
    return {key: [Markup(svg) for svg in svgs if svg] for key, svgs in draws.items()}


def _groups(report: ReportData) -> dict[str, list[tuple[str, Any, Markup]]]:
    """Panels about features by the level they belong to: kind, panel, drawing."""
    drawn: list[tuple[str, Any, str]] = [
        *(("coverage", p, draw_coverage(p, f"coverage{i}")) for i, p in enumerate(report.coverage)),
        *(("fi", p, draw_fi(p, f"fi{i}")) for i, p in enumerate(report.fi)),
        *(("feature", p, draw_feature(p, f"feature{i}")) for i, p in enumerate(report.features)),
    ]
    groups: dict[str, list[tuple[str, Any, Markup]]] = {}
    for kind, panel, svg in drawn:
        groups.setdefault(panel.level, []).append((kind, panel, Markup(svg)))
    return groups


def latent_table(rows: Sequence[LatentRow]) -> Table | None:
    """The posterior table of files, logarithms as they are; columns that no latent fills are left out."""
    if not rows:
        return None
    columns: dict[str, list[Any]] = {
        "latent": [r.words or None for r in rows],
        "identifier": [r.name for r in rows],
        "unit": [r.unit for r in rows],
        "mean": [r.mean for r in rows],
        "SD": [r.sd for r in rows],
        ENDS[0]: [r.low for r in rows],
        ENDS[1]: [r.high for r in rows],
        "R-hat": [r.r_hat for r in rows],
        "ESS bulk": [None if r.ess_bulk is None else round(r.ess_bulk) for r in rows],
        "ESS tail": [None if r.ess_tail is None else round(r.ess_tail) for r in rows],
        "contraction": [r.contraction for r in rows],
        "prior mean": [r.prior_mean for r in rows],
        "prior SD": [r.prior_sd for r in rows],
        "truth": [r.truth for r in rows],
        "truth inside": [r.inside for r in rows],
    }
    kept = {name: cells for name, cells in columns.items() if any(cell is not None for cell in cells)}
    caption = LOGARITHMS if any(is_log(row.unit) for row in rows) else ""
    return Table(title="Latents", columns=tuple(kept), rows=list(zip(*kept.values(), strict=True)), caption=caption)


def csv_uri(table: Table) -> str:
    """The table as a ``data:`` link to a CSV file."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([["" if cell is None else cell for cell in row] for row in table.rows])
    return "data:text/csv;base64," + base64.b64encode(buffer.getvalue().encode()).decode()
