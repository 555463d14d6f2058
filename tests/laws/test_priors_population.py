"""Populations of which a prior can be fitted, those of which none can, and what counts in the fit."""

import hashlib
import json
from importlib import resources

import pytest
import torch

from noble_prob.cells import load_cell
from noble_prob.errors import UsageError
from noble_prob.latent import Latent, LatentSpace, Neurons
from noble_prob.priors import fit_prior, score

KINDS = ["student", "gaussian", "mixture", "flow", "empirical"]
SHIPPED = {
    "pvalb-689331391": "be32b66dc40d96d23b828b992cbd7bcf776a43bd51db08e5875925265c8ccc21",
    "vip-650077366": "679d45a22c98496453108b040cfd0edadd72186887a70b359e3996be579f0098",
}


def space(names):
    latents = tuple(Latent(name=name, feature="sag_mv", unit="mV", current_pa=50.0) for name in names)
    one = torch.ones(len(names)).double()
    return LatentSpace(name="made_up", latents=latents, mean=0 * one, sd=one)


def cells(x, weight=None):
    return Neurons(space=space([f"x{k}" for k in range(x.shape[1])]), value=x, axis="neuron", weight=weight)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def with_sum(x):
    return torch.cat([x, x[:, :2].sum(1, keepdim=True)], 1)


def with_copy(x, factor=1.0):
    return torch.cat([x, factor * x[:, :1]], 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("x", "names"),
    [
        (with_sum(normal(50, 3)), "x0, x1, x3"),
        (with_sum(normal(50, 3).float()), "x0, x1, x3"),
        (with_copy(normal(50, 2)), "x0, x2"),
        (with_copy(normal(50, 2), -2.0), "x0, x2"),
    ],
)
def test_latents_that_give_one_another_are_refused_by_name(kind, x, names):
    """Draws would be several times too wide, or the fit would end in linear algebra."""
    with pytest.raises(UsageError, match=rf"^`neurons` should be latents none .*\({names}\); leave one out"):
        fit_prior(cells(x), kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "x",
    [
        normal(5, 8),
        normal(9, 8),
        normal(5, 3).repeat(4, 1),
        with_copy(normal(6, 8), -2.0),
        with_copy(normal(50, 2)) + 1e-3 * normal(50, 3),
    ],
)
def test_few_neurons_and_nearly_equal_latents_are_not(kind, x):
    """First and mean interval are one where a few neurons all fire twice: draws have the spread of the population."""
    drawn = fit_prior(cells(x), kind).sample_standardised(500, seed=0)
    assert ((drawn.std(0) / x.std(0)).log().abs() < 0.7).all()


@pytest.mark.parametrize("kind", KINDS)
def test_one_latent_is_enough(kind, tmp_path):
    prior = fit_prior(cells(normal(40, 1)), kind, hidden=(8,), transforms=1)
    grid = torch.linspace(-20, 20, 2001).double()[:, None]
    assert float(prior.log_prob(grid).exp().sum() * 0.02) == pytest.approx(1.0, abs=1e-3)
    assert [part.shape for part in prior.moments] == [(1,), (1, 1)]
    prior.save(tmp_path)
    assert torch.equal(type(prior).load(tmp_path).sample(3, seed=1).value, prior.sample(3, seed=1).value)


def test_weights_count_in_mean_and_spread_of_the_empirical_prior():
    """Unweighted, the kernel's covariance made draws a sixth too wide where one half of the neurons counts."""
    x = normal(60, 2)
    weight = (x[:, 0] > 0).double()
    drawn = fit_prior(cells(x, weight), "empirical").sample_standardised(20000, seed=1)
    counted = x[weight > 0]
    assert torch.allclose(drawn.std(0), counted.std(0, correction=0), rtol=0.04)
    assert torch.allclose(drawn.mean(0), counted.mean(0), atol=0.03)


def test_equal_weights_change_nothing_and_neurons_without_weight_are_none():
    x = normal(20, 2)
    plain, equal = (fit_prior(cells(x, w), "empirical").tensors for w in (None, torch.full((20,), 3.0).double()))
    assert all(torch.equal(plain[name], equal[name]) for name in plain)
    few = torch.zeros(20).double()
    few[:4] = 1
    with pytest.raises(UsageError, match="at least 5 cells with a weight; found 4"):
        fit_prior(cells(x, few), "empirical")


def test_a_prior_is_scored_on_two_neurons_of_its_own_space():
    prior = fit_prior(cells(normal(20, 2)), "gaussian")
    other = Neurons(space=space(["a", "b"]), value=normal(10, 2), axis="neuron")
    with pytest.raises(UsageError, match=r"`held_out` should be in the latent space"):
        score(prior, other)
    with pytest.raises(UsageError, match=r"`held_out` should be at least two neurons; found 1"):
        score(prior, cells(normal(1, 2)))
    with pytest.raises(UsageError, match=r"`held_out`"):
        score(prior, normal(5, 2))
    with pytest.raises(UsageError, match=r"`draws`"):
        score(prior, cells(normal(5, 2)), draws=1)


@pytest.mark.parametrize("cell", SHIPPED)
def test_the_shipped_priors_are_what_their_estimators_were_trained_with(cell):
    """The files bit by bit; the fit of today gives them again, up to the rounding of another processor."""
    file = resources.files("noble_prob") / "data" / cell / "prior" / "prior.safetensors"
    assert hashlib.sha256(file.read_bytes()).hexdigest() == SHIPPED[cell]
    assert json.loads(file.with_name("prior.json").read_text())["tensors_sha256"] == SHIPPED[cell]
    kept = load_cell(cell).prior
    again = fit_prior(load_cell(cell).models).tensors
    assert set(again) == set(kept.tensors)
    for name, tensor in again.items():
        assert torch.allclose(tensor, kept.tensors[name], atol=1e-9)
