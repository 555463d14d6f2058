"""An amortised posterior looks at a set, is a density, and belongs to one decoder and prior."""

from dataclasses import replace

import pytest
import torch
from amortised_example import QUIET, quiet_toy, toy_estimator, toy_prior, toy_problems

from noble_prob.amortised import Estimator, fingerprint
from noble_prob.calibration.sbc import sbc
from noble_prob.decoder.toy import ToyDecoder
from noble_prob.errors import UsageError
from noble_prob.findings.registry import judge
from noble_prob.inference import amortise, infer_evidence
from noble_prob.inference.belongs import probe, stranger
from noble_prob.inference.observe import stack
from noble_prob.inference.task import Task
from noble_prob.noise import NoisePrior, scales


@pytest.fixture(scope="module")
def toy():
    decoder = quiet_toy()
    prior = toy_prior(decoder)
    return decoder, prior, toy_problems(decoder, prior, 3, noise=QUIET)


@pytest.fixture(scope="module")
def estimator(toy):
    decoder, prior, _ = toy
    return toy_estimator(decoder, prior, noise=QUIET, steps=60)


def test_neither_order_nor_padding_matters(toy, estimator):
    evidence = toy[2][0]
    turned = evidence.take(torch.tensor([2, 0, 1]))
    alone = evidence.take(torch.tensor([0]))
    padded = estimator.given(stack([alone, evidence]))
    for a, b in ((estimator.given(evidence), estimator.given(turned)), (estimator.given(alone), padded)):
        assert torch.allclose(a.centre[0], b.centre[0], atol=1e-5)
        assert torch.allclose(a.scale[0], b.scale[0], atol=1e-5)


def test_it_is_a_density(toy, estimator):
    """Weighted by its own density, draws of a wide Gaussian have mean weight one."""
    about = estimator.given(toy[2][0])
    x = torch.randn(40_000, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    broad = about.centre[0] + 1.5 * x @ about.scale[0].T
    log_q = -0.5 * x.square().sum(-1) - 2.5 * torch.log(torch.tensor(2 * torch.pi))
    log_q = log_q - torch.linalg.slogdet(1.5 * about.scale[0]).logabsdet
    ratio = (about.log_prob(broad) - log_q).exp()
    assert float(ratio.mean()) == pytest.approx(1.0, abs=5 * float(ratio.std()) / 200)


def test_it_survives_the_disk_and_refuses_damage(estimator, toy, tmp_path):
    estimator.save(tmp_path)
    again = Estimator.load(tmp_path)
    a, b = estimator.given(toy[2][1]), again.given(toy[2][1])
    assert torch.allclose(a.sample(5, seed=1), b.sample(5, seed=1), atol=1e-4)
    raw = (tmp_path / "npe.safetensors").read_bytes()
    (tmp_path / "npe.safetensors").write_bytes(raw[:-100] + bytes(100))
    with pytest.raises(UsageError, match="unaltered weights"):
        Estimator.load(tmp_path)


def test_a_fingerprint_names_decoder_and_prior(toy):
    decoder, prior, _ = toy
    assert fingerprint(decoder, prior) == fingerprint(quiet_toy(), toy_prior(decoder))
    assert fingerprint(decoder, prior) != fingerprint(ToyDecoder(), prior)
    wider = replace(prior, tensors={**prior.tensors, "loc": prior.tensors["loc"] + 0.1})
    assert fingerprint(decoder, prior) != fingerprint(decoder, wider)


def test_an_estimator_of_another_decoder_is_left_aside_with_a_note(toy, estimator):
    decoder, prior, problems = toy
    other = replace(decoder, error=replace(decoder.error, rate_log_sd=0.05))
    found = infer_evidence(
        problems[:1],
        decoder=other,
        prior=prior,
        method="npe",
        estimator=estimator,
        seed=1,
        robust=False,
        noise=QUIET,
        draws=50,
    )[0]
    assert found.method == "importance"
    assert [note.code for note in found.notes] == ["NP104"]
    assert "another decoder or prior" in found.notes[0].sentence
    with pytest.raises(UsageError, match="train-npe"):
        infer_evidence(problems[:1], decoder=decoder, prior=prior, method="npe")


def test_nothing_is_said_of_modes_that_nobody_looked_for(toy, estimator):
    """The method npe climbs from where its network points to: "one mode" would be a promise that was not kept."""
    decoder, prior, problems = toy
    shared = {"decoder": decoder, "prior": prior, "seed": 1, "robust": False, "noise": QUIET, "draws": 50}
    for recordings in (problems[:1], [*problems, *problems]):  # by strides, and by climbs of many at once
        found = infer_evidence(recordings, method="npe", estimator=estimator, **shared)[0]
        assert found.method == "npe"
        assert "modes" not in found.provenance
        assert "NP103" not in {f.code for f in judge(found)}
    looked = infer_evidence(problems[:1], method="importance", **shared)[0]
    assert looked.provenance["modes"] == 1


def test_an_estimator_of_another_program_is_refused(toy, estimator, tmp_path, monkeypatch):
    """A changed scale of the noise changes the density: `infer` says so and does without, `sbc` says so and stops."""
    decoder, prior, problems = toy
    usual = NoisePrior()
    answers = probe(decoder, prior, noise=usual, robust=False)
    replace(estimator, noise=usual, probe=answers).save(tmp_path)
    known = Estimator.load(tmp_path)
    assert known.noise == usual
    assert stranger(known, decoder, prior, noise=usual) == ""
    assert stranger(known, decoder, prior, noise=QUIET) == ""  # the caller's wish; weights make up for it
    assert "program" in stranger(estimator, decoder, prior, noise=usual)  # trained for QUIET
    assert "program" in stranger(replace(known, probe=()), decoder, prior, noise=usual)
    assert "sweeps" in stranger(replace(known, answers=()), decoder, prior, noise=usual)
    monkeypatch.setitem(scales.USUAL, decoder.summary_names[0], 1.05 * scales.usual_sd(decoder.summary_names[0]))
    assert stranger(known, decoder, prior, noise=usual) == "another version of the program"
    found = infer_evidence(problems[:1], decoder=decoder, prior=prior, method="npe", estimator=known, seed=1, draws=50)
    assert found[0].method == "importance"
    assert "another version of the program" in found[0].notes[0].sentence
    assert "train-npe" in found[0].notes[0].remedy
    with pytest.raises(UsageError, match=r"another version of the program.*train-npe"):
        sbc(Task(decoder=decoder, prior=prior, method="npe", estimator=known), problems[0].design, 20)


def test_training_continues_to_the_same_weights(toy, tmp_path, monkeypatch):
    """Killed after the last state it wrote and called again: as if it had never stopped."""
    decoder, prior, problems = toy
    pools = [amortise.draw_pool(decoder, prior, noise=QUIET, robust=False, n=2000, seed=1)]
    monkeypatch.setattr(amortise, "draw_pool", lambda *a, **k: pools[0])
    whole = toy_estimator(decoder, prior, noise=QUIET, steps=16)
    loss, calls = amortise.FlowTask.loss, [0]

    def killed(self, rows):
        calls[0] += 1
        if calls[0] == 13:
            raise KeyboardInterrupt
        return loss(self, rows)

    with monkeypatch.context() as patch:
        patch.setattr(amortise.FlowTask, "loss", killed)
        with pytest.raises(KeyboardInterrupt):
            toy_estimator(decoder, prior, noise=QUIET, steps=16, folder=tmp_path)
    resumed = toy_estimator(decoder, prior, noise=QUIET, steps=16, folder=tmp_path)
    a, b = whole.given(problems[0]), resumed.given(problems[0])
    assert torch.allclose(a.centre, b.centre, atol=1e-6)
