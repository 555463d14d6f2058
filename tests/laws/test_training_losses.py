"""Losses: nothing at the truth, scale-free in time, deaf to what is not defined, with gradients that point home."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from noble_prob.training.losses import relative_l4, spike_map_loss, waveform_loss

seeds = st.integers(min_value=0, max_value=2**31)


def trains(seed, rows=5, columns=12):
    """Spike times that continue past 100 ms, and how many of them lie before."""
    g = torch.Generator().manual_seed(seed)
    times = (2 + 15 * torch.rand(rows, columns, generator=g, dtype=torch.float64)).cumsum(-1)
    times[0] += 200  # a silent one
    return times, (times < 100).sum(-1)


def truth_of(times, n):
    """What data hold: NaN behind the last spike of the step."""
    return torch.where(torch.arange(times.shape[1]) < n[:, None], times, torch.nan)


def loss(predicted, times, n, duration=100.0):
    return spike_map_loss(predicted, truth_of(times, n), n, duration_ms=duration)


@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_nothing_is_lost_at_the_truth(seed):
    times, n = trains(seed)
    clear = times + torch.where(torch.arange(12) >= n[:, None], 0.6, 0.0)  # half a millisecond beyond the end
    assert torch.allclose(loss(clear, times, n), torch.zeros(5, dtype=torch.float64), atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=seeds, late=st.floats(min_value=0.05, max_value=3.0))
def test_an_error_costs_in_units_of_the_interval(seed, late):
    times, n = trains(seed)
    times = times + torch.where(torch.arange(12) >= n[:, None], 50.0, 0.0)
    moved = times + late
    cost = loss(moved, times, n)
    assert cost[0] == 0  # the silent trace stays silent
    assert bool((cost[1:] > 0).all())
    slower = spike_map_loss(moved * 3, truth_of(times * 3, n), n, duration_ms=300.0)
    assert torch.allclose(slower, cost, rtol=1e-6)


def test_a_spike_too_many_costs_and_is_pushed_out():
    times = torch.tensor([[20.0, 40.0, 60.0, 80.0, 99.0, 130.0]], dtype=torch.float64)
    n = torch.tensor([4])
    predicted = times.clone().requires_grad_(True)
    cost = loss(predicted, times, n)
    cost.sum().backward()
    assert cost.item() > 0
    assert predicted.grad[0, 4] < 0  # descending the gradient makes it later
    assert predicted.grad[0, 5] == 0


def test_a_silent_trace_is_pushed_to_silence():
    predicted = torch.tensor([[30.0, 60.0], [130.0, 160.0]], dtype=torch.float64, requires_grad=True)
    cost = spike_map_loss(predicted, torch.full((2, 2), torch.nan), torch.tensor([0, 0]), duration_ms=100.0)
    cost.sum().backward()
    assert cost[0] > 0
    assert cost[1] == 0
    assert predicted.grad[0, 0] < 0
    assert not predicted.grad[1].any()


def test_no_column_behind_the_last_spike_is_looked_at():
    times, n = trains(4)
    a, b = truth_of(times, n), torch.where(torch.arange(12) < n[:, None], times, 1e9)
    assert torch.equal(
        spike_map_loss(times + 1, a, n, duration_ms=100.0), spike_map_loss(times + 1, b, n, duration_ms=100.0)
    )


def test_more_true_spikes_than_predicted_columns():
    times, n = trains(4)
    few = spike_map_loss(times[:, :3], truth_of(times, n), n, duration_ms=100.0)
    assert torch.allclose(few[n >= 3], torch.zeros((), dtype=torch.float64), atol=1e-9)


def test_gradients_are_the_derivatives():
    times, n = trains(1)
    start = (times * 1.03 + 0.4).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda p: loss(p, times, n), (start,))
    g = torch.Generator().manual_seed(0)
    v = -70 + 20 * torch.rand(3, 90, generator=g, dtype=torch.float64)
    p = (v + torch.randn(3, 90, generator=g, dtype=torch.float64)).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: waveform_loss(x, v), (p,))
    assert torch.autograd.gradcheck(lambda x: relative_l4(x, v), (p,))


@settings(max_examples=30, deadline=None)
@given(seed=seeds, size=st.floats(min_value=0.1, max_value=20))
def test_voltage_losses(seed, size):
    g = torch.Generator().manual_seed(seed)
    v = torch.full((2, 400), -70.0, dtype=torch.float64)
    v[:, 100:300] += torch.tensor([[40.0], [1e-3]], dtype=torch.float64)
    off = size * torch.randn(2, 400, generator=g, dtype=torch.float64)
    assert waveform_loss(v, v).abs().max() < 1e-4
    assert relative_l4(v, v).abs().max() == 0
    cost = waveform_loss(v + off, v)
    rms = off.square().mean(-1).sqrt()
    assert torch.allclose(cost, rms / torch.tensor([40 * 0.5**0.5, 1.5], dtype=torch.float64), rtol=1e-3)  # the floor
    assert torch.allclose(waveform_loss(v + off + 9, v + 9), cost)  # rest is taken off
    expected = (off**4).sum(-1).pow(0.25) / (v**4).sum(-1).pow(0.25)
    assert torch.allclose(relative_l4(v + off, v), expected)


def test_at_the_truth_voltages_do_not_move():
    v = torch.linspace(-70, 10, 200).repeat(2, 1).requires_grad_(True)
    waveform_loss(v, v.detach()).sum().backward()
    assert not v.grad.any()
