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
from noble_prob.priors import seeded

NAMES = ("resting_voltage_mv", "sag_mv", "membrane_time_constant_ms", "ap1_peak_mv")
CURRENT = torch.tensor([-110.0, -55.0], dtype=torch.float64)
ERROR = DecoderError(latency_log_sd=1e-4, rate_log_sd=1e-4, current_length_pa=10.0, residual_ms=1e-4,
                     summary_sd=torch.full((4,), 1e-4).double(), slow_ms=50.0)  # fmt: skip
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
    """Intervals of 100 ms vary (1 + 16 / (1 + 16 / 30)) = 11.4 times as much as brisk ones, and are drawn so."""
    times = torch.stack([10.0 * torch.arange(1, 6), 100.0 * torch.arange(1, 6)]).double()
    one = torch.tensor(1.0).double()
    trains = SpikeTrains(times, replace(DESIGN, end_ms=torch.full((2,), 1e6).double()), ERROR, scale=one,
                         phase_diffusion=0 * one, trial_timing=0.01 * one, trial_rate=0.01 * one,
                         timing_ms=1e-4)  # fmt: skip
    with seeded(2):
        draws = trains.sample((4000,))
    latency, rate = draws[..., 0].log().std(0), (draws[..., 4] - draws[..., 0]).log().std(0)
    factor = ERROR.slowness(torch.tensor([10.0, 100.0]).double())
    assert float(factor[1]) == pytest.approx(11.43, abs=0.01)
    assert torch.allclose(latency, 0.01 * factor, rtol=0.1)
    assert torch.allclose(rate, 0.01 * factor, rtol=0.1)
