"""Importance sampling agrees with the chains and the closed form, and says so when it can not be believed."""

import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from arviz_stats.base import array_stats

from noble_prob.decoder.toy import ToyDecoder
from noble_prob.findings.registry import judge
from noble_prob.inference import infer_evidence
from noble_prob.inference.importance import pareto_smooth
from noble_prob.inference.predict import predict
from noble_prob.inference.task import SETTINGS
from noble_prob.latent import Neurons
from noble_prob.noise import Design, Evidence, NoisePrior
from noble_prob.priors import fit_prior
from noble_prob.program import program


@pytest.mark.parametrize("spread", [0.3, 1.0, 2.5])
def test_pareto_smoothing_equals_arviz(spread):
    raw = spread * torch.randn(1500, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    smooth, k = pareto_smooth(raw)
    for j in range(2):
        expected, shape = array_stats.psislw(-raw[:, j].numpy())  # takes log likelihoods, weights by their inverse
        assert abs(float(k[j]) - float(shape)) < 1e-9
        ours = torch.log_softmax(smooth[:, j], 0).numpy()
        np.testing.assert_allclose(ours, expected - np.logaddexp.reduce(expected), atol=1e-9)


@pytest.fixture(scope="module")
def problems():
    decoder = ToyDecoder()
    x = torch.randn(60, 5, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    prior = fit_prior(Neurons(space=decoder.space, value=decoder.space.unstandardise(x), axis="neuron"), "gaussian")
    currents = torch.tensor([-110.0, 120.0, 190.0], dtype=torch.float64)
    design = Design(current_pa=currents, end_ms=torch.full((3,), 250.0).double(), summary_names=decoder.summary_names)
    blank = Evidence(design=design, times_ms=torch.full((3, 1), torch.inf).double(), summary=torch.zeros(3, 3).double())
    drawn = predict(partial(program, decoder, prior, design, noise=NoisePrior()), prior, None, blank, n=6, seed=3)
    evidence = [
        Evidence(design=design, times_ms=t, summary=s) for t, s in zip(drawn.times_ms, drawn.summary, strict=True)
    ]
    return decoder, prior, evidence


def test_it_agrees_with_the_chains(problems):
    decoder, prior, evidence = problems
    shared = {"decoder": decoder, "prior": prior, "robust": False, "seed": 1}
    weighted = infer_evidence(evidence, method="importance", draws=700, **shared)
    chains = infer_evidence(evidence, method="hmc", chains=20, warmup=80, draws=100, **shared)
    for a, b in zip(weighted, chains, strict=True):
        sd = b.covariance().diagonal().sqrt()
        assert a.method == "importance"
        assert a.provenance["k_hat"] < 0.7
        assert float(((a.mean() - b.mean()) / sd).abs().max()) < 0.2
        assert float((a.covariance().diagonal().sqrt() / sd).log().abs().max()) < 0.15
    codes = {f.code: f.severity for f in judge(weighted[0])}
    assert codes["NP104"] == "passed"  # 4,900 draws' worth of weight, Pareto k 0.36
    assert codes["NP101"] == "not judged"


def test_it_falls_back_to_chains_when_its_weights_fail(problems, monkeypatch, capfd):
    decoder, prior, evidence = problems
    monkeypatch.setattr("noble_prob.inference.instead.BELIEVABLE", -1.0)
    for method in ("hmc", "nuts"):  # which method it is, is asked, not where its chains end
        monkeypatch.setitem(SETTINGS, method, (20, 40))
    for n, method in ((1, "nuts"), (2, "hmc")):
        found = infer_evidence(evidence[:n], decoder=decoder, prior=prior, method="importance", seed=1, draws=40)
        for result in found:
            assert result.method == method
            assert result.provenance["asked"] == "importance"
            assert [note.code for note in result.notes] == ["NP104"]
            assert "chains were run instead" in result.notes[0].sentence
            assert result.latents.shape[:2] == (4, 40)
    told = "can not be trusted"
    assert told not in capfd.readouterr().err
    infer_evidence(evidence[:1], decoder=decoder, prior=prior, method="importance", seed=1, draws=40, progress=True)
    assert re.search(
        r"The quick posterior can not be trusted \(Pareto k = -?\d\.\d\): running chains, which can take minutes; "
        r"Ctrl-C stops\.\n",
        capfd.readouterr().err,
    )


def test_chains_can_be_declined(problems, monkeypatch, capfd):
    """The weighted draws stay, and are called unbelievable; a function is asked about every recording that fails."""
    decoder, prior, evidence = problems
    monkeypatch.setattr("noble_prob.inference.instead.BELIEVABLE", -9.0)
    monkeypatch.setattr("noble_prob.findings.np104_weights.BELIEVABLE", -9.0)
    common = {"decoder": decoder, "prior": prior, "method": "importance", "seed": 1, "draws": 40, "progress": True}
    (kept,) = infer_evidence(evidence[:1], fall_back=False, **common)
    assert kept.method == "importance"
    assert "asked" not in kept.provenance
    (said,) = [f for f in judge(kept) if f.code == "NP104"]
    assert said.severity == "issue"
    assert "can not be believed" in said.sentence
    asked = []
    found = infer_evidence(evidence[:2], fall_back=lambda p: bool(asked.append(p)), **common)
    assert [p.method for p in found] == ["importance"] * 2
    assert [p.provenance["k_hat"] for p in asked] == [p.provenance["k_hat"] for p in found]
    assert "can not be trusted" not in capfd.readouterr().err


def test_findings_tell_a_stranger_from_a_member(problems):
    """Support: silent for a recording of the population, an issue for one with half the spikes and low peaks."""
    decoder, prior, evidence = problems
    strange = replace(
        evidence[0], times_ms=1.7 * evidence[0].times_ms, summary=evidence[0].summary - torch.tensor([0, 0, 40.0])
    )
    strange = replace(strange, times_ms=torch.where(strange.times_ms < 250, strange.times_ms, torch.inf))
    member, stranger = infer_evidence(
        [evidence[0], strange], decoder=decoder, prior=prior, method="importance", seed=1, draws=300
    )
    assert {f.code: f.severity for f in judge(member)}["NP107"] == "passed"
    assert {f.code: f.severity for f in judge(stranger)}["NP107"] == "issue"
    informed = [f for f in judge(member) if f.code == "NP105"]
    assert informed[0].severity == "passed"
    assert "SD" in informed[0].sentence
