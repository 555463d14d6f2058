"""Where a scale site governs the width of the others, straight coordinates cover what a Student t does not.

Neal's funnel with eight latents: ``log scale ~ N(0, 0.8)``, ``x ~ N(0, scale)``. Its moments are known: the log scale's
mean and SD by definition, ``E |x| = E scale sqrt(2 / pi)``.
"""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch

from noble_prob.inference import hmc, importance
from noble_prob.inference.density import LogDensity
from noble_prob.inference.funnel import measure
from noble_prob.inference.straight import white_coordinates
from noble_prob.inference.whiten import Affine

SIZE, SPREAD = 8, 0.8


def neal(batch=()):
    zero = torch.zeros((), dtype=torch.float64)
    scale = pyro.sample("scale", dist.LogNormal(zero.expand(batch), zero + SPREAD))
    pyro.sample("x", dist.Normal(zero, scale[..., None].expand(*batch, SIZE)).to_event(1))


@pytest.fixture(scope="module")
def start():
    """The density with white coordinates of the mean, of the right width there."""
    sd = torch.ones(3, 1 + SIZE, dtype=torch.float64)
    sd[:, 0] = SPREAD
    return LogDensity(neal), Affine(centre=torch.zeros_like(sd), scale=torch.diag_embed(sd))


def test_the_map_is_a_bijection_whose_volume_is_right(start):
    funnel = measure(*start)
    assert funnel is not None
    w = torch.randn(3, 1 + SIZE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    flat = funnel(w)
    back, volume = funnel.straight(flat)
    torch.testing.assert_close(back, w)
    jacobian = torch.autograd.functional.jacobian(lambda x: funnel(x)[0], w)[:, 0]
    torch.testing.assert_close(-torch.linalg.slogdet(jacobian).logabsdet, volume[0])


def test_a_log_precision_that_falls_with_the_scale_is_found(start):
    funnel = measure(*start)
    assert funnel is not None
    torch.testing.assert_close(funnel.rate, torch.full_like(funnel.rate, -2 * SPREAD), atol=1e-6, rtol=0)


def test_white_coordinates_know_their_density(start):
    """Value and slope over them equal those of the density times the map's volume, up to a constant."""
    density, coordinates = start
    straight = white_coordinates(coordinates, measure(density, coordinates))
    w = torch.randn(6, 3, 1 + SIZE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(straight.white(straight(w)), w)
    value, slope = straight.pull_back(density, w)
    off = 1e-5 * torch.randn(w.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    change = straight.pull_back(density, w + off)[0] - straight.pull_back(density, w - off)[0]
    torch.testing.assert_close(2 * (slope * off).sum(-1), change, rtol=1e-4, atol=1e-9)
    expected = density(straight(w)) - straight.funnel.straight(straight(w))[1]
    torch.testing.assert_close(value - value.mean(), expected - expected.mean())


def test_chains_in_white_coordinates_find_the_moments(start):
    density, coordinates = start
    straight = white_coordinates(coordinates, measure(density, coordinates))
    w = 1.5 * torch.randn(4, 3, 1 + SIZE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    chains = hmc.sample(density, straight, w, warmup=100, draws=500, seed=1)
    log_scale = chains.flat[..., 0].flatten(0, 1)
    assert float(chains.step_size.min()) > 0.3
    assert float(log_scale.mean(0).abs().max()) < 0.15 * SPREAD
    assert float((log_scale.std(0) / SPREAD - 1).abs().max()) < 0.15


def test_weights_of_a_funnel_can_be_believed(start, monkeypatch):
    density, coordinates = start
    found = importance.sample(density, coordinates, draws=4000, seed=1)
    monkeypatch.setattr(importance, "measure", lambda *_: None)
    plain = importance.sample(density, coordinates, draws=4000, seed=1)
    assert float(found.k_hat.max()) < importance.BELIEVABLE
    assert float(found.k_hat.max()) < float(plain.k_hat.min())
    assert float((found.effective / plain.effective).min()) > 3
    log_scale, x = found.flat[..., 0], found.flat[..., 1:]
    mean = (found.weight * log_scale).sum(0)
    sd = (found.weight * (log_scale - mean).square()).sum(0).sqrt()
    size = (found.weight[..., None] * x.abs()).sum(0).mean(-1)
    error = found.effective.min().sqrt().reciprocal()
    assert float(mean.abs().max()) < 4 * SPREAD * error
    assert float((sd / SPREAD - 1).abs().max()) < 4 * error
    assert float((size / (math.exp(SPREAD**2 / 2) * (2 / math.pi) ** 0.5) - 1).abs().max()) < 4 * error
