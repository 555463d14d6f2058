"""Columns of other people's tables under the names of the latents, where both mean the same.

Published tables name features after eFEL, some with the sweep before a dot (``hyperpol.voltage_base``). Those below
were compared on the same models before they entered (docs/calibration.md gives the correlations). Spike counts and
latencies are missing on purpose: their step differs from cell to cell.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import replace

import numpy as np

from noble_prob.calibration import FeatureTable
from noble_prob.errors import require
from noble_prob.features import FEATURES

PUBLISHED = {
    "voltage_base": ("resting_voltage", "mV"),
    "sag_amplitude": ("sag", "mV"),
    "AP1_peak": ("ap1_peak", "mV"),
    "AP1_width": ("ap1_width", "ms"),
    "AHP1_depth_from_peak": ("ap1_peak_to_trough", "mV"),
}
"""Published name to our name and unit."""
BELOW_ZERO = ("resting_voltage", "resting_voltage_mv", "voltage_base", "ap1_trough", "ap1_trough_mv")
"""Potentials in mV that are tens of mV below zero in every neuron."""

IDS = (
    "cell",
    "id",
    "label",
    "neuron",
    "index",
    "idx",
    "trial",
    "sweep",
    "repeat",
    "repetition",
    "run",
    "episode",
    "trace",
    "segment",
    "file",
    "row",
    "unnamed_0",
)
"""Heads of columns that number the rows, also before ``_number``, ``_id`` and the like (``Sweep number``)."""
_BEHIND = re.compile(r"_(number|num|no|nr|id|idx|index)$")
FEWEST_NUMBERED = 5
"""Rows from which on 1, 2, 3, ... under any other name is no measurement."""
NUMBERS = "it numbers the rows"
"""Why such a column was not compared."""


def numbering(*tables: FeatureTable) -> dict[str, str]:
    """Columns of whole numbers that name the rows, and :data:`NUMBERS`: nothing if a table has no other column.

    They are those headed as :data:`IDS`, and, without a unit and under the name of no feature, consecutive numbers in
    the order of the rows. What numbers the rows of one table is no feature of the others.

    Args:
        tables: Of one row per cell or repeat.
    """
    found = {name: NUMBERS for table in tables for name in table.names if _numbers_rows(table, name)}
    return found if all(set(table.names) - set(found) for table in tables) else {}


def _numbers_rows(table: FeatureTable, name: str) -> bool:
    """Whether a column names the rows of its table."""
    column = table.column(name)
    head = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    if (column[np.isfinite(column)] % 1).any() or name in FEATURES or name.rsplit(".", 1)[-1] in PUBLISHED:
        return False
    if head in IDS or _BEHIND.sub("", head) in IDS:
        return True
    bare = not table.units[table.names.index(name)]
    return bare and len(column) >= FEWEST_NUMBERED and bool((np.diff(column) == 1).all())


def without(table: FeatureTable, names: Container[str]) -> FeatureTable:
    """The table without some columns.

    Args:
        table: Any table, one row per cell or repeat.
        names: Of columns, which it need not have.
    """
    return table.select([name for name in table.names if name not in names])


def require_measured(table: FeatureTable) -> None:
    """Refuse values that no measurement gives: potentials in volts under a name in mV.

    Args:
        table: Any table, one row per cell or repeat.

    Raises:
        UsageError: Names the column.
    """
    for name, column in zip(table.names, table.value.T, strict=True):
        known = column[np.isfinite(column)]
        if name.rsplit(".", 1)[-1] in BELOW_ZERO and len(known):
            require(
                float(np.abs(known).max()) >= 1,
                name,
                f"in mV in {table.source}",
                f"{known.min():g} to {known.max():g}",
                "multiply by 1000 if these are volts",
            )


def require_spread(table: FeatureTable) -> None:
    """Refuse a table that no prior can be moved to: means and SDs need cells that differ.

    Args:
        table: Measured cells.

    Raises:
        UsageError: If no column varies.
    """
    varied = [len(np.unique(column[np.isfinite(column)])) > 1 for column in table.value.T]
    require(
        any(varied),
        "recalibrate",
        "given with at least two cells that differ",
        f"{len(table)} in {table.source}",
        "add cells, or leave out --recalibrate",
    )


def rename_published(table: FeatureTable) -> FeatureTable:
    """The table with published names replaced by ours; of several columns of one name the first is taken.

    Args:
        table: Measured cells.
    """
    names, units = list(table.names), list(table.units)
    for k, name in enumerate(table.names):
        ours, unit = PUBLISHED.get(name.rsplit(".", 1)[-1], (None, ""))
        if ours is not None and ours not in names:
            names[k], units[k] = ours, units[k] or unit
    return replace(table, names=tuple(names), units=tuple(units))


def with_height(table: FeatureTable) -> FeatureTable:
    """The table with the height from trough to peak, where it has both ends and not the height."""
    ends = ("ap1_peak", "ap1_trough")
    if not set(ends) <= set(table.names) or "ap1_peak_to_trough" in table.names:
        return table
    height = table.column("ap1_peak") - table.column("ap1_trough")
    return replace(
        table,
        names=(*table.names, "ap1_peak_to_trough"),
        units=(*table.units, "mV"),
        value=np.column_stack([table.value, height]),
    )
