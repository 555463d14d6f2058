"""Climbs count the tops of a density whose tops are known: a second explanation must not go unseen, nor be made up."""

from __future__ import annotations

from functools import partial

import pyro
import pyro.distributions as dist
import pytest
import torch

from noble_prob.inference.density import LogDensity
from noble_prob.inference.locate import locate

SD = 0.1


def two_tops(apart, lower, batch=()):
    """Two narrow Gaussians around zero under a wide prior, the second lower by so many nats in every recording."""
    zero = torch.zeros(*batch, 2, dtype=torch.float64)
    z = pyro.sample("z", dist.Normal(zero, torch.ones_like(zero)).to_event(1))
    half = torch.tensor([0.5 * apart, 0.0], dtype=torch.float64)
    heights = [-0.5 * ((z - sign * half) / SD).square().sum(-1) for sign in (1.0, -1.0)]
    pyro.factor("data", torch.logaddexp(heights[0], heights[1] - lower))


def located(apart, lower, rows=()):
    lower = torch.as_tensor(lower, dtype=torch.float64)
    return locate(LogDensity(partial(two_tops, apart, lower)), rows, seed=0)


@pytest.mark.parametrize(
    ("apart", "lower", "modes"),
    [
        (2.0, 0.0, 2),
        (2.0, 4.0, 2),  # within five nats
        (2.0, 6.0, 1),  # below them
        (0.0, 0.0, 1),
        (6.0 * SD, 0.0, 1),  # two tops, but nearer than five SDs (root mean square of two dimensions: 7.1)
        (9.0 * SD, 0.0, 2),
    ],
)
def test_tops_of_similar_height_are_counted(apart, lower, modes):
    coordinates, found = located(apart, lower)
    assert int(found) == modes
    if lower:  # the best is the highest
        assert float(coordinates.centre[0]) == pytest.approx(0.5 * apart, abs=0.05)


def test_every_recording_of_a_batch_has_its_own_number_of_tops():
    _, found = located(2.0, [0.0, 20.0, 0.0], rows=(3,))
    assert found.tolist() == [2, 1, 2]


def test_coordinates_are_those_of_the_top():
    coordinates, _ = located(0.0, 0.0)
    variance = 1 / (1 + SD**-2)
    covariance = coordinates.scale @ coordinates.scale.mT
    torch.testing.assert_close(covariance, variance * torch.eye(2, dtype=torch.float64), rtol=0.02, atol=1e-4)
