"""Wrong use is told in one sentence that names the argument, before any work, by every verb."""

import copy
import json
import pickle
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import noble_prob as nb
from noble_prob.calibration import separate_drift
from noble_prob.calibration.sbc import sbc
from noble_prob.calibration.trials import fit_trials
from noble_prob.errors import UsageError
from noble_prob.inference import Population, Posterior, to_datatree
from noble_prob.inference.task import Task
from noble_prob.noise.repeats import SpikeRepeats
from noble_prob.population.stimuli import OUNoise
from noble_prob.priors import HyperPrior, Prior
from noble_prob.runs.infer_many import Settings
from noble_prob.sampling import sample_ensemble


@pytest.mark.parametrize("again", [lambda e: pickle.loads(pickle.dumps(e)), copy.deepcopy, copy.copy])
def test_the_sentence_travels_between_processes(again):
    error = UsageError("dt_ms", "a positive number", -1, "pass the sampling interval in ms")
    other = again(error)
    assert type(other) is UsageError
    assert str(other) == str(error)
    assert (other.parameter, other.found) == ("dt_ms", "-1")


def table(n=12, axis="neuron", seed=0):
    value = np.random.default_rng(seed).normal(size=(n, 2))
    return nb.FeatureTable(names=("a_mv", "b_mv"), units=("mV", "mV"), value=value, axis=axis)


@pytest.fixture(scope="module")
def toy():
    return nb.load_cell("toy")


SEEDED = {
    "draw": lambda cell, seed: nb.draw(cell.prior, 3, seed=seed),
    "fit_prior": lambda cell, seed: nb.fit_prior(cell.models, "gaussian", seed=seed),
    "infer": lambda cell, seed: nb.infer(cell.demo[0], decoder=cell.decoder, prior=cell.prior, seed=seed),
    "infer_population": lambda cell, seed: nb.infer_population([], prior=cell.prior, seed=seed),
    "examine": lambda cell, seed: nb.examine(cell.demo[0], cell, seed=seed),
    "calibrate_population": lambda cell, seed: nb.calibrate_population(table(), table(seed=1), seed=seed),
    "calibrate_repeats": lambda cell, seed: nb.calibrate_repeats(table(axis="trial"), table(axis="trial"), seed=seed),
    "compare_experiments": lambda cell, seed: nb.compare_experiments(table(), table(seed=1), seed=seed),
    "separate_drift": lambda cell, seed: separate_drift(table(axis="trial"), seed=seed),
    "sbc": lambda cell, seed: sbc(Task(decoder=cell.decoder, prior=cell.prior), cell.steps(), 20, seed=seed),
    "fit_trials": lambda cell, seed: fit_trials(
        SpikeRepeats(times_ms=[[torch.ones(1), torch.ones(1)]], end_ms=[1.0], cell=["0"], current_pa=[1.0]), seed=seed
    ),
    "sample_ensemble": lambda cell, seed: sample_ensemble(cell, draws=2, current_pa=100.0, seed=seed),
}


@pytest.mark.parametrize("seed", [-1, 2**63, 1.0, "1", None, True])
@pytest.mark.parametrize("verb", SEEDED)
def test_what_is_no_seed_is_refused(toy, verb, seed):
    with pytest.raises(UsageError, match=r"^`seed` should be a whole number"):
        SEEDED[verb](toy, seed)


def test_whole_numbers_of_numpy_are_seeds(toy):
    assert torch.equal(nb.draw(toy.prior, 3, seed=np.int64(5)).value, nb.draw(toy.prior, 3, seed=5).value)
    nb.draw(toy.prior, 1, seed=2**63 - 1)


@pytest.mark.parametrize("kind", ["student", "mixture"])
def test_seeds_of_numpy_are_fitted_with_and_saved(toy, tmp_path, kind):
    prior = nb.fit_prior(toy.models, kind, seed=np.int64(3))
    prior.save(tmp_path)
    assert Prior.load(tmp_path).provenance["seed"] == 3
    assert json.loads(json.dumps(dict(nb.draw(prior, 1, seed=np.int32(3)).provenance)))["seed"] == 3


@pytest.mark.parametrize("method", ["importance", "hmc"])
def test_seeds_of_numpy_are_inferred_with_and_stored(toy, tmp_path, method):
    settings = {"method": method, "draws": 8, "warmup": 8 if method == "hmc" else None, "chains": 2}
    first, second = (
        nb.infer(toy.demo[0], decoder=toy.decoder, prior=toy.prior, seed=seed, **settings) for seed in (np.int64(3), 3)
    )
    assert torch.equal(first.latents, second.latents)
    assert type(first.seed) is int
    to_datatree(first).to_netcdf(tmp_path / "posterior.nc")


@pytest.mark.parametrize(
    "made", [lambda seed: OUNoise(sd_pa=1.0, seed=seed), lambda seed: Settings(cell="toy", seed=seed)]
)
def test_settings_keep_a_seed_of_numpy_as_pythons(made):
    assert type(made(np.int64(3)).seed) is int


@pytest.mark.parametrize("n", [0, -5, 2.5, "3", True])
def test_counts_are_whole_and_positive(toy, n):
    with pytest.raises(UsageError, match=r"^`n` should be a whole number of neurons"):
        nb.draw(toy.prior, n, seed=0)
    with pytest.raises(UsageError, match=r"^`permutations` should be a whole number"):
        nb.calibrate_population(table(), table(seed=1), permutations=n)
    with pytest.raises(UsageError, match=r"^`permutations` should be a whole number"):
        separate_drift(table(axis="trial"), permutations=n)
    with pytest.raises(UsageError, match=r"^`chains` should be a whole number"):
        nb.infer(toy.demo[0], decoder=toy.decoder, prior=toy.prior, chains=n)


def test_a_concentration_is_positive(toy):
    with pytest.raises(UsageError, match=r"^`eta` should be positive"):
        nb.fit_prior(toy.models, eta=-1.0)


@pytest.mark.parametrize("device", ["xyz", "cuda:99", "meta", None])
def test_a_device_that_is_not_there_is_refused(toy, device):
    with pytest.raises(UsageError, match=r"^`device` should be"):
        nb.infer(toy.demo[0], decoder=toy.decoder, prior=toy.prior, device=device)
    with pytest.raises(UsageError, match=r"^`device` should be"):
        nb.examine(toy.demo[0], toy, device=device)


@pytest.mark.parametrize(
    ("argument", "wrong"),
    [
        ("recordings", "cell.abf"),
        ("recordings", Path("cell.abf")),
        ("recordings", torch.zeros(2, 9)),
        ("recordings", ["cell.abf"]),
        ("decoder", "cell"),
        ("prior", "cell"),
    ],
)
def test_infer_says_what_it_takes(toy, argument, wrong):
    given = {"recordings": toy.demo[0], "decoder": toy.decoder, "prior": toy.prior}
    given[argument] = toy if wrong == "cell" else wrong
    with pytest.raises(UsageError, match=f"^`{argument}` should be a "):
        nb.infer(given.pop("recordings"), **given)


def test_no_recordings_give_no_posteriors(toy):
    assert nb.infer([], decoder=toy.decoder, prior=toy.prior) == []


def test_a_truth_of_other_latents_is_refused(toy):
    with pytest.raises(UsageError, match=r"^`truth` should be latents of the cell .* found foo"):
        nb.examine(toy.demo[0], toy, truth={"foo": 1.0})


def test_examine_infers_with_the_cells_own_estimator(toy, monkeypatch):
    class SeenError(Exception):
        pass

    def infer(recording, **settings):
        raise SeenError(settings["estimator"])

    monkeypatch.setattr("noble_prob.examination.one.infer", infer)
    with pytest.raises(SeenError, match="own"):
        nb.examine(toy.demo[0], replace(toy, estimator="own"), method="npe")
    with pytest.raises(SeenError, match="other"):
        nb.examine(toy.demo[0], replace(toy, estimator="own"), method="npe", estimator="other")


@pytest.fixture(scope="module")
def population(toy):
    space, corr = toy.prior.space, torch.eye(5, dtype=torch.float64).expand(2, 30, 5, 5)
    loc = torch.randn(2, 30, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return Population(
        space=space,
        loc=loc,
        sd=torch.ones_like(loc),
        correlation=corr,
        weights=None,
        stats={},
        neurons=(),
        labels=(),
        k_hat=0.1,
        k_hat_each=torch.zeros(0),
        hyper=HyperPrior(),
        seed=3,
        wall_s=1.0,
    )


@pytest.mark.parametrize("mass", [89, -1, 0, 1, float("nan"), "0.89", None])
def test_an_interval_holds_a_probability(population, mass):
    for interval in (population.interval, partial(Posterior.interval, None)):
        with pytest.raises(UsageError, match=r"^`mass` should be between 0 and 1"):
            interval(mass)


def test_a_population_draws_some_neurons(population):
    for n in (0, 2.5):
        with pytest.raises(UsageError, match=r"^`n` should be a whole number of neurons"):
            population.draw(n, seed=0)
    with pytest.raises(UsageError, match=r"^`seed` should be"):
        population.draw(1, seed=-1)


@pytest.mark.parametrize(
    ("weight", "match"),
    [
        ([1e308, 1e308], "of a finite sum; found a largest of 1e"),
        ([0.0, 0.0], "not all zero"),
        ([1.0, float("inf")], "finite"),
    ],
)
def test_weights_can_be_normalised(toy, weight, match):
    value = toy.models.value[:2]
    with pytest.raises(UsageError, match=f"^`weight` should be .*{match}"):
        nb.Neurons(space=toy.models.space, value=value, axis="neuron", weight=weight)
    assert nb.Neurons(space=toy.models.space, value=value[:0], axis="neuron").weights.shape == (0,)


def test_drift_is_that_of_repeats_each_of_a_named_cell():
    with pytest.raises(UsageError, match="`table` should be at least one repeat"):
        separate_drift(table(0, "trial"))
    for groups in ([], ["a"] * 11, ["a"] * 13):
        with pytest.raises(UsageError, match=f"`groups` should be 12 names; found {len(groups)}"):
            separate_drift(table(axis="trial"), groups=groups)
