"""One value, three forms: ``render(result, "html" | "json" | "text")``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from noble_prob.errors import UsageError
from noble_prob.report.data import ReportData
from noble_prob.report.html import render_html
from noble_prob.report.parts.whole import Result, report_of
from noble_prob.report.plain import render_json
from noble_prob.report.text import render_text

_FORMS: Mapping[str, Callable[[ReportData], str]] = {"html": render_html, "json": render_json, "text": render_text}


def render(report: Result, form: str = "html") -> str:
    """Write a report out.

    Args:
        report: A result (see :func:`~noble_prob.report.parts.whole.report_of`), or a report made of several.
        form: ``html`` (one self-contained page), ``json`` (the same numbers) or ``text`` (for a terminal).

    Returns:
        The document.

    Raises:
        UsageError: If there is no report of such a value, or the form is not one of the three.
    """
    if form not in _FORMS:
        raise UsageError("form", "one of html, json, text", repr(form), "pick one of them")
    return _FORMS[form](report_of(report))
