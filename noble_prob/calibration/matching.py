"""Which columns of two tables are compared: those of one name; and what is said about the others.

A feature that one table gives in seconds and the other in milliseconds (``latency_s``, ``latency_ms``) is an error, for
it would drop out although both have it. One that states its unit in brackets and one that ends in it (``latency (ms)``,
``latency_ms``) are the same column. What only one table has is left out, and the result says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches

from noble_prob.calibration.table import FeatureTable
from noble_prob.errors import UsageError, require
from noble_prob.readers.text_table import factor_between, spelled, split_suffix

ALIASES = {
    "vrest": "resting_voltage",
    "v_rest": "resting_voltage",
    "rmp": "resting_voltage",
    "rin": "input_resistance",
    "r_in": "input_resistance",
    "tau": "membrane_time_constant",
    "tau_m": "membrane_time_constant",
}
"""What people call a feature whose name here is nothing like it."""
PUBLISHED = {
    "voltage_base": ("resting_voltage", "mV"),
    "sag_amplitude": ("sag", "mV"),
    "AP1_peak": ("ap1_peak", "mV"),
    "AP1_width": ("ap1_width", "ms"),
    "AHP1_depth_from_peak": ("ap1_peak_to_trough", "mV"),
}
"""Published name (after eFEL, maybe behind a sweep and a dot) to our name and unit: those that were compared on the
same models (docs/calibration.md gives the correlations). Spike counts and latencies are missing on purpose: their step
differs from cell to cell."""


def common_features(observed: FeatureTable, ensemble: FeatureTable) -> tuple[FeatureTable, FeatureTable]:
    """Both tables with the features that they share, in the order of the first.

    Raises:
        UsageError: If the axes differ, a unit differs, or nothing is shared.
    """
    require(
        observed.axis == ensemble.axis,
        "ensemble",
        f"rows that are '{observed.axis}', as in the observed table",
        f"'{ensemble.axis}'",
        "do not mix ignorance (draw), diversity (neuron) and repeats (trial)",
    )
    ensemble = aligned(ensemble, zip(observed.names, observed.units, strict=True))
    require_alike(zip(observed.names, observed.units, strict=True), zip(ensemble.names, ensemble.units, strict=True))
    shared = [name for name in observed.names if name in ensemble.names]
    require(
        bool(shared),
        "ensemble",
        f"at least one of the features {', '.join(observed.names)}",
        ", ".join(ensemble.names),
        "rename the columns alike",
    )
    a, b = observed.select(shared), ensemble.select(shared)
    for name, unit, other in zip(shared, a.units, b.units, strict=True):
        fits = not unit or not other or _equal(unit, other)
        require(fits, "ensemble", f"{name} in {unit}", other, "convert one table")
    units = tuple(unit or other for unit, other in zip(a.units, b.units, strict=True))
    return replace(a, units=units), replace(b, units=units)


def aligned(table: FeatureTable, to: Iterable[tuple[str, str]]) -> FeatureTable:
    """The table under the names of others, where only the place of the unit in the name differs.

    Args:
        table: Its columns are renamed.
        to: Name and unit of the columns that it is compared with.
    """
    theirs = dict(to)
    known = {_meaning(name, unit): name for name, unit in theirs.items() if name not in table.names}
    names = [
        name if name in theirs or not _meaning(name, unit)[1] else known.pop(_meaning(name, unit), name)
        for name, unit in zip(table.names, table.units, strict=True)
    ]
    return replace(table, names=tuple(names))


def _equal(unit: str, other: str) -> bool:
    """Whether two units are one, however they are spelled."""
    return unit == other or factor_between(spelled(unit), spelled(other)) == 1


def require_alike(first: Iterable[tuple[str, str]], second: Iterable[tuple[str, str]]) -> None:
    """Refuse columns that are the same but for the unit in their names.

    Args:
        first: Name and unit of the columns of one table.
        second: The same of the other.

    Raises:
        UsageError: If a column of the one is a column of the other in another unit, or written otherwise.
    """
    one, two = dict(first), dict(second)
    other = {_meaning(name, unit)[0]: (name, _meaning(name, unit)[1]) for name, unit in two.items() if name not in one}
    for name, unit in one.items():
        stem, ours = _meaning(name, unit)
        if name in two or stem not in other:
            continue
        theirs, measure = other[stem]
        factor = factor_between(ours, measure)
        if factor is None:
            continue
        remedy = "rename one column" if factor == 1 else f"convert one table ({ours} times {factor:g} is {measure})"
        found = f"{name!r} in the first and {theirs!r} in the second"
        raise UsageError("ensemble", "a table with the same names and units", found, remedy)


def _meaning(name: str, unit: str) -> tuple[str, str]:
    """What a column is about, and its unit: the one its name ends in, or else the one it states."""
    stem, end = split_suffix(name)
    return (stem, end) if end else (name, spelled(unit))


def nearest(name: str, offered: Iterable[str]) -> str:
    """The name that a column may have been meant as, empty if none is near.

    Args:
        name: Of the column.
        offered: Names to choose from; of two that differ in the unit at their end alone, the first.

    Example:
        >>> nearest("AP width", ["sag", "ap1_width", "ap1_width_ms"]), nearest("slice", ["sag"])
        ('ap1_width', '')
    """
    plain: dict[str, str] = {}
    for item in offered:
        plain.setdefault(split_suffix(item)[0], item)
    body = split_suffix(re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_"))[0]
    found = get_close_matches(ALIASES.get(body, body), plain, n=1, cutoff=0.7)
    return plain[found[0]] if found else ""


def left_out(observed: FeatureTable, ensemble: FeatureTable) -> dict[str, str]:
    """Columns that only one of two tables has, and which: ``observed`` or ``ensemble``."""
    ensemble = aligned(ensemble, zip(observed.names, observed.units, strict=True))
    first = {name: "observed" for name in observed.names if name not in ensemble.names}
    return first | {name: "ensemble" for name in ensemble.names if name not in observed.names}
