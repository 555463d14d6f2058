"""The background current has the standard deviation and correlation time it was asked for, from its first sample."""

import numpy as np
import pytest

from noble_prob.population.stimuli import OUNoise


@pytest.fixture(scope="module")
def paths():
    noise = OUNoise(sd_pa=20.0, tau_ms=3.0, seed=4)
    return np.array([noise.draw(n=400, dt_ms=0.5, stream=(k,)) for k in range(600)])


def test_every_moment_has_the_same_spread(paths):
    """Bounds of 4.5 SDs on 400 variances and means.

    Right noise fails in at most 1 %; a variance 40 % too large is caught with probability 0.95.
    """
    z = (paths.var(axis=0) / 400 - 1) * np.sqrt(len(paths) / 2)
    assert np.abs(z).max() < 4.5
    assert np.abs(paths.mean(axis=0)).max() < 4.5 * 20 / np.sqrt(len(paths))


def test_correlation_decays_with_the_time_constant(paths):
    """SDs are 0.006 to 0.008: right noise fails in at most 2 %; a time constant of 4 ms moves the second by 0.10."""
    for lag in (1, 6, 12):
        measured = np.mean(paths[:, :-lag] * paths[:, lag:]) / 400
        assert measured == pytest.approx(np.exp(-lag * 0.5 / 3.0), abs=0.02)


def test_the_sampling_interval_does_not_change_the_law():
    """The bounds are seven SDs wide: right noise fails in less than one of a million.

    A time constant of 2 ms (0.78, not 0.85) is caught with probability 0.99.
    """
    fine = OUNoise(sd_pa=1.0, tau_ms=3.0).draw(n=60_000, dt_ms=0.05, stream=(0,))[::10]
    assert fine.std() == pytest.approx(1.0, abs=0.15)
    assert np.corrcoef(fine[:-1], fine[1:])[0, 1] == pytest.approx(np.exp(-0.5 / 3.0), abs=0.05)


def test_no_two_traces_share_their_noise_and_each_can_be_made_again(paths):
    """The largest of 1,225 correlations exceeds 0.55 in less than 1 % of right noise.

    A shared path has correlation one.
    """
    noise = OUNoise(sd_pa=20.0, tau_ms=3.0, seed=4)
    np.testing.assert_array_equal(noise.draw(n=400, dt_ms=0.5, stream=(3,)), paths[3])
    off_diagonal = np.corrcoef(paths[:50])[np.triu_indices(50, 1)]
    assert np.abs(off_diagonal).max() < 0.55
