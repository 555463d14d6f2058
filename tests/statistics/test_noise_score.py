"""The density of spike trains knows the trains that are drawn from it: its slope has mean zero at the truth.

For any density ``E d log p / d theta = 0`` over draws at ``theta``; where the density only resembles what is drawn, the
mean slope over its SD is the bias of a posterior in posterior SDs. The density is exact to first order only: some 0.015
SDs are left, which is 1.3 of the limit of four standard errors, so a right one fails in 1 of 300 runs with other seeds;
without its first-order term it stands at 4.5 and 25. Power: a tenth of a posterior SD is 9 standard errors.
"""

import pytest
import torch

from noble_prob.decoder.base import DecoderError
from noble_prob.noise import Design, SpikeTrains

LIMIT, N = 4.0, 8000


def error():
    return DecoderError(latency_log_sd=2e-3, rate_log_sd=3e-4, current_length_pa=50.0, residual_ms=0.03,
                        summary_sd=torch.ones(1, dtype=torch.float64), slow_ms=45.0)  # fmt: skip


def slopes(diffusion, wrong=0.0):
    """Slopes of the log density over a common factor of all times, one per recording.

    Args:
        diffusion: Of the phase.
        wrong: By what share the density is asked at a wrong factor.
    """
    design = Design(current_pa=torch.tensor([60.0, 120.0, 240.0], dtype=torch.float64),
                    end_ms=torch.full((3,), 400.0, dtype=torch.float64),
                    summary_names=("resting_voltage_mv",))  # fmt: skip
    step = torch.tensor([45.0, 23.0, 12.0], dtype=torch.float64)[:, None]
    times = step * torch.arange(1, 64, dtype=torch.float64)
    one = torch.ones(N, dtype=torch.float64)

    def trains(factor):
        return SpikeTrains(times * factor[:, None, None], design, error(), scale=one, phase_diffusion=diffusion * one,
                           trial_timing=0.02 * one, trial_rate=0.01 * one, timing_ms=0.05)  # fmt: skip

    torch.manual_seed(1)
    drawn = trains(one).sample()
    factor = (one + wrong).requires_grad_()
    (slope,) = torch.autograd.grad(trains(factor).log_prob(drawn).sum(), factor)
    return slope


def z(slope):
    return float(slope.mean() / slope.std() * len(slope) ** 0.5)


@pytest.mark.parametrize("diffusion", [0.05, 0.15, 0.4])
def test_the_slope_has_mean_zero(diffusion):
    assert abs(z(slopes(diffusion))) < LIMIT


@pytest.mark.parametrize("diffusion", [0.15, 0.4])
def test_a_tenth_of_a_posterior_sd_is_seen(diffusion):
    tenth = 0.1 / float(slopes(diffusion).std())
    assert abs(z(slopes(diffusion, wrong=tenth))) > LIMIT
