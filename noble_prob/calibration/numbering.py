"""Columns that number the rows of a table, as spreadsheets and acquisition programs have them: they are no features."""

from __future__ import annotations

import re
from collections.abc import Container

import numpy as np

from noble_prob.calibration.matching import PUBLISHED
from noble_prob.calibration.table import FeatureTable
from noble_prob.features import FEATURES

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
