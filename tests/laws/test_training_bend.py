"""The penalty on bending between neurons: nothing for straight answers, the closed form for a parabola, and its use."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_example import example_data, example_decoder, one_thread  # noqa: F401

from noble_prob.decoder.spike_map import mlp
from noble_prob.training.bend import bend
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
        decoder = example_decoder(data)
        plain, straight, twice = (float(task(data, decoder, straight=s).loss(rows)) for s in (0.0, 1.0, 2.0))
        assert straight > plain, task
        assert abs((twice - plain) - 2 * (straight - plain)) < 1e-4 * twice, task
        twin = task(data, decoder, straight=1.0)
        twin.train.x = twin.train.x[:1].expand_as(twin.train.x)  # everyone is the same neuron
        alone = task(data, decoder)
        alone.train.x = twin.train.x
        assert abs(float(twin.loss(rows)) - float(alone.loss(rows))) < 1e-5, task


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
