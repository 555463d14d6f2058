"""Corrected p values and simultaneous bands hold their level at any number of draws, and still see what is wrong.

False alarms: each count of rejections at a level of 5 % is held against the 99.9 % quantile of its binomial. Power: a
level of 15 % is caught in 200 recordings with probability 0.96, a band that is left by 30 % in 40 ensembles with 0.94.
"""

import numpy as np
import pytest
import torch
from scipy import stats

from noble_prob.calibration.contrast import scale
from noble_prob.calibration.coverage import coverage
from noble_prob.calibration.per_feature import sd_ratio
from noble_prob.calibration.pit import pit, rank_ecdf_band
from noble_prob.calibration.power import _scatter
from noble_prob.calibration.predictive import check_predictive
from noble_prob.calibration.scores import energy_ratio
from noble_prob.findings.registry import judge
from noble_prob.noise.forecast import BEYOND, mean_train

N = 200


def checked(rng, draws, shift=0.0, sweeps=0):
    rows = rng.standard_normal((draws + 1, 6, 8))
    rows[0, sweeps, 0] += shift
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


def test_the_whole_and_its_features_call_nine_per_cent_of_right_recordings_wrong():
    """As NP220 and NP221 say. One feature that is off by two SDs everywhere is seen by NP221 alone in a quarter.

    Of 200 right recordings 9 % are 18: fewer than 6 or more than 32 once in a thousand. Of 40 wrong ones NP221 calls
    87 %: fewer than 26 once in thousands.
    """
    rng = np.random.default_rng(21)
    codes = [{f.code for f in judge(checked(rng, 300)) if f.severity in ("issue", "caution")} for _ in range(N)]
    assert 6 <= sum(bool(found & {"NP220", "NP221"}) for found in codes) <= 32
    off = [{f.code for f in judge(checked(rng, 300, 2.0, slice(None))) if f.severity != "passed"} for _ in range(40)]
    assert sum("NP221" in found for found in off) >= 26
    assert any("NP220" not in found for found in off if "NP221" in found)


def with_gaps(rng, gaps, noise=1.0, draws=200):
    """A recording and draws of ten sweeps and four features, each cell lacking with probability one half.

    The gaps are the model's own (``all`` rows alike) or those of one side only.
    """
    rows = rng.standard_normal((draws + 1, 10, 4))
    rows[0] *= noise
    lacking = rng.random(rows.shape) < 0.5
    if gaps != "all":
        lacking[slice(1, None) if gaps == "recording" else 0] = False
    rows = np.where(lacking, np.nan, rows)
    return check_predictive(rows[0], rows[1:], names=list("abcd"), units=[""] * 4, sweeps=list("0123456789"))


@pytest.mark.parametrize("gaps", ["all", "recording", "draws"])
def test_levels_hold_where_half_of_the_cells_do_not_exist(gaps):
    """All p values where the gaps are the model's own; those of features and the whole where one side alone has them.

    Eight bounds, each broken at most once in a thousand repetitions. Sums over the recording's cells, half of which a
    draw lacks, call a misfit in 43 % of right recordings and a feature in 20 %.
    """
    rng = np.random.default_rng(11)
    most = stats.binom.ppf(0.999, N, 0.05)
    found = [with_gaps(rng, gaps) for _ in range(N)]
    assert sum(c.p_misfit <= 0.05 for c in found) <= most
    assert sum(np.nanmin(c.p_feature) <= 0.05 for c in found) <= most
    if gaps == "all":
        assert sum(np.nanmin(c.p_cell) <= 0.05 for c in found) <= most
        assert sum(c.p_misfit <= 0.5 for c in found) >= stats.binom.ppf(0.001, N, 0.5)


def test_wrong_noise_is_seen_through_gaps():
    """Power with half of the cells: 1.5 times the noise is caught in 80 % of recordings.

    Fewer than 26 of 40 are caught once in 130 repetitions.
    """
    rng = np.random.default_rng(12)
    assert sum(with_gaps(rng, "all", 1.5).p_misfit <= 0.05 for _ in range(40)) >= 26


def test_a_row_without_any_cell_is_no_misfit():
    rows = np.random.default_rng(13).standard_normal((61, 4, 3))
    rows[5:9] = np.nan
    labels = {"names": list("abc"), "units": [""] * 3, "sweeps": list("1234")}
    seen = check_predictive(rows[0], rows[1:], **labels)
    assert 0 < seen.p_misfit <= 1
    silent = check_predictive(rows[5], np.delete(rows, 5, 0), **labels)
    assert np.isnan(silent.p_misfit)
    assert silent.n_cells == 0


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
        band = coverage(pit(observed.T, ensemble.T, seed=own), observed, ensemble, own)
        left += not ((band.observed >= band.low - 1e-9) & (band.observed <= band.high + 1e-9)).all()
    assert left <= stats.binom.ppf(0.999, 40, 0.05)


def test_an_ensemble_half_as_wide_leaves_the_band():
    rng = np.random.default_rng(4)
    observed, ensemble = rng.standard_normal((20, 5)), 0.5 * rng.standard_normal((100, 5))
    band = coverage(pit(observed.T, ensemble.T, seed=rng), observed, ensemble, rng)
    assert (band.observed < band.low).any()


def test_the_range_of_the_energy_ratio_knows_how_few_rows_there_are():
    """Ten rows against ten: each end is passed in 5.5 % of right ensembles, as it says; 40 of 400 twice in 10,000.

    A range from rows drawn of the ensemble, scored against that ensemble, is passed in 40 %; one of 13 % is caught with
    probability 0.96. An ensemble shifted by two SDs in every feature passes the upper end always.
    """
    rng = np.random.default_rng(6)
    sides = np.zeros(2)
    for _ in range(400):
        ratio, low, high = energy_ratio(*rng.standard_normal((2, 10, 4)), seed=rng)
        sides += ratio < low, ratio > high
    assert (sides <= 40).all()
    far = [energy_ratio(rng.standard_normal((10, 4)) + 2.0, rng.standard_normal((10, 4)), seed=rng) for _ in range(20)]
    assert sum(ratio > high for ratio, _, high in far) >= 19


def test_one_repeat_that_falls_silent_does_not_end_the_forecast():
    full = torch.arange(1, 11, dtype=torch.float64) * 20
    mean = mean_train([full] * 9 + [full[:1]])
    assert torch.allclose(mean, torch.arange(1, 11 + BEYOND, dtype=torch.float64) * 20)


def test_the_interval_of_an_sd_ratio_holds_one_where_values_are_skewed():
    """Of 200 right ensembles 89 % intervals hold 85 % and more; where far values are held back, 74 %.

    At a true 87 % fewer than 80 % are held in 1 of 500 runs; at 74 %, 97 % of runs fall below 80 %.
    """
    rng, held = np.random.default_rng(8), 0
    for _ in range(N):
        y, x = rng.exponential(size=(50, 1)), rng.exponential(size=(2000, 1))
        scatter = _scatter(scale(x, clip=np.inf), 50, 400, rng)[:, 0]
        _, low, high = sd_ratio(float(y.std(ddof=1)), float(x.std(ddof=1)), scatter)
        held += low <= 1 <= high
    assert 0.80 <= held / N <= 0.95


def test_a_band_of_many_curves_at_once_is_left_as_often_as_it_says():
    """One latent of 21 at 99 %: 1 in 2,100 curves. Of 40,000, 19 leave it; a band of 4,000 simulated curves: 5."""
    grid, low, high = rank_ecdf_band(1000, 1 - 0.01 / 21)
    rng = np.random.default_rng(5)
    curves = [rng.multinomial(1000, np.full(len(grid), 1 / len(grid)), size=4000).cumsum(-1) / 1000 for _ in range(10)]
    left = sum(int(((c < low - 1e-12) | (c > high + 1e-12)).any(-1).sum()) for c in curves)
    assert 10 <= left <= 33  # 19 +- 3.2 standard deviations
