"""Newton's strides, begun within some SDs, end where the density is highest, with the curvature there."""

import pytest
import torch

from noble_prob.inference.newton import ascend
from noble_prob.inference.whiten import Affine


class Known:
    """A log density with its gradient, as the strides ask for it."""

    def __init__(self, function):
        self.function, self.calls = function, 0

    def __call__(self, flat):
        return self.function(flat)

    def gradient(self, flat):
        self.calls += 1
        x = flat.detach().requires_grad_()
        with torch.enable_grad():
            value = self.function(x)
            (slope,) = torch.autograd.grad(value.sum(), x)
        return value.detach(), slope


def began(*shape, at=1.0):
    eye = torch.eye(shape[-1], dtype=torch.float64).expand(*shape, shape[-1])
    return Affine(centre=torch.full(shape, at, dtype=torch.float64), scale=eye)


@pytest.mark.parametrize("shape", [(4,), (3, 4)])
def test_of_a_gaussian_mean_and_covariance_are_found(shape):
    turn = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
    sd = torch.tensor([1.0, 0.3, 0.01, 0.001], dtype=torch.float64)
    mean, covariance = torch.arange(4.0, dtype=torch.float64), turn @ torch.diag(sd**2) @ turn.T
    precision = torch.linalg.inv(covariance)
    density = Known(lambda u: -0.5 * torch.einsum("...i,ij,...j->...", u - mean, precision, u - mean))
    near = mean + turn @ (sd * torch.tensor([10.0, -10.0, 10.0, -10.0], dtype=torch.float64))
    found = ascend(density, Affine(centre=near.expand(shape), scale=began(*shape).scale))
    off = torch.linalg.solve(turn @ torch.diag(sd), (found.centre - mean).unsqueeze(-1))
    assert float(off.abs().max()) < 1e-3  # of an SD, in every direction
    torch.testing.assert_close(found.scale @ found.scale.mT, covariance.expand(*shape, 4), rtol=1e-3, atol=1e-9)


def test_a_saddle_is_left_for_one_of_the_tops():
    density = Known(lambda u: -((u[..., 0] ** 2 - 1) ** 2) - u[..., 1] ** 2)
    found = ascend(density, began(2, at=0.05))
    torch.testing.assert_close(found.centre, torch.tensor([1.0, 0.0], dtype=torch.float64), atol=0.1, rtol=0)


def test_it_stops_when_nothing_is_gained():
    density = Known(lambda u: -0.5 * u.square().sum(-1))
    ascend(density, began(2))
    assert density.calls <= 4
