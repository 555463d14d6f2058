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


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 5, 3)])
def test_replays_equal_the_function(shape):
    calls = []
    replayed = Recorded(lambda x: (calls.append(0), function(x))[1])
    for k in range(2 * PATIENCE):
        x = torch.randn(shape, generator=torch.Generator().manual_seed(k), dtype=torch.float64)
        for ours, theirs in zip(value_and_slope(replayed, x), value_and_slope(function, x), strict=True):
            torch.testing.assert_close(ours, theirs)
    assert len(calls) == PATIENCE  # from then on nobody calls it


def test_shapes_are_recorded_apart():
    replayed = Recorded(function)
    for n in (2, 5):
        for _ in range(PATIENCE + 1):
            x = torch.ones(n, 3, dtype=torch.float64)
            assert replayed(x).shape == (n,)


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
