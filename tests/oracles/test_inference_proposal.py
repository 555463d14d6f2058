"""The density that a proposal states is the one it draws from: wrong mixture weights would bias every posterior."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch

from noble_prob.inference.funnel import Funnel
from noble_prob.inference.proposal import DF, WIDEN, Proposal
from noble_prob.inference.whiten import Affine

CENTRE = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
ROOT = torch.tensor([[0.5, 0, 0], [0.2, 1.0, 0], [-0.3, 0.4, 2.0]], dtype=torch.float64)
COUNT = torch.tensor(18.0, dtype=torch.float64)


def plain():
    return Proposal(coordinates=Affine(centre=CENTRE, scale=ROOT), count=COUNT)


def widening():
    """The third coordinate is the logarithm of a scale; the first narrows and the second widens with it."""
    funnel = Funnel(
        scales=torch.tensor([2]),
        rest=torch.tensor([0, 1]),
        centre=CENTRE,
        sd=torch.tensor([0.7], dtype=torch.float64),
        slope=torch.tensor([[0.4], [-0.2]], dtype=torch.float64),
        basis=torch.tensor([[0.6, 0.1], [0.2, 1.5]], dtype=torch.float64),
        rate=torch.tensor([[0.8, -0.5]], dtype=torch.float64),
    )
    straight = Affine(centre=torch.zeros(3, dtype=torch.float64), scale=torch.eye(3, dtype=torch.float64))
    return Proposal(coordinates=straight, count=COUNT, funnel=funnel)


def test_without_a_funnel_it_is_the_student_t_of_the_text_books():
    x = CENTRE + 3 * torch.randn(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    known = scipy.stats.multivariate_t(CENTRE.numpy(), WIDEN**2 * (ROOT @ ROOT.T).numpy(), df=DF)
    np.testing.assert_allclose(plain().log_prob(x).numpy(), known.logpdf(x.numpy()), atol=1e-10)


@pytest.mark.parametrize("proposal", [plain(), widening()], ids=["plain", "widening"])
def test_it_integrates_to_one(proposal):
    """Over draws of a much wider t: the mean ratio of densities is one, give or take five standard errors."""
    n = 100_000
    wide = scipy.stats.multivariate_t(CENTRE.numpy(), np.diag([2.0, 6.0, 4.0]), df=3)
    x = wide.rvs(n, random_state=1)
    ratio = np.exp(proposal.log_prob(torch.from_numpy(x)).numpy() - wide.logpdf(x))
    error = ratio.std() / n**0.5
    assert error < 0.01
    assert ratio.mean() == pytest.approx(1.0, abs=5 * error)


@pytest.mark.parametrize("proposal", [plain(), widening()], ids=["plain", "widening"])
def test_draws_follow_the_stated_density(proposal):
    """Weighted by a known density over the stated one, draws give back the mass (one), mean and SD of the known."""
    x = proposal.sample(50_000, seed=2)
    known = torch.distributions.MultivariateNormal(CENTRE, 0.25 * torch.eye(3, dtype=torch.float64))
    weight = (known.log_prob(x) - proposal.log_prob(x)).exp()
    error = float(weight.std()) / len(x) ** 0.5
    assert error < 0.02
    assert float(weight.mean()) == pytest.approx(1.0, abs=5 * error)
    mean = (weight[:, None] * x).mean(0) / weight.mean()
    sd = ((weight[:, None] * (x - mean) ** 2).mean(0) / weight.mean()).sqrt()
    torch.testing.assert_close(mean, CENTRE, atol=0.05, rtol=0)
    torch.testing.assert_close(sd, torch.full_like(sd, 0.5), atol=0.03, rtol=0)
