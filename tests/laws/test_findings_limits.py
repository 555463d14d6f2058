"""Limits of findings are where their pages say they are: each is judged just inside and just outside."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from noble_prob.decoder.toy import ToyDecoder
from noble_prob.findings.registry import judge
from noble_prob.inference import Posterior, Predictive
from noble_prob.noise import Design, Evidence

SPACE = ToyDecoder().space


def posterior(summary_mv=-70.0, **given):
    """A silent sweep whose resting voltage lies somewhere among draws of a standard normal around -70 mV."""
    n, current = 400, torch.tensor([-110.0]).double()
    design = Design(current_pa=current, end_ms=torch.tensor([400.0]).double(), summary_names=("resting_voltage_mv",))
    times, normal = torch.full((1, 1), torch.inf).double(), torch.special.ndtri((torch.arange(n) + 0.5).double() / n)
    summary = torch.tensor([[summary_mv]]).double()
    latents = SPACE.unstandardise(torch.randn(n, len(SPACE), generator=torch.Generator().manual_seed(0)).double())
    replays = Predictive(times_ms=times.expand(n, 1, 1), summary=-70.0 + normal[:, None, None], latents=latents)
    return replace(
        Posterior(
            space=SPACE,
            latents=latents.reshape(2, n // 2, -1),
            scales={},
            log_likelihood=torch.zeros(2, n // 2, 1),
            stats={},
            evidence=Evidence(design=design, times_ms=times, summary=summary),
            predictive=replays,
            prior_predictive=replays,
            method="exact",
            seed=0,
            wall_s=0.0,
        ),
        **given,
    )


def said(result, code):
    return [f for f in judge(result) if f.code == code]


def about(**sizes):
    """Draws that hardly differ, but do: chains must not seem to stand still."""
    normal = torch.randn(2, 200, generator=torch.Generator().manual_seed(1)).double()
    return {name: value * (1 + 1e-6 * normal) for name, value in sizes.items()}


@pytest.mark.parametrize(
    ("site", "caution", "issue"),
    [
        ("decoder_excess", 2.0, 5.0),  # three and six times the error on validation
        ("phase_diffusion", 1.0, 2.0),  # an interval at 50 Hz varies by 14 and 28 %
        ("trial_timing", 0.2, 0.4),
        ("trial_rate", 0.05, 0.1),
        ("trial_rest", 3.0, 5.0),
        ("trial_passive", 3.0, 5.0),
        ("trial_shape", 3.0, 5.0),
    ],
)
def test_np106_is_as_strict_as_its_page(site, caution, issue):
    """A rate that has to differ by 50 % between sweeps says more about the model than about the cell."""
    for size, severity in (
        (0.98 * caution, "passed"),
        (1.02 * caution, "caution"),
        (0.98 * issue, "caution"),
        (1.02 * issue, "issue"),
    ):
        (found,) = said(posterior(scales=about(**{site: size})), "NP106")
        assert (found.severity, found.evidence[site]) == (severity, pytest.approx(size, rel=1e-4))


def test_np106_judges_by_the_worst_size_and_is_silent_without_noise():
    (found,) = said(posterior(scales=about(trial_rest=0.5, trial_rate=0.06, trial_shape=1.0)), "NP106")
    assert found.severity == "caution"
    assert found.sentence == "The recording is explained by noise: the rate differs between sweeps by 6.0 % at 50 Hz."
    assert said(posterior(), "NP106") == []


def test_np106_says_that_a_phase_that_runs_away_is_noise():
    (found,) = said(posterior(scales=about(phase_diffusion=6.9, trial_rate=0.01)), "NP106")
    assert found.severity == "issue"
    assert "explained by noise" in found.sentence
    assert "the phase diffuses by 6.9 spikes/s^1/2" in found.sentence


@pytest.mark.parametrize(
    ("quantile", "distance", "severity", "reason"),
    [
        (0.006, 0.99, "passed", "occur in the decoder's population"),
        (0.004, 0.99, "issue", "outermost 0.5 % of the population"),
        (0.006, 1.01, "issue", "1.01 times as far out as the decoder's training data"),
    ],
)
def test_np107_looks_at_where_the_posterior_has_gone(quantile, distance, severity, reason):
    """Features may be ordinary while the latents that give them are none of the population's."""
    far = about(density_quantile=quantile, support=distance)
    (found,) = said(posterior(membership=far), "NP107")
    assert (found.severity, found.evidence["prior_density_quantile"]) == (severity, pytest.approx(quantile, rel=1e-4))
    assert reason in found.sentence


@pytest.mark.parametrize(("sd", "severity"), [(2.1, "passed"), (2.35, "caution"), (2.8, "caution"), (3.1, "issue")])
def test_np107_places_the_recording_among_draws_of_the_population(sd, severity):
    """Its p value is twice that of the one feature: above 0.05, below it, and below 0.01."""
    (found,) = said(posterior(summary_mv=-70.0 + sd), "NP107")
    assert found.severity == severity
    p = found.evidence["p_prior_predictive"]
    assert {"passed": p > 0.05, "caution": 0.01 < p <= 0.05, "issue": p <= 0.01}[severity]
