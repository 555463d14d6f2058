"""Columns of other people's tables under the names of the latents, where both mean the same; what no one measures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from noble_prob.calibration import FeatureTable
from noble_prob.calibration.matching import PUBLISHED
from noble_prob.errors import require

BELOW_ZERO = ("resting_voltage", "resting_voltage_mv", "voltage_base", "ap1_trough", "ap1_trough_mv")
"""Potentials in mV that are tens of mV below zero in every neuron."""


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
