"""Posterior predictive check of one recording: would the posterior's neurons have produced these sweeps?

A recording is a single row with one value per sweep and feature, so no spread over repeats can be judged; what can
be judged is whether the row would be a remarkable one among the predictive draws. Recording and draws are compared
with all of them together, each in the same way, which makes the reference distribution of every statistic, with all
correlations between sweeps and features:

cell        deviation of one feature of one sweep from the median, in robust SDs; maxT over all cells;
feature     mean over sweeps of their squares (its cube root, which is nearly normal); maxT over features;
recording   the same mean over everything.

Cells may be undefined (a latency without spike). Every row, the recording or a draw, is then judged on the cells that
it has itself: its mean square is standardised by those of all rows *on these very cells*. What is a function of a row
and of the set of all rows is exchangeable if rows are, gaps included, so the p values stay exact; and a recording whose
gaps are not of the model's making (a sweep cut short) is still held against the same cells of the draws. A cell that
the recording has and hardly any row does (a share ``alpha`` at most) is not judged: that is a misfit of its own.

Limit: a posterior that has seen these sweeps leans towards them, so that p values lean towards one half (Gelman et al.,
2013): a misfit is believable, a pass is a weak one. Sweeps that were held back (``seen=False``) have not this limit.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from noble_prob.calibration.pit import pit
from noble_prob.errors import require, require_seed

CLIP = 10.0
"""Robust SDs at which a deviation is cut, so that one cell can not hide the others."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PredictiveCheck:
    """A recording among its predictive draws.

    Attributes:
        names: Features.
        units: Their units.
        sweeps: Label of each sweep, for example ``"+180 pA"``.
        observed: Shape ``(sweep, feature)``.
        draws: Predictive draws, shape ``(draw, sweep, feature)``.
        pit: Shape ``(sweep, feature)``, NaN where not judged.
        deviation: (observed - predictive median) / robust SD, shape ``(sweep, feature)``.
        share_defined: Share of draws in which the value exists, shape ``(sweep, feature)``.
        p_cell: Corrected over all cells, shape ``(sweep, feature)``.
        p_feature: Corrected over features, shape ``(feature,)``.
        p_misfit: Of the whole recording being this far from its predictions.
        missing: Share of cells that exist in the recording but hardly in the draws.
        alpha: Level of each of the three.
        seen: Whether the posterior has seen these sweeps.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    sweeps: tuple[str, ...]
    observed: Float[ndarray, "sweep feature"]
    draws: Float[ndarray, "draw sweep feature"]
    pit: Float[ndarray, "sweep feature"]
    deviation: Float[ndarray, "sweep feature"]
    share_defined: Float[ndarray, "sweep feature"]
    p_cell: Float[ndarray, "sweep feature"]
    p_feature: Float[ndarray, " feature"]
    p_misfit: float
    missing: float
    alpha: float = 0.05
    seen: bool = True

    def __repr__(self) -> str:
        """One line for people."""
        return (
            f"PredictiveCheck(draws {len(self.draws)}, sweeps {len(self.sweeps)}, features {len(self.names)}, "
            f"values judged {self.n_cells}; p of misfit {self.p_misfit:.3g})"
        )

    @property
    def n_cells(self) -> int:
        """Number of values that were judged."""
        return int(np.isfinite(self.pit).sum())

    def band(self, probability: float) -> tuple[ndarray, ndarray]:
        """Ends of the central predictive interval of every cell, NaN where no draw has the feature.

        Args:
            probability: Of the interval; 0 gives the median twice.

        Returns:
            Lower and upper end, each of shape ``(sweep, feature)``.
        """
        tail = (1 - probability) / 2
        ends = np.full((2, *self.observed.shape), np.nan)
        some = self.share_defined > 0
        ends[:, some] = np.nanquantile(self.draws[:, some], [tail, 1 - tail], axis=0)
        return ends[0], ends[1]

    def coverage(self, probability: float) -> float:
        """Share of judged cells in the central predictive interval; NaN where none was judged."""
        u = self.pit[np.isfinite(self.pit)]
        return float((np.abs(2 * u - 1) <= probability).mean()) if len(u) else float("nan")


def check_predictive(
    observed: Float[ndarray, "sweep feature"],
    draws: Float[ndarray, "draw sweep feature"],
    *,
    names: Sequence[str],
    units: Sequence[str],
    sweeps: Sequence[str],
    alpha: float = 0.05,
    seed: int = 0,
    seen: bool = True,
) -> PredictiveCheck:
    """Compare a recording's features with their predictive draws.

    Args:
        observed: Features of every sweep, NaN where undefined.
        draws: The same of every predictive draw.
        names: Feature names.
        units: Their units.
        sweeps: Label of each sweep.
        alpha: Level of a misfit.
        seed: Of ties.
        seen: Whether the posterior has seen the recording.

    Raises:
        UsageError: If the shapes do not fit or there are fewer than 20 draws.
    """
    shape = (len(sweeps), len(names))
    _require_draws(observed, draws, shape)
    seed = require_seed(seed)
    rng = np.random.default_rng(seed)
    rows, exists = np.concatenate([observed[None], draws]), np.isfinite(observed)
    usual = np.isfinite(rows).mean(0) > max(alpha, 3 / len(draws))  # asked of all rows: it must not single out one
    judged = exists & usual
    u = np.where(judged, pit(observed[..., None], np.moveaxis(draws, 0, -1), seed=rng)[..., 0], np.nan)
    z = _deviations(rows, usual)
    feature = np.stack([_on_own_cells(z[..., k] ** 2) for k in range(shape[1])], -1)
    total = _on_own_cells(z.reshape(len(z), -1) ** 2)
    return PredictiveCheck(
        names=tuple(names),
        units=tuple(units),
        sweeps=tuple(sweeps),
        observed=observed,
        draws=draws,
        pit=u,
        deviation=z[0],
        share_defined=np.isfinite(draws).mean(0),
        p_cell=np.where(judged, _corrected(np.abs(z)), np.nan),
        p_feature=np.where(judged.any(0), _corrected(feature), np.nan),
        p_misfit=_above(total) if judged.any() else float("nan"),
        missing=float((exists & ~judged).sum() / max(exists.sum(), 1)),
        alpha=alpha,
        seen=seen,
    )


def _require_draws(observed: ndarray, draws: ndarray, shape: tuple[int, int]) -> None:
    """Refuse draws of other sweeps or features than the recording's, and too few of them."""
    require(
        observed.shape == shape and draws.shape[1:] == shape,
        "draws",
        f"of shape (draw, {shape[0]}, {shape[1]})",
        draws.shape,
        "measure the same features of the same sweeps",
    )
    require(len(draws) >= 20, "draws", "at least 20 predictive draws", len(draws), "draw more")


def _deviations(rows: ndarray, judged: ndarray) -> ndarray:
    """Deviations from the median in robust SDs; the recording, row 0, is one of the rows and treated like any other."""
    with np.errstate(all="ignore"):
        filled = np.where(judged, rows, 0.0)
        centre = np.nanmedian(filled, 0)
        low, high = np.nanquantile(filled, [0.1587, 0.8413], axis=0)
        spread = np.maximum(0.5 * (high - low), 0.25 * np.nanstd(filled, axis=0))
    spread = np.where(spread > 0, spread, np.maximum(1e-9, 1e-6 * np.abs(centre)))
    return np.where(judged & np.isfinite(rows), (rows - centre) / spread, np.nan).clip(-CLIP, CLIP)


def _on_own_cells(square: Float[ndarray, "row cell"]) -> Float[ndarray, " row"]:
    """Size of every row on the cells that it has, among the sizes that all rows have there.

    The size is the cube root of the mean square; it is standardised over the rows that share a cell with this one.
    Where everything is defined it orders rows as their sums of squares do. NaN for a row without any cell.
    """
    known = np.isfinite(square)
    patterns, mine = np.unique(known, axis=0, return_inverse=True)
    own = patterns.astype(float)
    shared = own @ known.T
    size = np.cbrt(own @ np.where(known, square, 0.0).T / np.where(shared > 0, shared, np.nan))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the pattern of rows without any cell
        centre, spread = np.nanmean(size, -1, keepdims=True), np.nanstd(size, -1, keepdims=True)
    size = (size - centre) / np.where(spread > 0, spread, 1.0)
    return np.asarray(size[mine.reshape(-1), np.arange(len(square))])


def _above(value: ndarray) -> float:
    """Rank p value of the first of some exchangeable numbers: the share of all that are as large; NaN never is."""
    return float((value >= value[0] - 1e-9).mean())


def _corrected(statistic: ndarray) -> ndarray:
    """Corrected p values of row 0 over all columns (maxT of Westfall and Young 1993); NaN counts as nothing.

    Every column is standardised over all rows, the recording's among them, so that rows are exchangeable and the
    correction holds at any number of draws; ranks within columns would tie at the extremes.
    """
    flat = statistic.reshape(len(statistic), -1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # columns without any value
        spread = np.nanstd(flat, 0)
        z = (flat - np.nanmean(flat, 0)) / np.where(spread > 0, spread, 1.0)
    z = np.where(np.isfinite(z), z, -np.inf)
    p = (z.max(-1)[:, None] >= z[0] - 1e-12).mean(0)
    return p.reshape(statistic.shape[1:])
