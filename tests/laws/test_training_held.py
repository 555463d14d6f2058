"""A spike map that is held to the latents: exact where they say when a neuron fires, nearer elsewhere."""

import held_example as example
import pytest
import torch

from noble_prob.errors import UsageError
from noble_prob.latent import LatentSpace
from noble_prob.population.latents import SPACES
from noble_prob.training.held import Held

N = 200


@pytest.fixture(scope="module")
def known():
    """Latents and true spike times as a function of the current."""
    x, shape = example.neurons(N), example.shapes(N, seed=1)

    def truth(pa):
        return example.true_times(shape, torch.full((N,), float(pa), dtype=torch.float64)).float()

    return x, truth


def error(times, truth):
    """Median and largest error of the spikes during the step, in intervals."""
    during = truth < 400
    interval = torch.diff(truth, dim=-1, prepend=torch.zeros(N, 1))
    off = ((times - truth).abs() / interval)[during]
    return float(off.detach().median()), float(off.detach().max())


@pytest.mark.parametrize("pa", [25.0, 50.0, 100.0, 180.0])
def test_what_the_latents_say_is_said(known, pa):
    x, truth = known
    wrong = example.Wrong()
    held = Held(wrong, example.SPACE).mean_times(x, torch.full((N,), pa))
    names = [item.name for item in example.SPACE.latents]
    values = example.SPACE.unstandardise(x)
    latency = values[:, names.index(f"log_latency_{pa:.0f}pa")]
    assert torch.allclose(held[:, 0].log(), latency.float(), atol=1e-4)
    before, after = (error(times, truth(pa))[0] for times in (wrong.mean_times(x, torch.full((N,), pa)), held))
    assert after < min(0.03, 0.1 * before)


@pytest.mark.parametrize("pa", [35.0, 75.0, 140.0])
def test_between_these_currents_errors_are_a_fifth(known, pa):
    x, truth = known
    wrong, at = example.Wrong(), torch.full((N,), pa)
    before, after = (error(m.mean_times(x, at), truth(pa))[0] for m in (wrong, Held(wrong, example.SPACE)))
    assert after < 0.2 * before


def test_a_spike_map_that_is_right_stays_as_it_is(known):
    x, truth = known
    right = Held(example.Wrong(early=1.0, late=1.0), example.SPACE)
    right.spike_map.mean_times = lambda x, current_pa: truth(float(current_pa[0]))
    assert error(right.mean_times(x, torch.full((N,), 75.0)), truth(75.0))[1] < 1e-3


def test_a_silent_neuron_is_left_silent(known):
    x, _ = known
    times = Held(example.Wrong(), example.SPACE).mean_times(x, torch.full((N,), -70.0))
    assert torch.isfinite(times).all()
    assert (times[:, 0] > 100).all()


def test_a_space_that_does_not_say_when_a_neuron_fires_is_refused():
    latents = SPACES["features21"]
    space = LatentSpace(name="features21", latents=latents, mean=torch.zeros(21), sd=torch.ones(21))
    with pytest.raises(UsageError, match=r"`held`.*3, 3 and 1.*features26"):
        Held(example.Wrong(), space)
