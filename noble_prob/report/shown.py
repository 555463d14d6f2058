"""Tables as people read them; files keep names, logarithms and digits as they are.

Features and latents are told in words with their unit, a mean and its SD in one cell, no number to a digit that says
nothing. What a column holds is known by its head.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from noble_prob.findings.base import with_minus
from noble_prob.report.data import LatentRow, Table
from noble_prob.report.estimates import plain_unit, told
from noble_prob.report.plain import label, number, to_sd

SHARES = ("contraction", "power ×½", "power ×2", "50 % holds", "89 % holds", "CRPS ratio")
"""Columns with two decimals."""
INTERVAL = ("SD ratio", "5.5 %", "94.5 %")
"""Columns that are one: an estimate and the ends of its interval."""
TOLD = {"mean": "mean", "SD": "sd", "5.5 %": "low", "94.5 %": "high", "truth": "truth"}
"""Columns of the latents that :func:`~noble_prob.report.estimates.told` has words for."""
LATENTS = ("R-hat", "ESS bulk", "ESS tail", "contraction")
"""Further columns of the latents."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A table in words.

    Attributes:
        columns: Heads.
        rows: Cells.
        numeric: Whether a column holds numbers, which stand to the right.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Sequence[bool]


def shown(table: Table) -> Shown:
    """A table as the page has it.

    Args:
        table: As files have it.
    """
    cells = dict(zip(table.columns, map(list, zip(*table.rows, strict=True)), strict=False))
    columns = list(_columns({name: cells.get(name, []) for name in table.columns}))
    return _joined(columns, len(table.rows))


def shown_latents(rows: Sequence[LatentRow], table: Table) -> Shown:
    """The table of latents as the page has it: what is asked of it first, how it was found last.

    Args:
        rows: The latents.
        table: The same as files have it.
    """
    words = [told(row) for row in rows]
    cells = dict(zip(table.columns, zip(*table.rows, strict=True), strict=True))
    columns: list[tuple[str, list[str], bool]] = [
        ("latent", [with_minus(row.words or row.name) for row in rows], False),
        ("unit", [plain_unit(row.unit) for row in rows], False),
        *((head, [cell[key] for cell in words], True) for head, key in TOLD.items() if head in cells),
    ]
    if "truth inside" in cells:
        columns.append(("inside", [number(row.inside) for row in rows], False))
    columns += [(head, _numbers(head, cells[head]), True) for head in LATENTS if head in cells]
    if "prior mean" in cells:
        columns.append(("prior ± SD", [f"{cell['prior_mean']} ± {cell['prior_sd']}" for cell in words], True))
    return _joined(columns, len(rows))


def p_value(p: float | None) -> str:
    """A p value to two digits."""
    if p is None or math.isnan(p):
        return number(None)
    return "< 0.001" if p < 0.001 else number(float(p), 2) if p < 0.1 else f"{p:.2f}"


def _joined(columns: Sequence[tuple[str, list[str], bool]], n: int) -> Shown:
    return Shown(
        columns=[head for head, *_ in columns],
        rows=[[cells[k] for _, cells, _ in columns] for k in range(n)],
        numeric=[numeric for *_, numeric in columns],
    )


def _columns(cells: dict[str, list[Any]]) -> Iterator[tuple[str, list[str], bool]]:
    """Head, cells and kind of every column, those that belong together as one."""
    named = "feature" in cells and "unit" in cells
    for head, values in cells.items():
        sd = head.removesuffix("mean") + "SD"
        if named and head == "feature":
            yield head, [label(str(f), str(u)) for f, u in zip(values, cells["unit"], strict=True)], False
        elif head.endswith("mean") and sd in cells:
            pairs = zip(values, cells[sd], strict=True)
            yield (
                head.removesuffix(" mean").removesuffix("'") + "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}SD",
                [_with_sd(mean, spread) for mean, spread in pairs],
                True,
            )
        elif head == INTERVAL[0] and set(INTERVAL) <= set(cells):
            yield head, [_interval(*ends) for ends in zip(*(cells[name] for name in INTERVAL), strict=True)], True
        elif not _told_elsewhere(head, cells, named):
            numeric = any(_is_number(v) for v in values) and all(v is None or _is_number(v) for v in values)
            yield head, _numbers(head, values), numeric


def _told_elsewhere(head: str, cells: dict[str, list[Any]], named: bool) -> bool:
    """Whether a column is part of another one, or for files alone."""
    part = head in INTERVAL[1:] and INTERVAL[0] in cells
    spread = head.endswith("SD") and head.removesuffix("SD") + "mean" in cells
    return head == "identifier" or (named and head == "unit") or part or spread


def _with_sd(mean: float | None, sd: float | None) -> str:
    """``12.4 ± 1.3``; a mean alone where there is no SD."""
    said = to_sd(mean, sd)
    return said if _unknown(sd) else f"{said} ± {to_sd(sd, sd)}"


def _interval(value: float | None, low: float | None, high: float | None) -> str:
    """``0.91 (0.70 to 1.20)``."""
    if _unknown(value) or _unknown(low):
        return number(value, 2)
    return f"{number(value, 2)} ({number(low, 2)} to {number(high, 2)})"


def _numbers(head: str, values: Sequence[Any]) -> list[str]:
    places = {"R-hat": 3, **dict.fromkeys(SHARES, 2)}.get(head)
    if places is not None:
        return [number(None) if _unknown(v) else with_minus(f"{v:z.{places}f}") for v in values]
    if head == "p" or head.startswith("p "):
        return [p_value(v) for v in values]
    return [v if isinstance(v, str) else number(v) for v in values]


def _unknown(value: float | None) -> bool:
    return value is None or math.isnan(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_)
