"""Against answers that are known: the toy's closed form for both samplers, quadrature on a grid, a dense likelihood.

The closed form needs the observed vector (log latency, log interval, features) to be Gaussian around a linear
function of the latents, which the program gives when single-spike noise is negligible and no sweep comes near the
edge of silence. Many short chains give as many draws as few long ones and take fewer passes through the program.
"""

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch.distributions import MultivariateNormal

from noble_prob.decoder.toy import ToyDecoder, exact_posterior
from noble_prob.inference import infer_evidence
from noble_prob.inference.density import LogDensity
from noble_prob.inference.predict import predict
from noble_prob.latent import Neurons
from noble_prob.noise import Design, Evidence, NoisePrior, SpikeTrains
from noble_prob.noise.trains import smooth_covariance
from noble_prob.priors import Prior, fit_prior
from noble_prob.program import program

CURRENTS = torch.tensor([-110.0, 120.0, 190.0], dtype=torch.float64)
QUIET = replace(NoisePrior.exact(), timing_ms=1e-3)


@pytest.fixture(scope="module")
def decoder():
    toy = ToyDecoder()
    return replace(toy, error=replace(toy.error, residual_ms=0.005, count_slack=0.01))


@pytest.fixture(scope="module")
def prior(decoder) -> Prior:
    x = torch.randn(60, 5, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return fit_prior(Neurons(space=decoder.space, value=decoder.space.unstandardise(x), axis="neuron"), "gaussian")


@pytest.fixture(scope="module")
def problems(decoder, prior) -> list[Evidence]:
    design = Design(current_pa=CURRENTS, end_ms=torch.full((3,), 400.0).double(), summary_names=decoder.summary_names)
    model = partial(program, decoder, prior, design, noise=QUIET)
    blank = Evidence(design=design, times_ms=torch.full((3, 1), torch.inf).double(), summary=torch.zeros(3, 3).double())
    drawn = predict(model, prior, None, blank, n=20, seed=2)
    return [Evidence(design=design, times_ms=t, summary=s) for t, s in zip(drawn.times_ms, drawn.summary, strict=True)]


def _observed(evidence: Evidence) -> torch.Tensor:
    """(log latency, log interval, resting, deflection, peak) of every sweep."""
    t = torch.where(torch.isfinite(evidence.times_ms), evidence.times_ms, torch.nan)
    n = evidence.counts[:, None]
    last = t.gather(1, (n - 1).clamp(min=0))[:, 0]
    interval = torch.where(n[:, 0] > 1, (last - t[:, 0]) / (n[:, 0] - 1), torch.nan)
    return torch.cat([torch.stack([t[:, 0].log(), interval.log()], 1), evidence.summary], 1)


def _closed_form(decoder, prior, evidence):
    """Posterior mean and SD of the standardised latents."""
    error, zero = decoder.error, torch.tensor(0.0).double()
    sds = (error.latency_log_sd, error.rate_log_sd, *error.summary_sd.tolist())
    blocks = smooth_covariance(CURRENTS, error, (zero,) * len(sds), sds)  # feature-major
    order = torch.arange(15).reshape(5, 3).T.flatten()
    mean, cov = exact_posterior(
        decoder,
        CURRENTS,
        _observed(evidence),
        blocks[order][:, order],
        prior_mean=prior.moments[0],
        prior_covariance=prior.moments[1],
    )
    return mean, cov.diagonal().sqrt()


def _compare(posterior, decoder, prior, evidence, slack=1.0):
    mean, sd = _closed_form(decoder, prior, evidence)
    x = posterior.standardised.flatten(0, 1)
    assert float(((x.mean(0) - mean) / sd).abs().max()) < 0.1 * slack
    assert float((x.std(0) / sd).log().abs().max()) < 0.1 * slack


@pytest.mark.slow
def test_batched_chains_equal_the_closed_form_on_twenty_problems(decoder, prior, problems):
    posteriors = infer_evidence(
        problems,
        decoder=decoder,
        prior=prior,
        method="hmc",
        robust=False,
        seed=1,
        noise=QUIET,
        chains=16,
        warmup=80,
        draws=125,
    )
    for posterior, evidence in zip(posteriors, problems, strict=True):
        _compare(posterior, decoder, prior, evidence)


def test_nuts_equals_the_closed_form(decoder, prior, problems):
    posterior = infer_evidence(
        [problems[0]],
        decoder=decoder,
        prior=prior,
        method="nuts",
        robust=False,
        seed=1,
        noise=QUIET,
        chains=16,
        warmup=80,
        draws=100,
    )[0]
    _compare(posterior, decoder, prior, problems[0])


def test_the_likelihood_equals_a_dense_gaussian_with_a_gaussian_tail(decoder):
    """Woodbury in a rotated basis against one big covariance matrix, with diffusion, trials and timing errors on."""
    toy = ToyDecoder()
    design = Design(
        current_pa=torch.tensor([60.0, 150.0, -50.0]).double(),
        end_ms=torch.tensor([400.0, 300.0, 400.0]).double(),
        summary_names=toy.summary_names,
    )
    predicted = toy.spike_times(toy.space.mean, design.current_pa)[:, :40]
    sigma, trial, rate = torch.tensor([0.3, 0.04, 0.02]).double()
    timing = 0.1
    trains = SpikeTrains(
        predicted,
        design,
        toy.error,
        scale=torch.tensor(1.0).double(),
        phase_diffusion=sigma,
        trial_timing=trial,
        trial_rate=rate,
        timing_ms=timing,
    )
    torch.manual_seed(0)
    value = trains.sample()
    e2 = toy.error.residual_ms**2 + timing**2
    x, row, kind = [], [], []
    for s in range(3):
        t = value[s][torch.isfinite(value[s])]
        gaps = torch.diff(t, prepend=torch.zeros(1).double())
        x, row = [*x, gaps], row + [s] * len(gaps)
        kind += [0] + [1] * (len(gaps) - 1) if len(gaps) else []
    row, kind, gap = torch.tensor(row), torch.tensor(kind), torch.cat(x)
    predicted_gap = torch.diff(predicted, dim=-1, prepend=torch.zeros(3, 1).double())
    r = gap.log() - torch.cat([predicted_gap[s, : len(x[s])] for s in range(3)]).log()
    ends = 1 + (kind == 1).double()  # a latency has one uncertain end, an interval two
    felt = (predicted_gap**-8.0 + 400.0**-8.0) ** -0.125  # noise grows no further
    diffusion = sigma**2 / 1000 * torch.where(kind == 0, felt[row, 0], gap)
    r = r + diffusion * kind - 0.5 * ends * e2 / gap**2  # for variances of intervals being those at the observed ones
    noise = torch.diag(diffusion + ends * e2 / gap**2)
    for i in range(len(gap) - 1):
        if row[i] == row[i + 1]:
            noise[i, i + 1] = noise[i + 1, i] = -e2 / gap[i] / gap[i + 1]
    second = (felt[:, 1] / 20.0) ** 1.75
    rates = rate * second / (1 + second / 100.0)
    first = (felt[:, 0] / 10.0).sqrt()
    effects = smooth_covariance(
        design.current_pa,
        toy.error,
        (trial * first / (1 + first / 100.0), rates),
        (toy.error.latency_log_sd, toy.error.rate_log_sd),
    )
    index = kind * 3 + row
    dense = MultivariateNormal(torch.zeros(len(gap)).double(), noise + effects[index][:, index])
    tail = 0.0
    gain = effects[:, index] @ torch.linalg.inv(noise + effects[index][:, index])
    mean, cov = gain @ r, effects - gain @ effects[index]
    for s in range(3):
        n = len(x[s])
        k = s if n == 0 else 3 + s
        left = design.end_ms[s] - (x[s].sum() if n else 0.0)
        step = predicted_gap[s, n]
        slack = 2 * toy.error.residual_ms**2 + timing**2 + torch.pi**2 / 3 * toy.error.count_slack**2
        next_ms = step * mean[k].exp() if n else step
        diffused = sigma**2 / 1000 * (next_ms**-8.0 + 400.0**-8.0) ** -0.125
        variance = cov[k, k] + diffused + slack / step**2
        tail += torch.special.log_ndtr((step.log() + mean[k] - left.log()) / variance.sqrt())
    expected = dense.log_prob(r) - gap.log().sum() + tail
    assert float((trains.log_prob(value) - expected).abs()) < 1e-6


def test_samplers_equal_a_grid_where_censoring_bends_the_posterior(decoder, prior):
    """One silent sweep near rheobase: latency is only bounded from below. Two latents free, brute force on a grid."""
    mean = torch.zeros(5).double()
    tril = torch.diag(torch.tensor([1e-3, 1e-3, 1.0, 1.0, 1e-3]).double())
    narrow = Prior(kind="gaussian", space=prior.space, tensors={"loc": mean, "scale_tril": tril}, points=prior.points)
    design = Design(
        current_pa=torch.tensor([0.0, 150.0]).double(),
        end_ms=torch.tensor([400.0, 60.0]).double(),
        summary_names=decoder.summary_names,
    )
    times = torch.full((2, 3), torch.inf).double()
    times[1, :2] = torch.tensor([20.0, 41.0])
    evidence = Evidence(design=design, times_ms=times, summary=torch.full((2, 3), torch.nan).double())
    toy = replace(decoder, error=replace(decoder.error, latency_log_sd=0.4, rate_log_sd=0.2))
    density = LogDensity(partial(program, toy, narrow, design, evidence, noise=QUIET))
    axis = torch.linspace(-5, 5, 151).double()
    grid = torch.zeros(151 * 151, 5).double()
    grid[:, 2], grid[:, 3] = axis.repeat_interleave(151), axis.repeat(151)
    with torch.no_grad():
        weight = torch.softmax(torch.cat([density(part) for part in grid.split(20000)]), 0).reshape(151, 151)
    draws = infer_evidence(
        [evidence],
        decoder=toy,
        prior=narrow,
        method="hmc",
        robust=False,
        seed=3,
        noise=QUIET,
        chains=40,
        warmup=80,
        draws=70,
    )[0].standardised.flatten(0, 1)
    for k, marginal in ((2, weight.sum(1)), (3, weight.sum(0))):
        centre = (marginal * axis).sum()
        spread = (marginal * (axis - centre) ** 2).sum().sqrt()
        assert abs(float((draws[:, k].mean() - centre) / spread)) < 0.1
        assert abs(float((draws[:, k].std() / spread).log())) < 0.1
