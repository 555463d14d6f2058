"""Weighted draws of a known posterior pass the joint test only after each was moved; the test keeps its power.

A standard normal in 22 dimensions, 300 simulations, proposals as wrong as those of a real recording (effective size
about 70 of 1,600). False alarms: the joint test is compared with 0.5 %, the mean of the draws' squares with four
standard errors; the seed is fixed. Power: resampled draws that were not moved, posteriors of half the SD and
posteriors shifted by half an SD must all give p < 1e-4 (here each gives less than 1e-8).
"""

import pytest
import torch

from noble_prob.calibration.joint import joint_test
from noble_prob.inference import importance, refresh
from noble_prob.inference.whiten import Affine

N, SIZE, KEPT = 300, 22, 200


class Normal:
    """The log density and its gradient."""

    def __call__(self, flat):
        return -0.5 * flat.square().sum(-1)

    def gradient(self, flat):
        return self(flat), -flat


@pytest.fixture(scope="module")
def experiment():
    g = torch.Generator().manual_seed(3)

    def normal(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    truth, off, root = normal(N, SIZE), normal(N, SIZE), normal(N, SIZE, 90)
    wrong = Affine(centre=0.2 * off, scale=torch.linalg.cholesky(root @ root.mT / 90))
    found = importance.sample(Normal(), wrong, draws=1600, seed=3, rounds=0)
    at = found.resample(KEPT, g)
    flat = found.flat.gather(0, at[..., None].expand(*at.shape, SIZE))
    return truth, found, flat, refresh.move(Normal(), found, at, seed=3)


def p_value(truth, flat):
    return joint_test(truth[:, :16].numpy(), flat[..., :16].movedim(0, 1).numpy()).p_value  # the latents of a cell


def test_weights_are_as_bad_as_in_life_and_copies_are_seen(experiment):
    truth, found, flat, _ = experiment
    assert 40 < float(found.effective.mean()) < 120
    assert p_value(truth, flat) < 1e-4


def test_moved_draws_are_the_posterior(experiment):
    truth, _, flat, moved = experiment
    assert float(moved.acceptance.min()) > 0.5
    assert p_value(truth, moved.flat) > 0.005
    assert torch.allclose(moved.log_density, Normal()(moved.flat))
    still = torch.isclose(moved.flat, flat).all(-1).double().mean()
    assert 0.0 < float(still) < 0.08  # moves refused (leapfrog steps, as many slopes: 0.15 to 0.45)
    variance = moved.flat.square().mean(0)  # of each recording and coordinate; means over recordings are independent
    assert abs(float(variance.mean()) - 1) < 4 * float(variance.mean(1).std()) / N**0.5


def test_moved_draws_are_worth_what_is_said(experiment):
    """Means scatter nearly as their worth says (variances: a fifth more, for weights here go with the places)."""
    _, found, _, moved = experiment
    scatter = moved.flat.mean(0).square().mean(-1)  # of a mean that is zero: one over the draws' worth
    stated = 1 / moved.worth
    assert float(scatter.mean()) < 1.35 * float(stated.mean())
    assert float(scatter.mean()) > 0.9 * float(stated.mean())
    assert float((1 / found.effective).mean()) > 1.5 * float(scatter.mean())


def test_draws_that_stay_are_worth_their_weights():
    g = torch.Generator().manual_seed(1)
    before, other = (torch.randn(400, 3, 5, generator=g).double() for _ in range(2))
    effective = torch.tensor([20.0, 100.0, 400.0]).double()
    assert torch.allclose(refresh.worth(before, before, effective), effective)
    assert float(refresh.worth(before, other, effective)[1:].min()) > 0.9 * 400
    half = torch.cat([before[:200], other[200:]])  # half of them refused
    assert float((1 / refresh.worth(before, half, effective) * effective)[0]) == pytest.approx(0.3, abs=0.12)


@pytest.mark.parametrize(("scale", "shift"), [(0.5, 0.0), (1.0, 0.5)])
def test_wrong_posteriors_are_still_caught(experiment, scale, shift):
    truth, _, _, moved = experiment
    centre = moved.flat.mean(0)
    assert p_value(truth, centre + scale * (moved.flat - centre) + shift) < 1e-4


def test_a_step_that_is_too_long_is_halved():
    """A posterior a third as wide as the proposal: long steps are refused, shorter ones are not."""

    class Narrow(Normal):
        def __call__(self, flat):
            return 9 * super().__call__(flat)

        def gradient(self, flat):
            return self(flat), -9 * flat

    eye = Affine(centre=torch.zeros(1, 6).double(), scale=torch.eye(6).double().expand(1, 6, 6))
    found = importance.sample(Narrow(), eye, draws=40_000, seed=1, rounds=0)
    at = found.resample(400, torch.Generator().manual_seed(1))
    moved = refresh.move(Narrow(), found, at, seed=1)
    assert float(moved.acceptance) > 0.5
    assert float(moved.flat.var(0).mean()) == pytest.approx(1 / 9, rel=0.15)
