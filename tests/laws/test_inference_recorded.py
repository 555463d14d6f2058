"""A recorded function is the function: same values and gradients for every shape, at points it was not recorded at."""

from functools import partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import noble_prob as nb
from noble_prob.calibration.sbc import recordings_from_program
from noble_prob.inference import recorded
from noble_prob.inference.density import LogDensity
from noble_prob.inference.funnel import measure
from noble_prob.inference.nuts import Energy
from noble_prob.inference.observe import stack
from noble_prob.inference.recorded import LARGEST, PATIENCE, Recorded
from noble_prob.inference.straight import Straight, white_coordinates
from noble_prob.inference.tape import Tape
from noble_prob.inference.whiten import Affine
from noble_prob.noise import NoisePrior
from noble_prob.program import program

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_cuda)]


def function(x):
    matrix = torch.linspace(0.0, 1.0, 9, dtype=torch.float64, device=x.device).reshape(3, 3)
    return torch.where(x[..., 0] > 0, (x @ matrix).exp().sum(-1), -x.square().sum(-1))


def value_and_slope(f, x):
    x = x.clone().requires_grad_()
    value = f(x)
    return value.detach(), torch.autograd.grad(value.sum(), x)[0]


def point(shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 5, 3)])
def test_replays_equal_the_function(shape, device):
    calls = []
    replayed = Recorded(lambda x: (calls.append(0), function(x))[1])
    for k in range(2 * PATIENCE):
        x = point(shape, k).to(device)
        for ours, theirs in zip(replayed(x), value_and_slope(function, x), strict=True):
            torch.testing.assert_close(ours, theirs)
            assert not ours.is_inference()  # they can take part in whatever follows
        if k == PATIENCE - 1:
            recorded_by = len(calls)
    assert recorded_by == PATIENCE + 1  # once more, for the check
    assert len(calls) == recorded_by  # from then on nobody calls it


def test_what_is_made_and_changed_in_place_is_made_anew_every_time():
    def in_place(x):
        total = torch.zeros(x.shape[0], dtype=x.dtype)
        table = torch.ones(2, 3, dtype=x.dtype)
        table[1] = x[0].exp()
        for row in table:
            total = total + (x * row).sum(-1)
        return total.mul_(2.0)

    replayed = Recorded(in_place)
    for k in range(2 * PATIENCE):
        x = point((4, 3), k)
        for ours, theirs in zip(replayed(x), value_and_slope(in_place, x), strict=True):
            torch.testing.assert_close(ours, theirs)


def test_a_function_that_looks_at_values_is_not_replayed():
    def choosy(x):
        return x.square().sum(-1) if float(x.detach().abs().sum()) < 3.0 else x.sum(-1)

    replayed = Recorded(choosy)
    for _ in range(PATIENCE):
        replayed(torch.full((1, 3), 0.999, dtype=torch.float64))  # 1.01 times as much is on the other side
    for size in (0.1, 5.0):
        x = torch.full((1, 3), size, dtype=torch.float64)
        torch.testing.assert_close(replayed(x)[0], choosy(x))


def test_shapes_are_recorded_apart():
    replayed = Recorded(function)
    for n in (2, 5):
        for _ in range(PATIENCE + 1):
            x = torch.ones(n, 3, dtype=torch.float64)
            assert replayed(x)[0].shape == (n,)


def test_many_rows_and_missing_recorders_are_called_as_they_are(monkeypatch):
    calls = []
    called = Recorded(lambda x: (calls.append(0), function(x))[1])
    for _ in range(2 * PATIENCE):
        called(torch.ones(LARGEST["cpu"] + 1, 3, dtype=torch.float64))
    assert len(calls) == 2 * PATIENCE
    monkeypatch.delattr(recorded.torch.jit, "trace")
    for _ in range(2 * PATIENCE):
        called(torch.ones(2, 3, dtype=torch.float64))
    assert len(calls) == 4 * PATIENCE + 1  # once to write it down


@pytest.mark.parametrize("device", DEVICES)
def test_the_log_density_of_a_shipped_cell_is_replayed(device, monkeypatch):
    cell = nb.load_cell("pvalb-689331391", device=device)
    prior = cell.prior.to(device)
    _, drawn = recordings_from_program(
        cell.decoder, cell.prior, cell.steps(), 2, noise=NoisePrior(), robust=True, seed=1
    )
    evidence = stack(drawn).to(device)
    model = partial(program, cell.decoder, prior, evidence.design, noise=NoisePrior(), robust=True)
    density = LogDensity(partial(model, evidence=evidence))
    size = (3, 2, density.size)
    for k in range(PATIENCE):
        density.gradient(0.3 * point(size, k).to(device))
    x = 0.3 * point(size, 99).to(device)
    expected = value_and_slope(density, x)
    monkeypatch.setattr(density, "program", None)  # what is replayed does not ask the program
    for ours, theirs in zip(density.gradient(x), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * float(theirs.abs().max()))


def test_the_energy_of_a_shipped_cell_is_replayed_for_two_groups(monkeypatch):
    """In coordinates that widen with the noise; were it not replayed, chains would wait for Python in one group."""
    cell = nb.load_cell("pvalb-689331391")
    _, drawn = recordings_from_program(
        cell.decoder, cell.prior, cell.steps(), 1, noise=NoisePrior(), robust=True, seed=1
    )
    model = partial(program, cell.decoder, cell.prior, drawn[0].design, noise=NoisePrior(), robust=True)
    density = LogDensity(partial(model, evidence=drawn[0]))
    n = density.size
    affine = Affine(centre=torch.zeros(n, dtype=torch.float64), scale=0.3 * torch.eye(n, dtype=torch.float64))
    straight = white_coordinates(affine, measure(density, affine))
    assert isinstance(straight, Straight)
    energy = Energy(density, straight)
    assert energy.groups(point((4, n), 0)) == 2
    x = 0.5 * point((2, n), 1)
    value, slope = straight.pull_back(density, x)
    monkeypatch.setattr(density, "program", None)
    for ours, theirs in zip(energy(x), (-value, -slope), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * float(theirs.abs().max()))


def test_what_nobody_needs_is_not_done_again():
    done = []

    class Seen(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            done.append(func)
            return func(*args, **(kwargs or {}))

    x = point((4, 3), 0)
    with Tape(x) as tape:
        assert float(x.sum()) != 0.0  # a look at a value
        x.exp()
        result = x.square().sum(-1)
    play = tape.player(result)
    with Seen():
        (again,) = play(2 * x)
    torch.testing.assert_close(again, 4 * result)
    assert len(done) == len(tape) - 3 + 1  # a sum, the look and the exponential less; the doubling of x more
