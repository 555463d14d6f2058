"""A table of measured cells against a prior ensemble: are novel neurons as diverse as cells of the type?

The ensemble's columns are its latents (by their names and units), the height of its first spike, and the features of
its responses to one step (names of :mod:`noble_prob.features`); those that the table shares are compared. Voltages are
rendered only if they are needed.

Recalibration is asked for by name, never done in passing: ``tilt`` reweights the neurons, ``widen`` moves their latents
(:mod:`noble_prob.calibration.recalibrate`), and what it costs and what it leaves is part of the result.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np

from noble_prob.calibration import Calibration, FeatureTable, Recalibration, calibrate_population, tilt, widen
from noble_prob.calibration.matching import aligned, nearest, require_alike
from noble_prob.calibration.numbering import numbering, without
from noble_prob.cells import Cell
from noble_prob.ensemble import draw, respond
from noble_prob.errors import listed, require, require_seed
from noble_prob.examination.columns import rename_published, with_height
from noble_prob.examination.moved import Move, look_at_move
from noble_prob.examination.steps import impossible
from noble_prob.features import FEATURES, measure
from noble_prob.latent import Neurons

NEURONS, CURRENT_PA = 400, 180.0
Recalibrate = Literal["none", "tilt", "widen", "both"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PopulationComparison:
    """Measured cells against a prior ensemble, before and after recalibration.

    Attributes:
        before: The comparison with the prior as it is.
        weights: The reweighted prior, where it was asked for.
        moved: The neurons with moved latents, where they were asked for.
        move: How many of them can not be, or are unknown to the decoder.
        after: The comparison with them.
    """

    before: Calibration
    weights: Recalibration | None = None
    moved: Neurons | None = None
    move: Move | None = None
    after: Calibration | None = None


def examine_population(
    table: FeatureTable,
    cell: Cell,
    *,
    current_pa: float = CURRENT_PA,
    neurons: int = NEURONS,
    recalibrate: Recalibrate = "none",
    seed: int = 0,
    progress: bool = False,
    device: str | None = None,
) -> PopulationComparison:
    """Compare measured cells with novel neurons.

    Args:
        table: One row per measured cell, axis ``neuron``; published names are understood
            (:data:`noble_prob.calibration.matching.PUBLISHED`).
        cell: Whose prior is judged.
        current_pa: Step at which the table's features were measured (pA).
        neurons: Size of the ensemble.
        recalibrate: ``tilt``, ``widen`` or ``both``; ``none`` leaves the prior as it is.
        seed: Of the ensemble and of the comparison.
        progress: Show a bar on stderr.
        device: Where the cell's decoder lives.

    Raises:
        UsageError: If the table shares no column with the ensemble, or the current is out of range.
    """
    seed = require_seed(seed)
    cell.require_current(current_pa)
    offered = _offered(cell)
    whole = _named(table, offered)
    shared = [name for name in whole.names if name in offered]
    wanted = tuple(name for name in shared if name in FEATURES and name not in cell.prior.space.names)

    def ensemble(novel: Neurons, moved: str = "") -> FeatureTable:
        source = f"novel neurons of {cell.name}{moved}"
        return _features(novel, wanted, cell, current_pa, source, progress, device).select(shared)

    novel = draw(cell.prior, neurons, seed=seed)
    rows = ensemble(novel)
    absent = impossible(rows, current_pa, cell.prior.space)
    numbers = numbering(table)
    kept = [name for name in shared if name not in absent]
    _require_any(kept, absent, current_pa)

    def compare(rows: FeatureTable) -> Calibration:
        return _compared(whole, rows.select(kept), absent | numbers, tuple(offered), seed)

    rows, measured = rows.select(kept), whole.select(kept)
    weights = tilt(rows, measured.select(_matched(measured, rows))) if recalibrate in ("tilt", "both") else None
    moved = _moved(novel, measured) if recalibrate in ("widen", "both") else None
    if moved is None:
        return PopulationComparison(before=compare(rows), weights=weights)
    after = replace(compare(ensemble(moved, ", moved")), recalibrated=True)
    move = look_at_move(novel, moved, cell.decoder)
    return PopulationComparison(before=compare(rows), weights=weights, moved=moved, move=move, after=after)


def _require_any(kept: list[str], absent: dict[str, str], current_pa: float) -> None:
    """Refuse a step at which no column of the table exists; the remedy is the reasons' own."""
    require(
        bool(kept),
        "current_pa",
        "a step (pA) at which a column of the table exists",
        f"{current_pa:+g}",
        "; ".join(reason.split(": left out; ")[-1] for reason in absent.values()),
    )


def _compared(
    whole: FeatureTable, rows: FeatureTable, absent: dict[str, str], offered: tuple[str, ...], seed: int
) -> Calibration:
    """Cells against an ensemble, its headline saying in what, where that is not every column."""
    found = calibrate_population(whole, rows, seed=seed)
    alone = {name: owner for name, owner in found.left_out.items() if name not in absent}
    every = len(rows.names) == len(whole.names)
    what = "" if every else f"Compared: {listed(rows.names, 6)} ({len(rows.names)} of {len(whole.names)} columns). "
    return replace(
        found, skipped={**found.skipped, **absent}, left_out=alone, sentence=what + found.sentence, offered=offered
    )


def _offered(cell: Cell) -> dict[str, str]:
    """Columns that an ensemble of the cell can have, with their units: latents, the spike's height, features."""
    space = cell.prior.space
    height = {"ap1_peak_to_trough": "mV"} if {"ap1_peak", "ap1_trough"} <= set(space.names) else {}
    latents = dict(zip(space.names, space.units, strict=True))
    return {**latents, **height, **{f.name: f.unit for f in FEATURES.values() if f.name not in latents}}


def _named(table: FeatureTable, offered: dict[str, str]) -> FeatureTable:
    """A table under the names that the ensemble has, without numbers of its rows.

    Raises:
        UsageError: If they share no column, or one is in another unit.
    """
    named = aligned(without(table, numbering(table)), offered.items())
    require_alike(zip(named.names, named.units, strict=True), offered.items())
    named = rename_published(named)
    meant = [f"{name} ({near}?)" for name in named.names if (near := nearest(name, offered))]
    require(
        any(name in offered for name in named.names),
        "population",
        "a table with a latent or feature of the "
        f"ensemble ({listed(offered, 6)}; more in noble_prob.features.FEATURES)",
        f"the columns {listed(table.names, 6)}",
        f"rename its columns{': ' if meant else ''}{', '.join(meant)}",
    )
    return named


def _features(
    novel: Neurons,
    wanted: tuple[str, ...],
    cell: Cell,
    current_pa: float,
    source: str,
    progress: bool,
    device: str | None,
) -> FeatureTable:
    """Latents of neurons, and the features of their responses to one step that are wanted."""
    names, units, columns = list(novel.space.names), list(novel.space.units), [novel.value.numpy()]
    if wanted:
        found = measure(respond(cell.decoder, novel, [current_pa], device=device, progress=progress), names=wanted)
        names += found.names
        units += found.units
        columns.append(found.value[:, 0].double().numpy())
    return with_height(
        FeatureTable(
            names=tuple(names), units=tuple(units), value=np.concatenate(columns, -1), axis="neuron", source=source
        )
    )


def _matched(measured: FeatureTable, rows: FeatureTable) -> list[str]:
    """Features whose moments can be matched: they vary in the experiment and exist in nine of ten neurons."""
    return [
        name
        for name in measured.names
        if np.nanstd(measured.column(name)) > 0 and np.isfinite(rows.column(name)).mean() > 0.9
    ]


def _moved(novel: Neurons, measured: FeatureTable) -> Neurons:
    """Neurons whose measured latents have the cells' means and SDs."""
    columns = {name: measured.column(name) for name in measured.names if name in novel.space.names}
    if {"ap1_peak", "ap1_peak_to_trough"} <= set(measured.names) and "ap1_trough" not in columns:
        columns["ap1_trough"] = measured.column("ap1_peak") - measured.column("ap1_peak_to_trough")
    known = {name: x[np.isfinite(x)] for name, x in columns.items() if name in novel.space.names}
    known = {name: x for name, x in known.items() if len(x) > 1 and x.std() > 0}
    require(bool(known), "recalibrate", "tilt for a table without latents", "widen", "choose tilt")
    mean, sd = ({n: float(f(x)) for n, x in known.items()} for f in (np.mean, partial(np.std, ddof=1)))
    return widen(novel, mean, sd)
