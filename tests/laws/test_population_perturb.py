"""New models lie between their parents, depend on seed and number alone, and keep what all parents share."""

import numpy as np
import pytest

from noble_prob.errors import UsageError
from noble_prob.population.builtin import builtin_hof
from noble_prob.population.hof import parameter_table
from noble_prob.population.perturb import is_log, perturb

BASE = builtin_hof().models


def values(model):
    names, table = parameter_table([model])
    return np.array([np.log(v) if is_log(n) else v for n, v in zip(names, table[0], strict=True)])


def test_without_noise_a_model_is_a_convex_combination_of_two():
    x = values(perturb(BASE, number=7, seed=3, noise_sd=0.0))
    base = [values(m) for m in BASE]

    def gap(a, b):
        w = np.dot(x - b, a - b) / np.dot(a - b, a - b)
        return np.abs(w * a + (1 - w) * b - x).max() + max(0.0, -w, w - 1)

    assert min(gap(a, b) for i, a in enumerate(base) for b in base[:i]) < 1e-9


def test_seed_and_number_decide_alone():
    assert perturb(BASE, number=5, seed=1) == perturb(BASE, number=5, seed=1)
    drawn = {perturb(BASE, number=n, seed=s).parameters["Ra"] for n in range(5) for s in range(3)}
    assert len(drawn) == 15


def test_positive_parameters_stay_positive_and_tied_ones_tied():
    for number in range(50):
        p = perturb(BASE, number=number, seed=0, noise_sd=2.0).parameters
        assert all(v > 0 for n, v in p.items() if is_log(n))
        assert p["soma.e_pas"] == p["dend.e_pas"]
        assert p["soma.gbar_NaV"] != p["dend.gbar_NaV"]


def test_the_noise_has_the_asked_size():
    sd = np.std([values(m) for m in BASE], axis=0)
    quiet = np.array([values(perturb(BASE, number=n, seed=0, noise_sd=0.0)) for n in range(400)])
    noisy = np.array([values(perturb(BASE, number=n, seed=0, noise_sd=0.5)) for n in range(400)])
    ratio = (noisy - quiet).std(axis=0) / sd
    assert ratio == pytest.approx(np.full(len(sd), 0.5), abs=5 * 0.5 / np.sqrt(2 * 400))


def test_one_model_is_not_enough():
    with pytest.raises(UsageError, match="at least two"):
        perturb(BASE[:1], number=0, seed=0)
