"""Repeats of several cells in one table, and slow drift apart from jitter.

Few repeats per cell are the rule, so cells are pooled. What differs between cells must go first, but deviations from a
cell's mean are not independent (those of a pair are equal and opposite). :func:`within` therefore keeps the ``k - 1``
recursive residuals of ``k`` repeats, ``(x_i - mean(x_1..x_{i-1})) sqrt((i - 1) / i)``: independent and of the right
variance if the repeats are independent and Gaussian (Helmert contrasts).

Drift makes late repeats unlike early ones; it inflates the SD over the session but not that of *successive* repeats.
Half the mean squared successive difference (von Neumann, 1941) estimates the variance of the jitter alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from noble_prob.calibration.table import FeatureTable
from noble_prob.errors import require, require_count, require_seed
from noble_prob.noise.repeats import contrasts


def within(table: FeatureTable, groups: Sequence[object]) -> FeatureTable:
    """Independent within-cell residuals of repeats of several cells, around the mean over all rows.

    Args:
        table: Rows of axis ``trial``, in order of time within each cell.
        groups: The cell (and stimulus) of each row.

    Returns:
        A table of axis ``trial`` labelled by cell; a cell's first value of a feature yields no row of it. Treat the
        ensemble in the same way, or its spread between cells would stay in.

    Raises:
        UsageError: If a row is not a repeat or the lengths differ.
    """
    require(table.axis == "trial", "table", "rows that are repeats ('trial')", f"'{table.axis}'", "pass repeats")
    keys = _keys(table, groups)
    value = np.full_like(table.value, np.nan)
    for key in np.unique(keys):
        rows = np.flatnonzero(keys == key)
        for k in range(value.shape[1]):
            defined = rows[np.isfinite(table.value[rows, k])]
            value[defined, k] = _residuals(table.value[defined, k])
    count = np.isfinite(table.value).sum(0)
    centre = np.where(count > 0, np.nansum(table.value, 0) / np.maximum(count, 1), np.nan)
    pooled = replace(table, value=value + centre, labels=tuple(keys.tolist()))
    return pooled.rows(np.isfinite(value).any(-1))


def _keys(table: FeatureTable, groups: Sequence[object]) -> ndarray:
    """The name of each row's cell."""
    require(len(groups) == len(table), "groups", f"{len(table)} names", len(groups), "name the cell of every row")
    return np.asarray([str(g) for g in groups])


def _residuals(x: ndarray) -> ndarray:
    """Recursive residuals, NaN for the first."""
    if len(x) < 2:
        return np.full(len(x), np.nan)
    return np.r_[np.nan, contrasts(torch.from_numpy(x)[:, None])[:, 0].numpy()]


@dataclass(frozen=True, kw_only=True)
class Drift:
    """Drift and jitter of each feature over a session.

    Attributes:
        names: Features.
        units: Their units.
        n: Values of each, shape ``(feature,)``.
        total_sd: SD over all repeats (unit), shape ``(feature,)``.
        jitter_sd: SD of successive repeats (unit), shape ``(feature,)``.
        drift_share: Share of the variance that is not jitter, at least 0, shape ``(feature,)``.
        p_value: That independent repeats would look as ordered (permutation test of the successive differences,
            corrected over features), shape ``(feature,)``.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    n: ndarray
    total_sd: Float[ndarray, " feature"]
    jitter_sd: Float[ndarray, " feature"]
    drift_share: Float[ndarray, " feature"]
    p_value: Float[ndarray, " feature"]


def separate_drift(
    table: FeatureTable, *, groups: Sequence[object] | None = None, permutations: int = 1999, seed: int = 0
) -> Drift:
    """Split the variance over repeats into drift and jitter.

    Args:
        table: Repeats in order of time, axis ``trial``.
        groups: The cell of each row, if there are several: order then counts within a cell only.
        permutations: Random orders of the test.
        seed: Of the orders.

    Raises:
        UsageError: If there is no row, a row is not a repeat, or the lengths differ.
    """
    require(table.axis == "trial", "table", "rows that are repeats ('trial')", f"'{table.axis}'", "pass repeats")
    require(len(table) > 0, "table", "at least one repeat", "no row", "pass the repeats of a session")
    seed = require_seed(seed)
    require_count(permutations, "permutations", "orders")
    keys = _keys(table, [""] * len(table) if groups is None else groups)
    cells = [table.value[keys == key] for key in dict.fromkeys(keys.tolist())]
    rng = np.random.default_rng(seed)
    total, jitter = _split(cells)
    shuffled = np.stack([_split([c[rng.permutation(len(c))] for c in cells])[1] for _ in range(permutations)])
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio, chance = jitter / total, shuffled / total
        spread = np.where(np.nanstd(chance, 0) > 0, np.nanstd(chance, 0), 1.0)
        z, z_chance = (ratio - np.nanmean(chance, 0)) / spread, (chance - np.nanmean(chance, 0)) / spread
    smallest = np.nan_to_num(z_chance).min(-1)
    p = (1 + (smallest[:, None] <= z + 1e-9).sum(0)) / (1 + permutations)
    return Drift(
        names=table.names,
        units=table.units,
        n=np.isfinite(table.value).sum(0),
        total_sd=np.sqrt(total),
        jitter_sd=np.sqrt(jitter),
        drift_share=np.clip(1 - jitter / np.where(total > 0, total, np.nan), 0, 1),
        p_value=np.where(np.isfinite(z), p, np.nan),
    )


def _split(cells: list[ndarray]) -> tuple[ndarray, ndarray]:
    """Variance around each cell's mean, and half the mean squared successive difference, pooled over cells."""
    square, freedom, step, steps = (np.zeros(cells[0].shape[1]) for _ in range(4))
    for rows in cells:
        count = np.isfinite(rows).sum(0)
        mean = np.where(count > 0, np.nansum(rows, 0) / np.maximum(count, 1), np.nan)
        square = square + np.nansum((rows - mean) ** 2, 0)
        freedom = freedom + np.maximum(count - 1, 0)
        difference = np.diff(rows, axis=0)
        step = step + np.nansum(difference**2, 0)
        steps = steps + np.isfinite(difference).sum(0)
    nan = np.full(cells[0].shape[1], np.nan)
    return (
        np.where(freedom > 0, square / np.maximum(freedom, 1), nan),
        np.where(steps > 0, 0.5 * step / np.maximum(steps, 1), nan),
    )
