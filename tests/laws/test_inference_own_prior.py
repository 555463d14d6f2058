"""A prior of one's own: read back with its posterior, and told where the decoder does not know its neurons."""

import pytest
import torch

import noble_prob as nb
from noble_prob.inference import to_datatree
from noble_prob.inference.belongs import prior_of_another_cell
from noble_prob.inference.restore import read_posterior


@pytest.fixture(scope="module")
def cell():
    return nb.load_cell("toy")


@pytest.fixture(scope="module")
def recording(cell):
    ensemble = nb.respond(cell.decoder, nb.draw(cell.prior, 1, seed=3), [-110.0, 100.0, 180.0])
    return nb.Recording(protocol=ensemble.protocol, voltage_mv=ensemble.voltage_mv[0])


def fitted(cell, away=0.0):
    """A Gaussian prior in a latent space of its own centre and spread, of neurons that lie so many SDs away."""
    value = nb.draw(cell.prior, 60, seed=9).value + away * cell.prior.space.sd
    space = nb.LatentSpace(name="own", latents=cell.prior.space.latents, mean=value.mean(0) + 1.0, sd=2 * value.std(0))
    return nb.fit_prior(nb.Neurons(space=space, value=value, axis="neuron"), "gaussian")


def test_a_posterior_under_a_prior_of_another_centre_and_spread_is_read_back(cell, recording, tmp_path):
    own = fitted(cell)
    found = nb.infer(recording, decoder=cell.decoder, prior=own, method="importance", seed=1)
    to_datatree(found).to_netcdf(tmp_path / "own.nc")
    again = read_posterior(tmp_path / "own.nc", decoder=cell.decoder, prior=own)
    assert again.space.name == "own"
    torch.testing.assert_close(again.standardised, found.standardised)
    assert "NP107" not in {note.code for note in found.notes}


def test_a_prior_of_neurons_that_the_decoder_does_not_know_is_said_to_be(cell, recording):
    found = nb.infer(recording, decoder=cell.decoder, prior=fitted(cell, away=10.0), method="importance", seed=1)
    (note,) = [n for n in found.notes if n.code == "NP107"]
    assert note.severity == "issue"
    assert "60 of the 60 neurons" in note.sentence
    assert note in nb.judge(found)


def test_shipped_cells_know_their_own_prior_and_one_the_other_does_not():
    pvalb, vip = (nb.load_cell(name) for name in ("pvalb-689331391", "vip-650077366"))
    assert prior_of_another_cell(pvalb.decoder, pvalb.prior) is None
    assert prior_of_another_cell(vip.decoder, vip.prior) is None
    assert prior_of_another_cell(pvalb.decoder, vip.prior) is not None
