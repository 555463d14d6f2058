"""Over hundreds of synthetic calibrations: right ensembles are called wrong in at most 5 %, wrong spreads are caught,
and the printed power is the measured one.

What is caught by what: with 12 repeats and eight correlated features it is the joint log ratio of spreads along the
principal axes that finds an ensemble twice too wide or too narrow; one feature alone does so in some 80 %.
"""

from functools import cache

import numpy as np
import pytest
from scipy import stats

from noble_prob.calibration.power import spread_power
from noble_prob.calibration.verdict import LEVEL, fewest_relabellings, relabel_test

N_CALIBRATIONS, REPEATS, MEMBERS, FEATURES = 400, 12, 400, 8
FEWER = 100  # members where three repeats at most are judged, whose printed power is itself a thousand such tests
MIXING = np.linalg.cholesky(0.5 * np.ones((FEATURES, FEATURES)) + 0.5 * np.eye(FEATURES))


def repeats(rng, n):
    """Correlated features: counts, heavy tails, a latency that some repeats lack."""
    x = rng.standard_normal((n, FEATURES)) @ MIXING.T
    x[:, 0] = np.round(2 * x[:, 0]) + 12
    x[:, 1] *= np.sqrt(5 / rng.chisquare(5, n))
    x[:, 2] = np.where(rng.random(n) < 0.1, np.nan, x[:, 2])
    return x


def stretch(x, factor):
    """The same rows with their deviations from the mean multiplied."""
    centre = np.nanmean(x, 0)
    return centre + factor * (x - centre)


@cache
def calibrations(factor, n=REPEATS, m=MEMBERS, *, seed):
    """Tests of ensembles whose spread is off by a factor; an experiment that several claims are about is made once."""
    rng = np.random.default_rng(seed)
    return [
        relabel_test(
            repeats(rng, n), stretch(repeats(rng, m), factor), permutations=fewest_relabellings(LEVEL), seed=rng
        )
        for _ in range(N_CALIBRATIONS)
    ]


def rejections(factor, n=REPEATS, m=MEMBERS, *, seed=1):
    return np.array([t.p_value <= LEVEL for t in calibrations(factor, n, m, seed=seed)])


def at_most(share, runs):
    """Largest number of rejections that a rate of 5 % gives in 999 of 1000 repetitions of this very test."""
    return stats.binom.ppf(0.999, runs, share) / runs


def test_a_right_ensemble_is_called_wrong_in_at_most_five_per_cent():
    assert rejections(1.0, seed=0).mean() <= 0.05


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_spread_off_by_two_is_caught_with_twelve_repeats(factor):
    assert rejections(factor).mean() >= 0.9


@pytest.mark.parametrize(
    ("factor", "n", "m"),
    [(0.5, 2, FEWER), (2.0, 3, FEWER), (0.5, 12, MEMBERS), (2.0, 12, MEMBERS), (0.5, 4, 9), (2.0, 4, 9)],
)
def test_printed_power_is_the_measured_one_within_ten_points(factor, n, m):
    measured = rejections(factor, n, m).mean()
    rng = np.random.default_rng(3)
    power = [spread_power(stretch(repeats(rng, m), factor), n, seed=k) for k in range(4)]
    printed = np.mean([p.narrow if factor < 1 else p.wide for p in power])
    assert abs(printed - measured) < 0.10


def test_a_wrong_spread_is_not_mistaken_for_a_wrong_mean():
    tests = calibrations(0.5, seed=1)
    named = np.array([(np.nan_to_num(t.p_location, nan=1.0) <= 0.05).any() for t in tests])
    assert named.mean() < 0.12
    assert np.mean([t.p_question[0] <= 0.05 for t in tests]) > 0.9


def test_a_shifted_mean_is_caught():
    rng = np.random.default_rng(5)
    tests = [
        relabel_test(repeats(rng, 12) + 1.0, repeats(rng, MEMBERS), permutations=199, seed=rng) for _ in range(100)
    ]
    assert np.mean([t.p_value <= 0.05 for t in tests]) > 0.6


@pytest.mark.parametrize(("n", "m"), [(9, 9), (3, 30)])
def test_the_level_holds_for_small_tables_too(n, m):
    rng = np.random.default_rng(6)
    wrong = [
        relabel_test(repeats(rng, n), repeats(rng, m), permutations=199, seed=rng).p_value <= 0.05 for _ in range(300)
    ]
    assert np.mean(wrong) <= at_most(0.05, 300)


def test_an_ensemble_fitted_to_few_repeats_is_forgiven_its_mean():
    """Twelve fitted, twelve judged, 200 runs: 12 % are wrong if the shared error of the mean is not allowed for."""
    rng, told, not_told, wide = np.random.default_rng(4), [], [], []
    for _ in range(200):
        known, new = repeats(rng, 12)[:, 3:], repeats(rng, 12)[:, 3:]
        rows = repeats(rng, 300)[:, 3:] + known.mean(0)
        told.append(relabel_test(new, rows, permutations=199, seed=rng, fitted_to=12).p_value <= LEVEL)
        not_told.append(relabel_test(new, rows, permutations=199, seed=rng).p_value <= LEVEL)
        twice = stretch(rows, 2.0)
        wide.append(relabel_test(new, twice, permutations=199, seed=rng, fitted_to=12).p_value <= LEVEL)
    assert np.mean(told) <= at_most(0.05, 200)
    assert np.mean(not_told) > 0.07
    assert np.mean(wide) >= 0.85
