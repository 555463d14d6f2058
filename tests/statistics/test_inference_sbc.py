"""Simulation-based calibration of the sampler on the toy, with its power: one experiment, four verdicts.

False alarms: the bands are at 99 % over all latents, and the joint test is compared with 0.5 %, so a right sampler
fails this file in about 1.5 % of seeds; the seed is fixed. Power: posteriors of half the SD, and posteriors shifted
by half an SD, must be caught by both.
"""

import time

import pytest
import torch

from noble_prob.calibration.sbc import sbc
from noble_prob.cells import load_cell
from noble_prob.decoder.toy import ToyDecoder
from noble_prob.errors import UsageError
from noble_prob.inference.task import Task
from noble_prob.latent import Neurons
from noble_prob.noise import Design
from noble_prob.priors import fit_prior

N = 150


@pytest.fixture(scope="module")
def result():
    decoder = ToyDecoder()
    x = torch.randn(60, 5, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    prior = fit_prior(Neurons(space=decoder.space, value=decoder.space.unstandardise(x), axis="neuron"), "gaussian")
    design = Design(
        current_pa=torch.tensor([-110.0, 100.0, 200.0]).double(),
        end_ms=torch.full((3,), 150.0).double(),
        summary_names=decoder.summary_names,
    )
    task = Task(decoder=decoder, prior=prior, chains=3, warmup=60, draws=67)
    return sbc(task, design, N, seed=1, batch=N)


@pytest.mark.slow
def test_ranks_are_uniform_and_intervals_cover(result):
    report = result.to_dict()
    assert all(report["rank_ecdf_inside_band"].values())
    assert report["joint_p_value"] > 0.005
    slack = 3.0 * (0.25 / N) ** 0.5  # three binomial SDs
    assert all(abs(share - 0.5) < slack for share in report["coverage_50"].values())
    assert all(abs(share - 0.89) < slack * 0.63 for share in report["coverage_89"].values())


@pytest.mark.slow
@pytest.mark.parametrize("change", [{"scale": 0.5}, {"scale": 2.0}, {"shift": 0.5}])
def test_wrong_posteriors_are_caught(result, change):
    wrong = result.distorted(**change)
    caught = [not inside for inside in wrong.inside_band().values()]
    assert all(caught)
    assert wrong.to_dict()["joint_p_value"] < 1e-4


def test_too_few_draws_are_refused_before_any_work():
    """The report's joint test needs more than five draws per latent; a run of hours must not end with that sentence."""
    decoder = ToyDecoder()
    prior = load_cell("toy").prior
    design = Design(
        current_pa=torch.tensor([100.0]).double(),
        end_ms=torch.tensor([150.0]).double(),
        summary_names=decoder.summary_names,
    )
    began = time.perf_counter()
    with pytest.raises(UsageError, match="more than 25 draws of 5 latents"):
        sbc(Task(decoder=decoder, prior=prior), design, 100_000, keep=20)
    assert time.perf_counter() - began < 1
