"""Leaving a sweep out by ArviZ is leaving it out: the same as inferring the others and asking them about it.

Sweeps share errors of the decoder, so a recording's likelihood is no product over sweeps, and importance weights need a
sweep's density given the others. With its density as if it were alone, the sums below are off by 6 and 2 nats.
"""

import math

import arviz as az
import pytest
import torch

import noble_prob as nb
from noble_prob.calibration.sbc import recordings_from_program
from noble_prob.inference import infer_evidence
from noble_prob.inference.predict import likelihoods
from noble_prob.inference.task import Task
from noble_prob.noise import Design, NoisePrior

CURRENTS = [-110.0, 60.0, 120.0, 180.0]


@pytest.fixture(scope="module")
def cell():
    return nb.load_cell("toy")


def recorded(cell, noise, seed):
    current = torch.tensor(CURRENTS, dtype=torch.float64)
    design = Design(
        current_pa=current, end_ms=torch.full_like(current, 400.0), summary_names=cell.decoder.summary_names
    )
    _, (evidence,) = recordings_from_program(cell.decoder, cell.prior, design, 1, noise=noise, robust=True, seed=seed)
    return evidence


def inferred(cell, noise, evidence):
    (found,) = infer_evidence(
        [evidence], decoder=cell.decoder, prior=cell.prior, noise=noise, method="importance", draws=500, seed=1
    )
    return found


def others(k):
    return torch.tensor([j for j in range(len(CURRENTS)) if j != k])


@pytest.mark.parametrize(("noise", "seed"), [(NoisePrior.simulated(), 4), (NoisePrior(), 3)])
def test_leaving_one_sweep_out_is_inferring_the_others(cell, noise, seed):
    evidence = recorded(cell, noise, seed)
    found = inferred(cell, noise, evidence)
    tree = az.from_dict(
        {"posterior": {"z": found.standardised.numpy()}, "log_likelihood": {"sweep": found.log_likelihood.numpy()}}
    )
    left_out = az.loo(tree, pointwise=True).elpd_i.values
    exact = []
    for k in range(len(CURRENTS)):
        rest = inferred(cell, noise, evidence.take(others(k)))
        values = {"z": rest.standardised, **rest.scales}
        task = Task(decoder=cell.decoder, prior=cell.prior, noise=noise, robust=True, method="importance")
        every, fewer = (likelihoods(task.density(e), values, e)[1] for e in (evidence, evidence.take(others(k))))
        exact.append(float(torch.logsumexp((every - fewer).flatten(), 0)) - math.log(every.numel()))
    assert sum(left_out) == pytest.approx(sum(exact), abs=1.0)
    assert abs(left_out - torch.tensor(exact).numpy()).max() < 0.8


def test_a_sweep_given_the_others_is_the_whole_over_the_others(cell):
    """As the program has it, for recordings of any number of sweeps; one alone has nothing to be given."""
    noise, evidence = NoisePrior(), recorded(cell, NoisePrior(), 3)
    task = Task(decoder=cell.decoder, prior=cell.prior, noise=noise, robust=True, method="importance")
    generator = torch.Generator().manual_seed(1)
    values = task.density(evidence).unpack(
        torch.randn(1, 5, task.density(evidence).size, generator=generator).double()
    )[0]
    given, whole = likelihoods(task.density(evidence), values, evidence)
    for k in range(len(CURRENTS)):
        rest = evidence.take(others(k))
        torch.testing.assert_close(given[..., k], whole - likelihoods(task.density(rest), values, rest)[1])
    one = evidence.take(torch.tensor([2]))
    given, whole = likelihoods(task.density(one), values, one)
    torch.testing.assert_close(given[..., 0], whole)
