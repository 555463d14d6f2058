"""What varies between sweeps: extremes come out larger, shapes of small deflections vary more."""

import pytest
import torch

from noble_prob.decoder.base import DecoderError
from noble_prob.noise import Design, Summaries
from noble_prob.noise.scales import usual_at

NAMES = ("resting_voltage_mv", "sag_mv", "membrane_time_constant_ms")
CURRENT = torch.tensor([-110.0, -55.0, -5.0], dtype=torch.float64)


def summaries(kappa):
    error = DecoderError(latency_log_sd=0.0, rate_log_sd=0.0, current_length_pa=50.0, residual_ms=0.0,
                         summary_sd=torch.tensor([1e-3, 1e-3, 1e-3], dtype=torch.float64))  # fmt: skip
    design = Design(current_pa=CURRENT, end_ms=torch.full((3,), 400.0).double(), summary_names=NAMES)
    return Summaries(torch.zeros(3, 3).double(), design, error, scale=torch.tensor(1.0).double(),
                     kappa=torch.tensor(kappa).double())  # fmt: skip


def test_draws_have_the_moments_of_the_density():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        x = summaries(1.0).sample((4000,))
    sd = usual_at(NAMES, CURRENT)
    assert torch.allclose(x.std(0), sd, rtol=0.06)
    assert sd[:, 2] / sd[0, 2] == pytest.approx([1.0, 2.0, 6.0])
    assert torch.allclose(x.mean(0)[:, 1], 1.1 * sd[:, 1], atol=0.03)
    assert float((x.mean(0)[:, 0] / sd[:, 0]).abs().max()) < 0.08


def test_without_noise_nothing_is_shifted():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        x = summaries(0.0).sample((200,))
    assert float(x.abs().max()) < 0.01


def test_the_density_is_highest_where_draws_lie():
    s = summaries(1.0)
    at = torch.zeros(3, 3).double()
    beyond = at.clone()
    beyond[:, 1] = 1.1 * usual_at(NAMES, CURRENT)[:, 1]
    assert float(s.log_prob(beyond)) > float(s.log_prob(at)) + 1.0
