"""Weights that fail get a second attempt with more draws before chains, unless a number of draws was asked for."""

import pytest

from noble_prob.cells import load_cell
from noble_prob.inference import infer, instead


@pytest.fixture
def inferred(monkeypatch):
    """A weighted posterior of the toy, whose weights count as failed below a limit."""
    cell = load_cell("toy")

    def run(limit, **settings):
        monkeypatch.setattr(instead, "BELIEVABLE", limit)
        recording = cell.demo[0].select([0, 2])
        return infer(recording, decoder=cell.decoder, prior=cell.prior, method="importance", seed=1, **settings)

    return run


def test_weights_that_fail_get_four_times_the_draws(inferred):
    usual = inferred(0.7, fall_back=False)
    more = inferred(-10.0, fall_back=False)
    assert more.latents[..., 0].numel() == instead.MORE * usual.latents[..., 0].numel()
    assert more.provenance["draws"] * more.provenance["chains"] == more.latents[..., 0].numel()
    assert (more.mean() - usual.mean()).abs().max() < 0.5 * usual.covariance().diagonal().sqrt().max()


def test_draws_that_were_asked_for_stay_as_many(inferred):
    asked = inferred(-10.0, fall_back=False, draws=60)
    assert asked.latents[..., 0].numel() == 4 * 60


def test_chains_come_after_the_second_attempt(inferred):
    chains = inferred(-10.0, warmup=None)
    assert chains.method == "nuts"
    assert chains.provenance["asked"] == "importance"
