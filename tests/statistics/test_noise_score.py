"""The density of spike trains knows the trains that are drawn from it: its slope has mean zero at the truth.

For any density ``E d log p / d theta = 0`` over draws at ``theta``; where the density only resembles what is drawn, the
mean slope over its SD is the bias of a posterior in posterior SDs. The density is exact to first order only: some 0.01
SDs are left, one of the four standard errors of the limit, so a right one fails in 1 of 700 runs with other seeds;
without its terms for diffusion it stands at 4.5 and 25, without that for timing errors at 5 to 9. Power: a tenth of a
posterior SD is 9 standard errors.
"""

import math

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


SCALES = {"phase_diffusion": (0.15, 0.3), "trial_timing": (0.03, 1.0), "trial_rate": (0.005, 1.0)}


def slopes_of_noise(asked=1.0):
    """Slopes over the logarithm of each noise scale where a neuron hardly fires: predicted latencies of 0.1 to 100 s.

    Args:
        asked: Factor of the scales at which the density is asked, of those that trains were drawn with.
    """
    design = Design(
        current_pa=torch.tensor([-70.0, 5.0, 10.0, 15.0], dtype=torch.float64),
        end_ms=torch.full((4,), 400.0, dtype=torch.float64),
        summary_names=("resting_voltage_mv",),
    )
    latency = torch.tensor([1e5, 2000.0, 500.0, 100.0], dtype=torch.float64)[:, None]
    interval = torch.tensor([8000.0, 600.0, 250.0, 120.0], dtype=torch.float64)[:, None]
    times = (latency + interval * torch.arange(12, dtype=torch.float64)).expand(N, -1, -1)
    made = torch.Generator().manual_seed(2)
    truth = {
        name: median * torch.exp(log_sd * torch.randn(N, generator=made, dtype=torch.float64))
        for name, (median, log_sd) in SCALES.items()
    }

    def trains(scales):
        return SpikeTrains(times, design, error(0.03), scale=torch.ones(N).double(), timing_ms=0.05, **scales)

    torch.manual_seed(3)
    drawn = trains(truth).sample()
    logs = {name: (value.log() + math.log(asked)).requires_grad_() for name, value in truth.items()}
    density = trains({name: value.exp() for name, value in logs.items()}).log_prob(drawn)
    found = torch.autograd.grad(density.sum(), list(logs.values()))
    return drawn, dict(zip(logs, found, strict=True))


def test_noise_scales_are_known_where_a_neuron_hardly_fires():
    """Slopes over noise; their power is the next test's: few wild densities can hide a bias in the standard error."""
    drawn, slope = slopes_of_noise()
    assert 0.05 < float(torch.isfinite(drawn[:, 1:3, 0]).double().mean()) < 0.5  # there is something to be known
    assert {name: round(z(s), 1) for name, s in slope.items() if abs(z(s)) > LIMIT} == {}


def test_scales_that_are_a_fifth_wrong_are_seen_there():
    """Where noise grew without end these stood at +1 standard error: slopes of thousands drowned them."""
    _, slope = slopes_of_noise(asked=1.2)
    assert z(slope["trial_timing"]) < -LIMIT
    assert z(slope["phase_diffusion"]) < -LIMIT


def test_a_hyperpolarised_neuron_does_not_fire_whatever_its_noise():
    """Its predicted latency is minutes; with a law of growth without end 1.6 % of these fired within 400 ms."""
    drawn, _ = slopes_of_noise()
    assert float(torch.isfinite(drawn[:, 0, 0]).double().mean()) < 1e-3
