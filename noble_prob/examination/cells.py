"""A table of measured cells against a prior ensemble: are novel neurons as diverse as cells of the type?

The ensemble's columns are its latents (by their names and units) and the features of its responses to one step (names
of :mod:`noble_prob.features`); those that the table shares are compared. Voltages are rendered only if they are needed.
"""

from __future__ import annotations

import numpy as np

from noble_prob.calibration import Calibration, FeatureTable, calibrate_population
from noble_prob.cells import Cell
from noble_prob.ensemble import draw, respond
from noble_prob.errors import require
from noble_prob.features import FEATURES, measure

NEURONS, CURRENT_PA = 400, 180.0


def examine_population(
    table: FeatureTable,
    cell: Cell,
    *,
    current_pa: float = CURRENT_PA,
    neurons: int = NEURONS,
    seed: int = 0,
    progress: bool = False,
    device: str | None = None,
) -> Calibration:
    """Compare measured cells with novel neurons.

    Args:
        table: One row per measured cell, axis ``neuron``.
        cell: Whose prior is judged.
        current_pa: Step at which the table's features were measured (pA).
        neurons: Size of the ensemble.
        seed: Of the ensemble and of the comparison.
        progress: Show a bar on stderr.
        device: Where the cell's decoder lives.

    Raises:
        UsageError: If the table shares no column with the ensemble, or the current is out of range.
    """
    cell.require_current(current_pa)
    latents = cell.prior.space.names
    wanted = tuple(name for name in table.names if name in FEATURES and name not in latents)
    shared = [name for name in table.names if name in (*FEATURES, *latents)]
    require(bool(shared), "population", f"a table with a latent ({', '.join(latents)}) or a feature of "
            "docs/features.md", f"the columns {', '.join(table.names[:6])}", "rename its columns")  # fmt: skip
    novel = draw(cell.prior, neurons, seed=seed)
    names, units, columns = list(novel.space.names), list(novel.space.units), [novel.value.numpy()]
    if wanted:
        found = measure(respond(cell.decoder, novel, [current_pa], device=device, progress=progress), names=wanted)
        names += found.names
        units += ["" if unit == "1" else unit for unit in found.units]
        columns.append(found.value[:, 0].double().numpy())
    ensemble = FeatureTable(names=tuple(names), units=tuple(units), value=np.concatenate(columns, -1), axis="neuron",
                            source=f"novel neurons of {cell.name}")  # fmt: skip
    return calibrate_population(table.select(shared), ensemble, seed=seed)
