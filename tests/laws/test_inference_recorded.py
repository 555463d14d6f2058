"""A recorded function is the function: same values and gradients for every shape, at points it was not recorded at."""

import pytest
import torch

from noble_prob.inference import recorded
from noble_prob.inference.recorded import LARGEST, PATIENCE, Recorded


def function(x):
    matrix = torch.linspace(0.0, 1.0, 9, dtype=torch.float64).reshape(3, 3)
    return torch.where(x[..., 0] > 0, (x @ matrix).exp().sum(-1), -x.square().sum(-1))


def value_and_slope(f, x):
    x = x.clone().requires_grad_()
    value = f(x)
    return value.detach(), torch.autograd.grad(value.sum(), x)[0]


def point(shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 5, 3)])
def test_replays_equal_the_function(shape):
    calls = []
    replayed = Recorded(lambda x: (calls.append(0), function(x))[1])
    for k in range(2 * PATIENCE):
        x = point(shape, k)
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
        called(torch.ones(LARGEST + 1, 3, dtype=torch.float64))
    assert len(calls) == 2 * PATIENCE
    monkeypatch.delattr(recorded.torch.jit, "trace")
    for _ in range(2 * PATIENCE):
        called(torch.ones(2, 3, dtype=torch.float64))
    assert len(calls) == 4 * PATIENCE
