"""One seed, many purposes: none shares random numbers with another, and neighbouring seeds share none either."""

import pytest
import torch

import noble_prob as nb
from noble_prob.inference.locate import prior_coordinates
from noble_prob.inference.task import Task
from noble_prob.priors import derive, stream


def test_derived_seeds_are_all_different_and_the_same_tomorrow():
    seeds = [derive(p, s, *i) for p in ("nuts", "hmc") for s in range(50) for i in ((), (0,), (1,), (1, 0), (10,))]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= s < 2**56 for s in seeds)
    assert derive("nuts", 1, 2) == 41537049618967495
    assert torch.equal(torch.rand(3, generator=stream("nuts", 1, 2)), torch.rand(3, generator=stream("nuts", 1, 2)))


def test_streams_of_neighbours_are_unrelated():
    """Correlation of 64 pairs of streams: the largest of as many by chance is some 3.5 / sqrt(4096) = 0.055."""
    x = torch.stack([torch.randn(4096, generator=stream("nuts", s, k)) for s in range(8) for k in range(8)])
    r = torch.corrcoef(x) - torch.eye(64)
    assert float(r.abs().max()) < 0.08


@pytest.fixture(scope="module")
def pair():
    """Posteriors of one recording with two neighbouring seeds."""
    cell = nb.load_cell("toy")
    settings = {"decoder": cell.decoder, "prior": cell.prior, "method": "importance", "draws": 50, "fall_back": False}
    return [nb.infer(cell.demo[0], seed=seed, **settings) for seed in (1, 2)]


def test_inference_does_not_draw_what_the_user_draws(pair):
    """The prior's replays of one seed were the neurons of the next; climbs began at the neurons of the same seed."""
    cell = nb.load_cell("toy")
    drawn = {tuple(row) for seed in range(4) for row in nb.draw(cell.prior, 400, seed=seed).value.tolist()}
    for p in pair:
        assert not drawn & {tuple(row) for row in p.prior_predictive.latents.tolist()}
    task = Task(decoder=cell.decoder, prior=cell.prior, method="hmc", chains=2, warmup=4, draws=4)
    evidence = pair[0].evidence
    density = task.density(evidence)
    _, starts = prior_coordinates(density, (), 1)
    begun = density.unpack(starts)[0]["z"]
    again = cell.prior.space.standardise(nb.draw(cell.prior, 1024, seed=1).value)
    assert float(torch.cdist(begun, again).min()) > 1e-3


def test_neighbouring_seeds_share_nothing(pair):
    first, second = ({tuple(row) for row in p.latents.flatten(0, 1).tolist()} for p in pair)
    assert len(first & second) == 0
    assert [p.seed for p in pair] == [1, 2]
