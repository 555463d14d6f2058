"""The spike map increases whatever its weights, is smooth to the second derivative, and the phase is its inverse."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from noble_prob.decoder.spike_map import SpikeMap, phase_at

seeds = st.integers(min_value=0, max_value=2**31)


def spike_map(seed, scale=1.0, members=2):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = SpikeMap(n_latents=3, n_spikes=12, width=16, depth=2, members=members).double()
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(scale)
    return net


@settings(max_examples=30, deadline=None)
@given(seed=seeds, scale=st.floats(min_value=0.1, max_value=30.0), current=st.floats(min_value=-200, max_value=400))
def test_times_increase_whatever_the_weights(seed, scale, current):
    net = spike_map(seed, scale)
    x = torch.randn(7, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    times = net(x, torch.full((7,), current, dtype=torch.float64))
    assert times.shape == (2, 7, 12)
    assert bool((times[..., 0] > 0).all())
    assert bool((times.diff(dim=-1) > 0.3).all())  # at least exp(-1) ms
    assert bool(torch.isfinite(times).all())


def test_times_are_smooth_in_latents_and_current():
    net = spike_map(3)
    x = torch.randn(2, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64, requires_grad=True)
    current = torch.tensor([35.0, 150.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(net.mean_times, (x, current))
    assert torch.autograd.gradgradcheck(lambda a, b: net.mean_times(a, b).log(), (x, current), atol=1e-4)


def test_the_mean_of_equal_members_is_each_of_them():
    net = spike_map(5, members=3)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(p[:1].expand_as(p))
    x, current = torch.randn(4, 3, dtype=torch.float64), torch.full((4,), 90.0, dtype=torch.float64)
    assert torch.allclose(net.mean_times(x, current), net(x, current)[1])


@settings(max_examples=40, deadline=None)
@given(seed=seeds)
def test_phase_is_the_inverse_of_the_spike_map(seed):
    generator = torch.Generator().manual_seed(seed)
    times = (torch.rand(3, 9, generator=generator, dtype=torch.float64) * 20 + 0.5).cumsum(-1)
    for row in range(3):
        phase, since, until = phase_at(times[row : row + 1], times[row])
        assert torch.allclose(phase[0], torch.arange(1.0, 10.0, dtype=torch.float64))
        assert torch.allclose(since[0], torch.zeros(9, dtype=torch.float64))
        assert torch.allclose(until[0, :-1], times[row].diff())
    at = torch.linspace(0, float(times.max()), 200, dtype=torch.float64)
    phase, since, until = phase_at(times, at)
    assert bool((phase.diff(dim=-1) >= 0).all())
    assert bool((phase[:, 0] == 0).all())
    inside = torch.isfinite(since) & torch.isfinite(until)
    last = times.gather(1, (phase.floor().long() - 1).clamp(min=0))
    assert torch.allclose((last + since)[inside], at.expand_as(last)[inside])
    middle = 0.5 * (times[:, 3] + times[:, 4])
    assert torch.allclose(
        torch.stack([phase_at(times[i : i + 1], middle[i : i + 1])[0][0, 0] for i in range(3)]),
        torch.full((3,), 4.5, dtype=torch.float64),
    )


def test_before_onset_and_after_the_last_spike_there_is_no_neighbour():
    times = torch.tensor([[10.0, 20.0, torch.inf]])
    phase, since, until = phase_at(times, torch.tensor([-5.0, 5.0, 25.0]))
    assert phase.tolist() == [[0.0, 0.5, 2.0]]
    assert since.tolist()[0][:2] == [torch.inf, torch.inf]
    assert until.tolist()[0] == pytest.approx([15.0, 5.0, torch.inf])
