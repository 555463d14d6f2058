"""The trial model of repeats: its density, recovery of known scales, and forecasts that hold what they promise."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from noble_prob.calibration import calibrate_repeats
from noble_prob.calibration.pit import interval_coverage, pit
from noble_prob.calibration.trials import (
    fit_trials,
    forecast_table,
    observed_table,
    repeats_of,
    train_table,
    trial_model,
)
from noble_prob.decoder.toy import ToyDecoder, toy_space
from noble_prob.ensemble import respond
from noble_prob.errors import UsageError
from noble_prob.latent import Neurons
from noble_prob.noise.repeats import JITTER_MS, RepeatFit, SpikeRepeats, contrasts, log_likelihood, pieces
from noble_prob.noise.timing import TimingScatter
from noble_prob.noise.trial import TrialModel

TRUTH = (0.12, 0.02, 0.4)
STIMULI = ((20.0, 25.0), (12.0, 14.0), (6.0, 9.0))


def simulate(n, seed, cells=2):
    """Repeats from the model itself: latency and interval of each stimulus, window of 400 ms."""
    rng = np.random.default_rng(seed)
    groups = []
    for _ in range(cells):
        for latency, interval in STIMULI:
            trains = []
            for _ in range(n):
                mu = np.full(60, interval)
                walk = TRUTH[2] * np.sqrt(mu**3 / 1000) * rng.standard_normal(60)
                isi = mu * (1 + TRUTH[1] * rng.standard_normal()) + walk
                times = latency * (1 + TRUTH[0] * rng.standard_normal()) + np.r_[0, np.maximum(isi, 0.1).cumsum()]
                trains.append(torch.tensor(times[times < 400]))
            groups.append(trains)
    size = len(groups)
    return SpikeRepeats(
        times_ms=groups,
        end_ms=[400.0] * size,
        cell=[str(k // 3) for k in range(size)],
        current_pa=[60.0, 120.0, 180.0] * cells,
    )


def test_density_is_that_of_the_dense_gaussian():
    repeats = simulate(6, 1, cells=1)
    data = pieces(repeats)
    scales = torch.tensor([[0.1, 0.03, 0.5], [0.2, 0.001, 0.3], [0.05, 0.1, 0.2]]).double()
    fast, dense = log_likelihood(data, scales), []
    for g, (latency, rate, sigma) in enumerate(scales):
        mu = data.mean_ms[g, data.used[g]]
        block = torch.diag(sigma**2 * mu[1:] ** 3 / 1000 + 2 * JITTER_MS**2) + rate**2 * torch.outer(mu[1:], mu[1:])
        full = torch.block_diag(((latency * mu[0]) ** 2 + JITTER_MS**2)[None, None], block)
        normal = torch.distributions.MultivariateNormal(torch.zeros(len(mu)).double(), full)
        rows = data.contrast_ms[g][:, data.used[g]]
        dense.append(normal.log_prob(rows).sum() + 0.5 * rows.numel() * np.log(2 * np.pi))
    torch.testing.assert_close(fast, torch.stack(dense))


def test_contrasts_forget_the_mean_and_keep_the_covariance():
    x = torch.randn(4000, 5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mixed = x @ torch.tensor([[1.0, 0, 0], [0.5, 1, 0], [0, 0.3, 2]]).double().T
    moved = torch.stack([contrasts(row + 7.0) for row in mixed])
    torch.testing.assert_close(moved, torch.stack([contrasts(row) for row in mixed]))
    found = torch.cov(moved.flatten(0, 1).T)
    torch.testing.assert_close(found, torch.cov(mixed.flatten(0, 1).T), atol=0.12, rtol=0.05)
    first, second = moved[:, 0, 0], moved[:, 1, 0]
    assert abs(float(torch.corrcoef(torch.stack([first, second]))[0, 1])) < 0.05


@pytest.fixture(scope="module")
def fit():
    return fit_trials(simulate(12, 2), draws=60, warmup=60, seed=3)


def test_known_scales_are_recovered(fit):
    """From 66 degrees of freedom latency and rate are known to 9 and 11 %: some 3 % of right fits are 25 % off.

    Fewer than five of six intervals of 94 % hold in at most 5 %. A scale 1.5 times too large is caught in nine of ten.
    """
    middle = fit.scales.median(0).values.log().mean(0).exp()
    assert middle.tolist() == pytest.approx(TRUTH, rel=0.25)
    low, high = torch.quantile(fit.scales, torch.tensor([0.03, 0.97]).double(), dim=0)
    inside = (low <= torch.tensor(TRUTH)) & (torch.tensor(TRUTH) <= high)
    assert inside.float().mean() >= 0.75
    assert fit.r_hat < 1.3  # of ranks, and few draws: 1.08, 1.15 and 1.16 for three seeds


def test_forecasts_cover_new_repeats_and_have_their_spread(fit):
    """The bounds are tight for a latency known to 9 %: about one right fit in six breaks them, this one does not.

    An SD that is halved or doubled moves the coverage to 0.58 or above 0.99 and is always caught.
    """
    new = simulate(60, 4)
    covered, ratio = [], []
    for group in range(len(new.cell)):
        predicted = forecast_table(fit, group, n=1500, seed=group).value
        observed = observed_table(new, group).value
        u = pit(observed.T, predicted.T, seed=0)
        covered.append(interval_coverage(u, 0.89))
        ratio.append(np.log(np.nanstd(predicted, 0) / np.nanstd(observed, 0)))
    timing = [0, 1, 2, 4]  # count, latency, mean interval, last spike
    assert np.mean(covered, 0)[timing] == pytest.approx(0.89, abs=0.05)
    assert np.abs(np.mean(ratio, 0)[timing]).max() < np.log(1.2)


def test_fitted_forecasts_pass_on_new_repeats_and_halved_or_doubled_ones_are_caught(fit):
    """One test at a level of 3 %, the false-alarm rate; the power is shown for one data set, not estimated."""
    new, group = simulate(12, 5), 1
    predicted, observed = forecast_table(fit, group, seed=1), observed_table(new, group)
    timing = ("first_spike_latency_ms", "mean_isi_ms", "last_spike_ms")
    centre = np.nanmean(predicted.value, 0)
    caught = {}
    for factor in (0.5, 1.0, 2.0):
        wrong = replace(predicted, value=centre + factor * (predicted.value - centre)).select(timing)
        caught[factor] = calibrate_repeats(observed.select(timing), wrong, permutations=499, seed=1).miscalibrated
    assert caught == {0.5: True, 1.0: False, 2.0: True}


def test_fitted_scales_reach_the_ensemble(fit):
    space = toy_space()
    found = trial_model(fit, space)
    assert found.latent_tril.abs().max() == 0  # trains alone say nothing about voltages
    latency, rate = found.timing.at(torch.tensor([60.0, 90.0, 500.0]))
    assert latency.tolist() == pytest.approx([TRUTH[0]] * 3, rel=0.35)
    assert rate.max() < 0.05
    assert found.phase_diffusion == pytest.approx(TRUTH[2], rel=0.25)
    neuron = Neurons(space=space, value=space.mean[None], axis="neuron")
    repeats = repeats_of(respond(ToyDecoder(), neuron, [180.0], trials=5, trial_model=found, seed=1))
    assert len(repeats.times_ms) == 1
    assert len(repeats.times_ms[0]) == 5
    table = observed_table(repeats, 0)
    assert table.axis == "trial"
    assert np.nanstd(table.column("first_spike_latency_ms")) > 0
    with pytest.raises(UsageError, match="fitted cell"):
        trial_model(fit, space, cell="nobody")


@pytest.mark.parametrize(("r_hat", "told"), [(1.009, False), (1.038, True), (float("nan"), True)])
def test_a_fit_whose_chains_do_not_agree_is_used_with_a_warning(r_hat, told):
    scales = torch.tensor(TRUTH).double().expand(20, 6, 3)
    fit = RepeatFit(repeats=simulate(3, 2), scales=scales, cells=("0", "1"), r_hat=r_hat, divergences=0, seed=0)
    for use in (lambda: trial_model(fit, toy_space()), lambda: forecast_table(fit, 0, n=5)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            use()
        assert any("chains of the trial model have not settled" in str(w.message) for w in caught) == told


def test_latency_that_varies_leaves_intervals_alone():
    """Moved through latents, a latency of 30 % also changed the rate: mean intervals scattered as none was fitted."""
    timing = TimingScatter(
        current_pa=torch.tensor([100.0, 200.0]).double(),
        latency=torch.tensor([0.3, 0.1]).double(),
        rate=torch.tensor([0.0, 0.02]).double(),
    )
    train = torch.tensor([20.0, 30.0, 42.0, torch.inf]).double().expand(4000, 4)
    for pa, latency, rate in ((50.0, 0.3, 0.0), (150.0, 0.2, 0.01), (200.0, 0.1, 0.02)):
        moved = timing.move(train, torch.full((4000,), pa), torch.Generator().manual_seed(1))
        assert (moved[:, 0] / 20).std() == pytest.approx(latency, rel=0.05)
        assert ((moved[:, 2] - moved[:, 0]) / 22).std() == pytest.approx(rate, rel=0.05, abs=1e-9)
        assert torch.isinf(moved[:, 3]).all()
        assert (torch.diff(moved[:, :3]) > 0).all()


def test_the_trial_model_scatters_spikes_as_its_fit_says():
    """At a latency of 100 ms phase diffusion would move the first spike by 10 ms where 2 were fitted."""
    latency, rate, sigma = 0.02, 0.01, 0.3
    timing = TimingScatter(
        current_pa=torch.tensor([30.0]).double(),
        latency=torch.tensor([latency]).double(),
        rate=torch.tensor([rate]).double(),
    )
    model = TrialModel(latent_tril=torch.zeros(1, 1), timing=timing, phase_diffusion=sigma)
    train = torch.tensor([100.0, 140.0, 180.0, torch.inf]).double().expand(4000, 4)
    moved = model.scatter(train, torch.full((4000,), 30.0), torch.Generator().manual_seed(2))
    assert moved[:, 0].std() == pytest.approx(latency * 100, rel=0.05)
    interval = (40.0**3 / 1000 * sigma**2 + (rate * 40) ** 2) ** 0.5
    assert (moved[:, 1] - moved[:, 0]).std() == pytest.approx(interval, rel=0.05)
    assert (moved[:, 1] - moved[:, 0]).mean() == pytest.approx(40.0, abs=0.2)
    assert torch.isinf(moved[:, 3]).all()


def test_without_fitted_shares_the_first_spike_diffuses_too():
    model = TrialModel(latent_tril=torch.zeros(1, 1), phase_diffusion=0.3)
    train = torch.tensor([100.0, 140.0]).double().expand(4000, 2)
    moved = model.scatter(train, torch.full((4000,), 30.0), torch.Generator().manual_seed(3))
    assert moved[:, 0].std() == pytest.approx(0.3 * 1000**0.5, rel=0.05)


def test_silent_repeats_are_refused_where_nothing_can_be_fitted():
    silent = SpikeRepeats(
        times_ms=[[torch.empty(0), torch.tensor([3.0])]], end_ms=[400.0], cell=["a"], current_pa=[10.0]
    )
    with pytest.raises(UsageError, match="stronger steps"):
        fit_trials(silent)
    assert np.isnan(train_table(np.full((1, 1), np.inf), source="none").column("first_spike_latency_ms")).all()
