"""The coverage curve of an experiment in an ensemble, with the band that it has under calibration."""

from __future__ import annotations

import numpy as np
from numpy import ndarray

from noble_prob.calibration.pit import coverage_curve, envelope, pit
from noble_prob.calibration.result import Coverage

NOMINAL = np.linspace(0.0, 1.0, 41)[1:-1]
BAND_CURVES = 400


def coverage(u: ndarray, observed: ndarray, ensemble: ndarray, rng: np.random.Generator) -> Coverage | None:
    """Coverage over all features, with a band from relabelled rows; None where no value can be placed.

    Were the ensemble right, its rows and the experiment's could be exchanged: both are drawn from all rows together, so
    that the band knows how features hang together and how few draws the ensemble has.

    Args:
        u: PIT values of the experiment, shape ``(feature, row)``.
        observed: The experiment, shape ``(row, feature)``.
        ensemble: The ensemble, the same features.
        rng: Of relabellings and ties.
    """
    if not np.isfinite(u).any():
        return None
    curves, rows, n = [], np.concatenate([observed, ensemble]), len(observed)
    for _ in range(BAND_CURVES):
        mixed = rows[rng.permutation(len(rows))]
        curves.append(coverage_curve(pit(mixed[:n].T, mixed[n:].T, seed=rng).reshape(-1), NOMINAL))
    low, high = envelope(np.nan_to_num(np.stack(curves)))
    flat = u.reshape(-1)
    return Coverage(
        nominal=NOMINAL, observed=coverage_curve(flat, NOMINAL), low=low, high=high, n=int(np.isfinite(flat).sum())
    )
