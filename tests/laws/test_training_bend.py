"""The penalty on bending between neurons: nothing for straight answers, the closed form for a parabola, and its use."""

from itertools import pairwise

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_example import example_data, example_decoder, one_thread  # noqa: F401

from noble_prob.decoder.spike_map import mlp
from noble_prob.training.bend import bend
from noble_prob.training.loop import fit
from noble_prob.training.schedule import Schedule
from noble_prob.training.tasks import OperatorTask, SpikeMapTask, SummaryTask

seeds = st.integers(min_value=0, max_value=2**31)


def random(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_a_straight_answer_does_not_bend(seed):
    x, slope, own = random(seed, 7, 4), random(seed + 1, 4, 3), random(seed + 2, 3)
    assert bend(lambda x: x @ slope + own, x).abs().max() < 1e-12


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_a_parabola_bends_by_a_quarter_of_the_squared_distance(seed):
    x, form = random(seed, 7, 4), random(seed + 1, 4, 4)
    between = x - x.roll(1, 0)
    wanted = -0.25 * torch.einsum("bi,ij,bj->b", between, form, between)
    assert torch.allclose(bend(lambda x: torch.einsum("bi,ij,bj->b", x, form, x), x), wanted)


def test_every_network_pays_for_bending_and_for_nothing_else():
    data = example_data()
    rows = torch.arange(32)
    for task in (SpikeMapTask, SummaryTask, OperatorTask):
        twin = task(data, example_decoder(data))
        assert twin.bend(rows) > 1e-4, task
        twin.train.x = twin.train.x[:1].expand_as(twin.train.x)  # everyone is the same neuron
        assert twin.bend(rows).abs() < 1e-5, task


def test_the_loop_charges_what_the_schedule_says():
    data = example_data()

    def losses(straight, left=1.0):
        """Of three steps that hardly move the weights."""
        schedule = Schedule(steps=3, batch=32, straight=straight, straight_left=left, validate_every=1, peak_lr=1e-12)
        rows = fit(SummaryTask(data, example_decoder(data)), schedule, progress=False)
        return torch.tensor([row["loss"] for row in rows])

    plain, once, twice, falling = losses(0.0), losses(2.0), losses(4.0), losses(4.0, 0.0)
    assert (once > plain + 1e-3).all()
    assert torch.allclose(twice - plain, 2 * (once - plain), rtol=1e-3)
    assert torch.allclose(falling - plain, (twice - plain) * torch.tensor([1.0, 1.0, 0.5]), rtol=1e-2)


def test_the_penalty_falls_with_the_learning_rate():
    schedule = Schedule(steps=100, warmup=0.1, straight=8.0, straight_left=0.25)
    weights = [schedule.penalty(step) for step in range(100)]
    assert weights[:10] == [8.0] * 10
    assert all(a >= b for a, b in pairwise(weights))
    assert abs(weights[-1] - 2.0) < 0.01
    assert {Schedule(steps=100, straight=3.0).penalty(step) for step in range(100)} == {3.0}


def swarms(n_swarms, seed):
    """Swarms of thirty neurons around centres, and a nearly linear answer."""
    centre = random(seed, n_swarms, 1, 8)
    x = (centre + 0.05 * random(seed + 1, n_swarms, 30, 8)).flatten(0, 1).float()
    return x, (x.sum(-1) + 0.1 * x[:, 0].square())


def trained(straight, seed=0):
    """On swarms that training has not seen: mean absolute error, and mean bend between them."""
    (x, y), (new, wanted) = swarms(12, seed), swarms(40, seed + 10)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = mlp(8, 32, 2, 1)
        optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
        for _ in range(250):
            i = torch.randint(len(x), (128,))
            loss = (net(x[i])[:, 0] - y[i]).abs().mean() + straight * bend(net, x[i]).abs().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    with torch.no_grad():
        return float((net(new)[:, 0] - wanted).abs().mean()), float(bend(net, new[::30]).abs().mean())


def test_new_swarms_bend_less_and_are_known_better():
    (error, bent), (error_held, bent_held) = trained(0.0), trained(1.0)
    assert bent_held < 0.6 * bent, (bent, bent_held)
    assert error_held < 0.8 * error, (error, error_held)
