"""Recalibration to a handful of cells aims at the spread of their population, not at the smaller one of the handful."""

import numpy as np
import pytest
import torch

from noble_prob.calibration import FeatureTable, tilt
from noble_prob.decoder.toy import toy_space
from noble_prob.examination.cells import _moved
from noble_prob.latent import Neurons

CELLS, RUNS = 6, 600
TOLERANCE = 0.085
"""Of a mean of 600 variances, each of six cells: its standard error is 0.026, so a right one misses it once in a
thousand repetitions; that of SDs with ``n`` in place of ``n - 1`` (0.83) is caught with probability 0.999."""


def table(name, unit, column):
    return FeatureTable(names=(name,), units=(unit,), value=column[:, None], axis="neuron")


def test_tilted_variances_are_those_of_the_population():
    rng = np.random.default_rng(1)
    ensemble = table("rest", "mV", 1.5 * rng.standard_normal(1000))
    found = [tilt(ensemble, table("rest", "mV", rng.standard_normal(CELLS))) for _ in range(RUNS)]
    assert np.mean([f.target_sd[0] ** 2 for f in found]) == pytest.approx(1.0, abs=TOLERANCE)
    assert np.mean([f.after_sd[0] ** 2 for f in found]) == pytest.approx(1.0, abs=TOLERANCE)


def test_moved_latents_have_the_variance_of_the_population():
    rng, space = np.random.default_rng(2), toy_space()
    value = space.mean + space.sd * torch.from_numpy(np.random.default_rng(3).standard_normal((50, len(space))))
    novel, variance = Neurons(space=space, value=value, axis="neuron"), []
    for _ in range(RUNS):
        moved = _moved(novel, table(space.names[0], space.units[0], rng.standard_normal(CELLS)))
        variance.append(float(moved.value[:, 0].var(correction=0)))
    assert np.mean(variance) == pytest.approx(1.0, abs=TOLERANCE)
