"""Every method against the toy's closed form, on twenty problems."""

import pytest
import torch
from amortised_example import CURRENTS, QUIET, quiet_toy, toy_estimator, toy_prior, toy_problems

from noble_prob.decoder.toy import exact_posterior
from noble_prob.inference import infer_evidence
from noble_prob.noise.trains import smooth_covariance


@pytest.fixture(scope="module")
def toy():
    decoder = quiet_toy()
    prior = toy_prior(decoder)
    return decoder, prior, toy_problems(decoder, prior, 20, noise=QUIET)


def closed_form(decoder, prior, evidence):
    """Posterior mean and SD of the standardised latents."""
    t = torch.where(torch.isfinite(evidence.times_ms), evidence.times_ms, torch.nan)
    n = evidence.counts[:, None]
    last = t.gather(1, (n - 1).clamp(min=0))[:, 0]
    interval = torch.where(n[:, 0] > 1, (last - t[:, 0]) / (n[:, 0] - 1), torch.nan)
    observed = torch.cat([torch.stack([t[:, 0].log(), interval.log()], 1), evidence.summary], 1)
    error, zero = decoder.error, torch.tensor(0.0).double()
    blocks = smooth_covariance(
        CURRENTS, error, (zero,) * 5, (error.latency_log_sd, error.rate_log_sd, *error.summary_sd)
    )
    order = torch.arange(15).reshape(5, 3).T.flatten()
    mean, cov = exact_posterior(
        decoder,
        CURRENTS,
        observed,
        blocks[order][:, order],
        prior_mean=prior.moments[0],
        prior_covariance=prior.moments[1],
    )
    return mean, cov.diagonal().sqrt()


def departures(posteriors, toy):
    """Largest error of a mean (posterior SDs) and of a log SD, over problems and latents."""
    decoder, prior, problems = toy
    off, ratio = [], []
    for posterior, evidence in zip(posteriors, problems, strict=False):
        mean, sd = closed_form(decoder, prior, evidence)
        x = posterior.standardised.flatten(0, 1)
        off.append(((x.mean(0) - mean) / sd).abs().max())
        ratio.append((x.std(0) / sd).log().abs().max())
    return float(torch.stack(off).max()), float(torch.stack(ratio).max())


@pytest.mark.parametrize("method", ["importance", "npe"])
def test_weighted_methods_equal_the_closed_form_on_twenty_problems(toy, method):
    decoder, prior, problems = toy
    estimator = toy_estimator(decoder, prior, noise=QUIET) if method == "npe" else None
    found = infer_evidence(
        problems,
        decoder=decoder,
        prior=prior,
        method=method,
        robust=False,
        seed=1,
        noise=QUIET,
        draws=500,
        estimator=estimator,
    )
    assert {p.method for p in found} == {method}
    off, ratio = departures(found, toy)
    assert off < 0.1
    assert ratio < 0.1


def test_the_variational_flow_equals_the_closed_form(toy):
    """Held to the same bounds, on one problem: it takes its time."""
    decoder, prior, problems = toy
    found = infer_evidence(
        problems[:1], decoder=decoder, prior=prior, method="svi", robust=False, seed=1, noise=QUIET, draws=1000
    )
    off, ratio = departures(found, toy)
    assert off < 0.1
    assert ratio < 0.1
    assert found[0].provenance["guide_k_hat"] < 0.7
