"""How features and trains vary between the sweeps of one neuron: by group, by current, towards threshold.

Draws against stated moments: 4,000 draws, five standard errors of a mean and 10 % of an SD (whose standard error is 1.1
per cent), so a right sampler fails about once in a million; halved or doubled scales would be off by 50 %.
"""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import torch

from noble_prob.decoder.base import DecoderError
from noble_prob.noise import Design, SpikeTrains, Summaries
from noble_prob.noise.scales import latency_looseness, rate_looseness
from noble_prob.priors import seeded

NAMES = ("resting_voltage_mv", "sag_mv", "membrane_time_constant_ms", "ap1_peak_mv")
CURRENT = torch.tensor([-110.0, -55.0], dtype=torch.float64)
ERROR = DecoderError(
    latency_log_sd=1e-4,
    rate_log_sd=1e-4,
    current_length_pa=10.0,
    residual_ms=1e-4,
    summary_sd=torch.full((4,), 1e-4).double(),
    slow_ms=50.0,
)
DESIGN = Design(current_pa=CURRENT, end_ms=torch.full((2,), 400.0).double(), summary_names=NAMES)


def summaries(rest=2.0, passive=1.0, shape=0.5):
    between = tuple(torch.tensor(x).double() for x in (rest, passive, shape))
    return Summaries(torch.zeros(2, 4).double(), DESIGN, ERROR, scale=torch.tensor(1.0).double(), between=between)


def test_each_group_has_its_scale_and_a_fit_blurs_as_one_over_the_step():
    with seeded(1):
        draws = summaries().sample((4000,))
    expected = torch.tensor([[1.0, 0.3, 1.5, 0.5], [1.0, 0.3, 3.0, 0.5]]).double()  # scale times usual SD
    assert torch.allclose(draws.std(0), expected, rtol=0.1)
    raised = torch.tensor([0, 0.9 * 0.3, 0, 0]).double()  # the sag holds the noise's minimum
    assert bool(((draws.mean(0) - raised).abs() < 5 * expected / 4000**0.5).all())


def test_the_density_is_that_of_the_draws():
    value = torch.tensor([[0.3, 0.5, -2.0, 0.1], [-0.2, 0.1, 1.0, 0.4]]).double()
    sd = np.array([[1.0, 0.3, 1.5, 0.5], [1.0, 0.3, 3.0, 0.5]])
    mean = np.array([[0, 0.27, 0, 0]] * 2)
    expected = scipy.stats.norm(mean, sd).logpdf(value.numpy()).sum()
    assert float(summaries().log_prob(value)) == pytest.approx(expected, abs=1e-4)


def test_trains_vary_more_near_threshold():
    """Latencies vary like their root, rates like a power of the interval, and are drawn so."""
    times = torch.stack([10.0 * torch.arange(1, 6), 100.0 * torch.arange(1, 6)]).double()
    one = torch.tensor(1.0).double()
    trains = SpikeTrains(
        times,
        replace(DESIGN, end_ms=torch.full((2,), 1e6).double()),
        ERROR,
        scale=one,
        phase_diffusion=0 * one,
        trial_timing=0.01 * one,
        trial_rate=0.01 * one,
        timing_ms=1e-4,
    )
    with seeded(2):
        draws = trains.sample((4000,))
    latency, rate = draws[..., 0].log().std(0), (draws[..., 4] - draws[..., 0]).log().std(0)
    ms = torch.tensor([10.0, 100.0]).double()
    early = torch.tensor([0.9901, 3.0654]).double()  # 1 and the root of 10, a hundredth of themselves taken off
    assert torch.allclose(latency_looseness(ms), early, rtol=1e-3)
    assert torch.allclose(latency, 0.01 * early, rtol=0.1)
    loose = torch.tensor([0.2964, 14.324]).double()  # 0.5^1.75 and 5^1.75 likewise
    assert torch.allclose(rate_looseness(ms), loose, rtol=1e-3)
    assert torch.allclose(rate, 0.01 * loose, rtol=0.1)


PAIR = ("resting_voltage_mv", "voltage_deflection_mv", "sag_mv")


def paired(df=None):
    one = torch.tensor(1.0).double()
    return Summaries(
        torch.zeros(2, 3).double(),
        replace(DESIGN, summary_names=PAIR),
        replace(ERROR, summary_sd=torch.tensor([0.1, 0.2, 0.1]).double()),
        scale=one,
        between=(one, one, one),
        df=df,
    )


def dense() -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of deflections, then sags, of both sweeps, written down by hand."""
    near = np.exp(-55.0 / 150.0) + (1 - np.exp(-55.0 / 150.0)) * np.eye(2)
    cross = 0.5 * 0.3**2 * np.eye(2)
    block = [[0.2**2 * near + 0.3**2 * np.eye(2), cross], [cross, 0.1**2 * near + 0.3**2 * np.eye(2)]]
    return np.array([0, 0, 0.27, 0.27]), np.block(block)


def test_what_holds_the_same_part_of_the_trace_varies_together():
    mean, covariance = dense()
    with seeded(3):
        draws = paired().sample((20_000,))[..., 1:].mT.flatten(-2)
    se = 5 * np.sqrt((np.outer(covariance.diagonal(), covariance.diagonal()) + covariance**2) / 20_000)
    assert (np.abs(np.cov(draws.numpy().T) - covariance) < se).all()
    value = torch.tensor([[0.1, -0.4, 0.5], [-0.3, 0.2, -0.1]]).double()
    rest = 0.1**2 * (np.exp(-55.0 / 150.0) + (1 - np.exp(-55.0 / 150.0)) * np.eye(2)) + 0.5**2 * np.eye(2)
    at = value[:, 1:].mT.flatten().numpy()
    expected = scipy.stats.multivariate_normal(np.zeros(2), rest).logpdf(
        value[:, 0].numpy()
    ) + scipy.stats.multivariate_normal(mean, covariance).logpdf(at)
    assert float(paired().log_prob(value)) == pytest.approx(expected, abs=1e-5)
    heavy = scipy.stats.multivariate_t(np.zeros(2), rest, df=4).logpdf(
        value[:, 0].numpy()
    ) + scipy.stats.multivariate_t(mean, covariance, df=4).logpdf(at)
    assert float(paired(df=4.0).log_prob(value)) == pytest.approx(heavy, abs=1e-5)


def test_a_pair_of_which_one_is_missing_and_one_sweep_of_two():
    """Without its sag a sweep says what its deflection says; one of two sweeps has its own part of the covariance."""
    value = torch.tensor([[0.1, -0.4, 0.5], [-0.3, 0.2, torch.nan]]).double()
    mean, covariance = dense()
    kept = [0, 1, 2]
    at = np.array([-0.4, 0.2, 0.5])
    pair = scipy.stats.multivariate_normal(mean[kept], covariance[np.ix_(kept, kept)]).logpdf(at)
    only_rest = torch.where(torch.tensor([True, False, False]), value, torch.nan)
    assert float(paired().log_prob(value) - paired().log_prob(only_rest)) == pytest.approx(pair, abs=1e-5)
    one = paired().take(torch.tensor([0])).log_prob(value[:1])
    first = scipy.stats.multivariate_normal(mean[[0, 2]], covariance[np.ix_([0, 2], [0, 2])]).logpdf([-0.4, 0.5])
    rest = scipy.stats.norm(0, np.hypot(0.1, 0.5)).logpdf(0.1)
    assert float(one) == pytest.approx(first + rest, abs=1e-5)
