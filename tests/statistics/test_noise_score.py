"""The density of spike trains knows the trains that are drawn from it: its slope has mean zero at the truth.

For any density ``E d log p / d theta = 0`` over draws at ``theta``; where the density only resembles what is drawn, the
mean slope over its SD is the bias of a posterior in posterior SDs. The density is exact to first order only: some 0.01
SDs are left, one of the four standard errors of the limit, so a right one fails in 1 of 700 runs with other seeds;
without its terms for diffusion it stands at 4.5 and 25, without that for timing errors at 5 to 9. Power: a tenth of a
posterior SD is 9 standard errors.
"""

import pytest
import torch

from noble_prob.decoder.base import DecoderError
from noble_prob.noise import Design, SpikeTrains

LIMIT, N = 4.0, 8000


def error(residual_ms):
    return DecoderError(
        latency_log_sd=2e-3,
        rate_log_sd=3e-4,
        current_length_pa=50.0,
        residual_ms=residual_ms,
        summary_sd=torch.ones(1, dtype=torch.float64),
        slow_ms=45.0,
    )


def slopes(diffusion, wrong=0.0, residual_ms=0.03, trial=(0.02, 0.01)):
    """Slopes of the log density over a common factor of all times, one per recording.

    Args:
        diffusion: Of the phase.
        wrong: By what share the density is asked at a wrong factor.
        residual_ms: Decoder's error of single times.
        trial: Variation of latency and rate.
    """
    design = Design(
        current_pa=torch.tensor([60.0, 120.0, 240.0], dtype=torch.float64),
        end_ms=torch.full((3,), 400.0, dtype=torch.float64),
        summary_names=("resting_voltage_mv",),
    )
    step = torch.tensor([45.0, 23.0, 12.0], dtype=torch.float64)[:, None]
    times = step * torch.arange(1, 64, dtype=torch.float64)
    one = torch.ones(N, dtype=torch.float64)

    def trains(factor):
        return SpikeTrains(
            times * factor[:, None, None],
            design,
            error(residual_ms),
            scale=one,
            phase_diffusion=diffusion * one,
            trial_timing=trial[0] * one,
            trial_rate=trial[1] * one,
            timing_ms=0.05,
        )

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


@pytest.mark.parametrize("diffusion", [0.05, 0.15])
def test_errors_of_single_times_do_not_shift_it(diffusion):
    """A decoder that errs by 0.15 ms, as the VIP cell's does, of a neuron that fires every 12 ms like a clock."""
    assert abs(z(slopes(diffusion, residual_ms=0.15, trial=(0.03, 0.002)))) < LIMIT


@pytest.mark.parametrize("diffusion", [0.15, 0.4])
def test_a_tenth_of_a_posterior_sd_is_seen(diffusion):
    tenth = 0.1 / float(slopes(diffusion).std())
    assert abs(z(slopes(diffusion, wrong=tenth))) > LIMIT
