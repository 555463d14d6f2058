"""Corrected p values and simultaneous bands hold their level at any number of draws, and still see what is wrong.

False alarms: each count of rejections at a level of 5 % is held against the 99.9 % quantile of its binomial. Power: a
level of 15 % is caught in 200 recordings with probability 0.96, a band that is left by 30 % in 40 ensembles with 0.94.
"""

import numpy as np
import pytest
import torch
from scipy import stats

from noble_prob.calibration.compare import _coverage
from noble_prob.calibration.pit import pit
from noble_prob.calibration.predictive import check_predictive
from noble_prob.noise.forecast import BEYOND, mean_train

N = 200


def checked(rng, draws, shift=0.0):
    rows = rng.standard_normal((draws + 1, 6, 8))
    rows[0, 0, 0] += shift
    names = [f"f{k}" for k in range(8)]
    return check_predictive(rows[0], rows[1:], names=names, units=[""] * 8, sweeps=[str(k) for k in range(6)])


@pytest.mark.parametrize("draws", [20, 100])
def test_p_values_corrected_over_features_and_cells_hold_their_level(draws):
    rng = np.random.default_rng(draws)
    most = stats.binom.ppf(0.999, N, 0.05)
    found = [checked(rng, draws) for _ in range(N)]
    assert sum(np.nanmin(c.p_feature) <= 0.05 for c in found) <= most
    assert sum(np.nanmin(c.p_cell) <= 0.05 for c in found) <= most
    assert sum(c.p_misfit <= 0.05 for c in found) <= most


def test_one_value_far_outside_is_seen():
    """Power: eight SDs in one of 48 cells, in each of twenty recordings."""
    rng = np.random.default_rng(5)
    for _ in range(20):
        seen = checked(rng, 400, shift=8.0)
        assert seen.p_cell[0, 0] <= 0.01
        assert np.nanargmin(seen.p_feature) == 0


def test_a_right_ensemble_of_few_draws_stays_inside_the_band():
    rng = np.random.default_rng(3)
    left = 0
    for k in range(40):
        observed, ensemble = rng.standard_normal((10, 5)), rng.standard_normal((10, 5))
        own = np.random.default_rng(k)
        band = _coverage(pit(observed.T, ensemble.T, seed=own), observed, ensemble, own)
        left += not ((band.observed >= band.low - 1e-9) & (band.observed <= band.high + 1e-9)).all()
    assert left <= stats.binom.ppf(0.999, 40, 0.05)


def test_an_ensemble_half_as_wide_leaves_the_band():
    rng = np.random.default_rng(4)
    observed, ensemble = rng.standard_normal((20, 5)), 0.5 * rng.standard_normal((100, 5))
    band = _coverage(pit(observed.T, ensemble.T, seed=rng), observed, ensemble, rng)
    assert (band.observed < band.low).any()


def test_one_repeat_that_falls_silent_does_not_end_the_forecast():
    full = torch.arange(1, 11, dtype=torch.float64) * 20
    mean = mean_train([full] * 9 + [full[:1]])
    assert torch.allclose(mean, torch.arange(1, 11 + BEYOND, dtype=torch.float64) * 20)
