"""A population whose mean and SDs are known is found from recordings of its neurons.

Twenty-four neurons of the toy, of a population narrower than its prior and beside its centre, are recorded with decoder
error and trial noise, inferred alone and pooled. How far the truth lies from the posterior of means (and of log SDs),
in the posterior's own covariance, is chi-squared with five degrees of freedom; each is compared with its 99.5 %
quantile, so a right method fails in about 1 % of seeds (the posterior of SDs is not quite Gaussian); the seed is fixed.
Power: the same statistic must refuse a population of twice and of half the SDs, and one shifted by one SD (three
standard errors of a mean, in five directions), all at p < 1e-4.
"""

import pytest
import torch
from scipy import stats

import noble_prob as nb
from noble_prob.calibration.sbc import recordings_from_program
from noble_prob.inference import infer_evidence
from noble_prob.noise import NoisePrior
from noble_prob.priors import HyperPrior, Prior

N, WIDTH, QUANTILE = 24, 0.6, 0.995
SHIFT = torch.tensor([0.5, -0.5, 0.4, 0.0, -0.3], dtype=torch.float64)


@pytest.fixture(scope="module")
def experiment():
    cell = nb.load_cell("toy")
    mean, covariance = cell.prior.moments
    sd = covariance.diagonal().sqrt()
    tensors = {"loc": mean + SHIFT * sd, "scale_tril": torch.diag(WIDTH * sd)}
    population = Prior(kind="gaussian", space=cell.prior.space, tensors=tensors, points=cell.prior.points)
    design = cell.steps([-110.0, 90.0, 140.0, 200.0])
    _, evidence = recordings_from_program(cell.decoder, population, design, N, noise=NoisePrior(), seed=4)
    alone = infer_evidence(
        evidence, decoder=cell.decoder, prior=cell.prior, method="importance", robust=False, seed=4, draws=200
    )
    found = nb.infer_population(
        alone,
        prior=cell.prior,
        hyper=HyperPrior(loc_sd=2.0, scale_log_sd=0.75),
        seed=4,
        chains=16,
        warmup=100,
        draws=75,
    )
    space = cell.prior.space
    return found, space.standardise(found.loc).flatten(0, 1), (found.sd / space.sd).log().flatten(0, 1), tensors


def distance(weights, draws, truth):
    """Squared distance of the truth from weighted draws, in their covariance."""
    mean = weights @ draws
    off = draws - mean
    covariance = torch.einsum("d,di,dj->ij", weights, off, off)
    return float((truth - mean) @ torch.linalg.solve(covariance, truth - mean))


def test_mean_and_sd_are_found(experiment):
    found, loc, log_sd, tensors = experiment
    assert found.k_hat < 0.7
    limit, w = stats.chi2.ppf(QUANTILE, 5), found.flat_weights
    assert distance(w, loc, tensors["loc"]) < limit
    assert distance(w, log_sd, tensors["scale_tril"].diagonal().log()) < limit
    assert float((w @ (log_sd - w @ log_sd).square()).sqrt().max()) < 0.5  # and known: a doubled SD is off by 0.7


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_another_sd_is_refused(experiment, factor):
    found, _, log_sd, tensors = experiment
    wrong = (factor * tensors["scale_tril"].diagonal()).log()
    assert stats.chi2.sf(distance(found.flat_weights, log_sd, wrong), 5) < 1e-4


def test_another_mean_is_refused(experiment):
    found, loc, _, tensors = experiment
    wrong = tensors["loc"] + tensors["scale_tril"].diagonal()
    assert stats.chi2.sf(distance(found.flat_weights, loc, wrong), 5) < 1e-4
