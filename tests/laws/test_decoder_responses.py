"""What every shipped decoder must do, whatever its weights are worth: rest in silence, ignore its grid, broadcast."""

from itertools import pairwise

import pytest
import torch
from training_example import one_thread, read_latent_table  # noqa: F401

from noble_prob.decoder.checkpoint import cell_folder, load_decoder
from noble_prob.features import find_spikes
from noble_prob.training.publish import LATENT_TABLE

CELLS = ("pvalb-689331391", "vip-650077366")


@pytest.fixture(scope="module", params=CELLS)
def decoder(request):
    return load_decoder(request.param)


@pytest.fixture(scope="module")
def neurons(decoder):
    """Four training models of the cell, chosen by number."""
    name = next(cell for cell in CELLS if torch.equal(load_decoder(cell).space.mean, decoder.space.mean))
    model, split, values = read_latent_table(cell_folder(name) / LATENT_TABLE)
    rows = [i for i, s in enumerate(split) if s == "train"][::13][:4]
    assert len(set(model[rows])) == 4
    return torch.from_numpy(values[rows])


def test_no_current_and_hyperpolarising_currents_are_silent(decoder, neurons):
    w = decoder.window
    on = (w.time_ms > w.onset_ms + 200) & (w.time_ms < w.onset_ms + w.duration_ms)
    rest = decoder.summary(neurons, torch.tensor(-50.0))[:, decoder.summary_names.index("resting_voltage_mv")]
    silent = decoder.respond(neurons, torch.tensor(0.0))
    assert silent.amax() < -55.0
    assert (silent - rest[:, None]).abs().amax() < 1.5  # nothing happens
    below = [decoder.respond(neurons, torch.tensor(i))[:, on].mean(1) - rest for i in (-30.0, -60.0, -110.0)]
    assert all(bool((lower < higher - 1).all()) for higher, lower in pairwise(below))
    at = decoder.space.names.index("voltage_deflection")
    assert torch.allclose(below[2], neurons[:, at].to(below[2]), atol=3.0)


def test_a_silent_response_has_its_first_spike_after_the_end(decoder, neurons):
    for current in (0.0, -20.0, -110.0):
        assert bool((decoder.spike_times(neurons, torch.tensor(current))[:, 0] > decoder.window.duration_ms).all())


def test_the_voltage_spikes_when_the_spike_map_says(decoder, neurons):
    w = decoder.window
    times = decoder.spike_times(neurons, torch.tensor(180.0))
    found = find_spikes(decoder.respond(neurons, torch.tensor(180.0)), w.time_ms, stop_ms=w.onset_ms + w.duration_ms)
    said = (times < w.duration_ms).sum(1)
    assert bool(((found.count - said).abs() <= 1).all())  # one may sit on the edge
    n = min(int(said.min()), int(found.count.min()))
    assert (found.peak_ms[:, :n] - w.onset_ms - times[:, :n]).abs().median() < 0.1


def test_a_grid_twice_as_fine_moves_no_spike(decoder, neurons):
    w, current = decoder.window, torch.tensor(180.0)
    fine = torch.arange(2 * w.n_samples, dtype=torch.float64) * (w.dt_ms / 2)
    coarse = decoder.respond(neurons[:2], current)
    finer = decoder.respond(neurons[:2], current, time_ms=fine)
    a, b = find_spikes(coarse, w.time_ms), find_spikes(finer, fine)
    assert torch.equal(a.count, b.count)
    assert int(a.count.min()) > 10
    assert (a.peak_ms - b.peak_ms).abs().nan_to_num(0.0).amax() < 0.02
    quiet = (coarse < -60) & (finer[:, ::2] < -60)
    assert (coarse - finer[:, ::2])[quiet].abs().amax() < 1.5


def test_neurons_and_currents_broadcast_and_do_not_see_each_other(decoder, neurons):
    currents = torch.tensor([-110.0, 50.0, 180.0])
    table = decoder.respond(neurons[:2, None], currents)
    assert table.shape == (2, 3, decoder.window.n_samples)
    alone = decoder.respond(neurons[1], currents[2])
    assert alone.shape == (decoder.window.n_samples,)
    assert (table[1, 2] - alone).abs().amax() < 0.1  # mV, on the steepest flank
    assert torch.allclose(
        decoder.spike_times(neurons[:2, None], currents)[1, 2], decoder.spike_times(neurons[1], currents[2]), rtol=1e-5
    )


def test_latents_answer_with_a_gradient(decoder, neurons):
    z = neurons[:1].clone().requires_grad_(True)
    times = decoder.spike_times(z, torch.tensor([180.0]))
    times[:, :10].sum().backward()
    assert bool(torch.isfinite(z.grad).all())
    assert z.grad.abs().sum() > 0


def test_the_training_models_are_inside_the_support_and_a_stranger_is_not(decoder, neurons):
    assert bool((decoder.support(neurons) < 1.3).all())
    assert decoder.support(decoder.space.mean) < 0.2
    stranger = decoder.space.unstandardise(torch.full((len(decoder.space),), 4.0))
    assert decoder.support(stranger) > 2
