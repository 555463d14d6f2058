"""The repeats of an inferred neuron are those of its noise scales, and as noisy as its sweeps were."""

from dataclasses import replace

import pytest
import torch

import noble_prob as nb
from noble_prob.noise import Scale

TOY = nb.load_cell("toy")


def inferred(recording, **options):
    return nb.infer(recording, decoder=TOY.decoder, prior=TOY.prior, method="importance", seed=1, **options)


@pytest.fixture(scope="module")
def recording():
    neuron = nb.draw(TOY.prior, 1, seed=0)
    return nb.respond(TOY.decoder, neuron, [-110.0, 60.0, 100.0, 180.0]).members(0)


def test_it_is_made_of_the_medians(recording):
    posterior = inferred(recording)
    scales = {k: torch.full_like(v, 0.1 + 0.01 * i) for i, (k, v) in enumerate(posterior.scales.items())}
    model = replace(posterior, scales=scales).trial_model()
    believed = replace(
        nb.NoisePrior(),
        **{k: replace(getattr(nb.NoisePrior(), k), median=float(v.flatten()[0])) for k, v in scales.items()},
    )
    expected = nb.TrialModel.usual(TOY.decoder.space, noise=believed).to_dict()
    assert {k: v for k, v in model.to_dict().items() if k != "provenance"} == {
        k: v for k, v in expected.items() if k != "provenance"
    }
    assert model.provenance["fitted_to"] == "noise scales of a posterior"


def test_what_was_told_stays(recording):
    model = inferred(recording, noise=nb.NoisePrior.simulated()).trial_model()
    assert model.phase_diffusion == 0.0
    assert model.timing.rate == nb.NoisePrior.simulated().trial_rate.median


def test_noisy_sweeps_make_noisy_repeats():
    """Ten sweeps whose trains differ by 20 % are explained by more than ten that are equal."""
    neuron = nb.draw(TOY.prior, 1, seed=0)
    noise = nb.NoisePrior()
    loud = replace(noise, trial_rate=Scale(median=0.2), phase_diffusion=Scale(median=1.0))
    found = []
    for model in (nb.TrialModel.usual(TOY.decoder.space, noise=loud), None):
        repeats = {} if model is None else {"trials": 1, "trial_model": model, "seed": 3}
        sweeps = nb.respond(TOY.decoder, neuron, [150.0] * 10, **repeats)
        one = sweeps.members(0, axis="neuron")
        found.append(inferred(one if model is None else one.members(0, axis="trial")).trial_model())
    assert found[0].phase_diffusion > 3 * found[1].phase_diffusion
