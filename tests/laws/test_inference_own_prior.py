"""A prior of one's own: read back with its posterior, and told where the decoder does not know its neurons."""

import pytest
import torch

import noble_prob as nb
from noble_prob.errors import UsageError
from noble_prob.inference import to_datatree
from noble_prob.inference.belongs import prior_of_another_cell
from noble_prob.inference.restore import read_posterior
from noble_prob.latent import require_latents


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


@pytest.mark.parametrize("name", ["pvalb-689331391", "vip-650077366"])
def test_a_shipped_cell_knows_its_own_prior(name):
    own = nb.load_cell(name)
    assert prior_of_another_cell(own.decoder, own.prior) is None


def test_the_prior_of_the_other_shipped_cell_is_refused_with_what_differs():
    pvalb, vip = (nb.load_cell(name) for name in ("pvalb-689331391", "vip-650077366"))
    with pytest.raises(UsageError) as caught:
        nb.infer(pvalb.demo[0], decoder=pvalb.decoder, prior=vip.prior, method="importance", seed=1)
    assert str(caught.value) == (
        "`prior` should be over the 21 latents of the decoder; found 26 latents, with log_latency_15pa, "
        "log_mean_isi_to_300ms_25pa, log_mean_isi_to_150ms_50pa, log_mean_isi_to_300ms_50pa, … (9 in all), without "
        "log_mean_isi_25pa, log_mean_isi_50pa, log_mean_isi_180pa, log_mean_isi_100pa; use the prior that belongs to "
        "the decoder."
    )


def test_latents_in_another_order_are_refused(cell):
    space = cell.prior.space
    turned = nb.LatentSpace(name="turned", latents=space.latents[::-1], mean=space.mean.flip(0), sd=space.sd.flip(0))
    with pytest.raises(UsageError, match="found 5 latents, in another order; take"):
        require_latents(turned, space, "prior", "over those of the decoder", "take another")
