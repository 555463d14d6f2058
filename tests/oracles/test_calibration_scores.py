"""Scores, distances and intervals against slow, obviously right or foreign implementations."""

import itertools

import numpy as np
import pytest
import scoringrules
from scipy import stats

from noble_prob.calibration.compare import calibrate_repeats
from noble_prob.calibration.per_feature import sd_ratio
from noble_prob.calibration.power import spread_power
from noble_prob.calibration.scores import crps, energy_ratio, self_crps
from noble_prob.calibration.spike_trains import TAU_MS, distances
from noble_prob.calibration.table import FeatureTable
from noble_prob.calibration.verdict import relabel_test


def test_crps_is_that_of_scoringrules():
    rng = np.random.default_rng(0)
    y, x = rng.normal(size=(3, 9)), np.round(rng.normal(size=40), 1)  # with ties
    theirs = scoringrules.crps_ensemble(y, np.broadcast_to(x, (3, 9, 40)), estimator="fair").mean(-1)
    np.testing.assert_allclose(crps(y, x), theirs, atol=1e-12)
    y[0, :3], x[5] = np.nan, np.nan
    np.testing.assert_allclose(crps(y, x)[0], crps(y[0, 3:], x))


def test_crps_of_an_experiment_against_itself_is_leave_one_out():
    y = np.random.default_rng(1).normal(size=7)
    one_by_one = [crps(y[k : k + 1], np.delete(y, k)) for k in range(7)]
    assert float(self_crps(y)) == pytest.approx(np.mean(one_by_one))


def test_both_ratios_are_the_foreign_scores_over_leave_one_out():
    """Of a comparison as a whole: CRPS per feature, energy score over features in SDs of all rows."""
    rng = np.random.default_rng(8)
    y, x = rng.normal(size=(9, 3)), rng.normal(0.3, 1.4, size=(60, 3))
    names = ("a", "b", "c")
    observed, ensemble = (FeatureTable(names=names, units=("",) * 3, value=v, axis="trial") for v in (y, x))
    found = calibrate_repeats(observed, ensemble, permutations=299)
    leave = [np.delete(np.arange(9), k) for k in range(9)]
    for k, name in enumerate(names):
        theirs = scoringrules.crps_ensemble(y[:, k], np.broadcast_to(x[:, k], (9, 60)), estimator="fair").mean()
        others = np.stack([y[rest, k] for rest in leave])
        own = scoringrules.crps_ensemble(y[:, k], others, estimator="fair").mean()
        assert found[name].crps_ratio == pytest.approx(theirs / own)
    unit = np.concatenate([y, x]).std(0)
    y, x = y / unit, x / unit
    whole = fair_energy(y, np.broadcast_to(x, (9, 60, 3)))
    assert found.energy_ratio == pytest.approx(whole / fair_energy(y, np.stack([y[rest] for rest in leave])))
    assert found.energy_ratio_low < 1 < found.energy_ratio_high


def fair_energy(y, members):
    """Mean energy score over observations, each with members of its own, fair where scoringrules' is not."""
    m = members.shape[1]
    pairs = np.linalg.norm(members[:, :, None] - members[:, None], axis=-1).sum((1, 2))
    return (scoringrules.es_ensemble(y, members) - 0.5 * pairs * (1 / (m * (m - 1)) - 1 / m**2)).mean()


def test_energy_ratio_of_a_huge_ensemble_takes_evenly_spaced_rows():
    """Rows in order of their value: the first ones would be the smallest."""
    y = np.random.default_rng(9).normal(size=(30, 1))
    x = np.sort(np.random.default_rng(10).normal(size=(1999, 1)), axis=0)
    assert energy_ratio(y, x)[0] == pytest.approx(energy_ratio(y, x[::4])[0], rel=0.01)
    assert energy_ratio(y, x)[0] < 1.2


def test_van_rossum_is_the_norm_of_the_filtered_difference():
    a, b, tau, dt = np.array([5.0, 21.0, 30.0]), np.array([7.0, 33.5]), TAU_MS, 0.001
    t = np.arange(0, 300, dt)

    def filtered(train):
        return sum(np.where(t >= s, np.exp(-(t - s) / tau), 0.0) for s in train)

    squared = 2 / tau * ((filtered(a) - filtered(b)) ** 2).sum() * dt
    assert distances([a], [a, b]).tolist() == [pytest.approx([0, np.sqrt(squared)], rel=1e-3, abs=1e-6)]
    assert distances([1000 * a], [np.empty(0)]).tolist() == [[pytest.approx(np.sqrt(3))]]


def test_a_table_of_distances_is_that_of_its_pairs_and_a_metric():
    rng = np.random.default_rng(4)
    trains = [np.sort(rng.uniform(0, 1000, rng.integers(0, 30))) for _ in range(8)]
    d = distances(trains, trains)
    np.testing.assert_allclose(d, d.T, atol=1e-6)
    assert (d[:, None, :] <= d[:, :, None] + d[None].transpose(0, 2, 1) + 1e-6).all()
    one_by_one = [[distances([s], [t]).item() for t in trains] for s in trains]
    np.testing.assert_allclose(d, one_by_one, atol=1e-6)


def test_interval_of_the_sd_ratio_is_the_chi_squared_one_for_gaussians():
    n, x = 12, np.random.default_rng(5).standard_normal((2000, 1))
    ratio, low, high = sd_ratio(1.0, 1.0, spread_power(x, n, simulations=3000, seed=1).log_ratio[:, 0])
    exact = np.sqrt(stats.chi2.ppf([0.055, 0.945], n - 1) / (n - 1))
    assert ratio == 1.0
    np.testing.assert_allclose([low, high], exact, rtol=0.05)


def test_power_of_a_single_gaussian_feature_is_near_the_one_of_the_f_test():
    n, x = 12, np.random.default_rng(6).standard_normal((2000, 1))
    power = spread_power(x, n, simulations=4000, seed=1)
    edges = stats.chi2.ppf([0.025, 0.975], n - 1)
    narrow = stats.chi2.sf(edges[1] / 4, n - 1) + stats.chi2.cdf(edges[0] / 4, n - 1)
    wide = stats.chi2.sf(edges[1] * 4, n - 1) + stats.chi2.cdf(edges[0] * 4, n - 1)
    assert float(power.feature_narrow[0]) == pytest.approx(narrow, abs=0.08)
    assert float(power.feature_wide[0]) == pytest.approx(wide, abs=0.12)


def test_relabelling_is_exact_where_all_relabellings_can_be_listed():
    x = np.random.default_rng(7).standard_normal((7, 2))
    p = relabel_test(x[:3], x[3:], permutations=20000, seed=0).p_value
    every = []
    for chosen in itertools.combinations(range(7), 3):
        rest = [k for k in range(7) if k not in chosen]
        every.append(relabel_test(x[list(chosen)], x[rest], permutations=3000, seed=1).p_value)
    # the p value of a labelling is the share of labellings at most as probable: its rank among all 35
    assert p == pytest.approx(np.mean(np.array(every) <= every[0] + 0.01), abs=0.06)
