"""Who made a result: cell, decoder, version, noise and labels go from one object to the next, and to the page."""

import json
from dataclasses import replace

import pytest
import torch
from cli_example import call

import noble_prob as nb
from noble_prob.calibration import FeatureTable
from noble_prob.inference import write_posterior
from noble_prob.noise import Scale
from noble_prob.recording.made import made_by
from noble_prob.report.parts import ensemble_report, examination_report
from noble_prob.report.parts.methods import posterior_methods
from noble_prob.sampling import sample_ensemble

SHIPPED = ("pvalb-689331391", "vip-650077366")
KNOWN = {"cell": "toy", "decoder_sha256": "none", "made_by": made_by()}


@pytest.fixture(scope="module")
def cell():
    return nb.load_cell("toy")


@pytest.fixture(scope="module")
def posterior(cell):
    return nb.infer(cell.demo[0], decoder=cell.decoder, prior=cell.prior, method="importance", draws=100)


def common(provenance):
    return {name: provenance[name] for name in KNOWN if name in provenance}


def test_draws_responses_and_posteriors_name_cell_decoder_and_version(cell, posterior):
    neurons = nb.draw(cell.prior, 2, seed=1)
    ensemble = nb.respond(cell.decoder, neurons, [100.0])
    for made in (neurons, ensemble, posterior, posterior.neurons):
        assert common(made.provenance) == KNOWN
    assert ensemble.provenance["neurons"] == neurons.provenance
    own = nb.fit_prior(neurons=replace(cell.models, labels=()))
    assert "cell" not in nb.draw(own, 2, seed=1).provenance
    bare = nb.respond(replace(cell.decoder, identity={}), neurons, [100.0]).provenance
    assert "cell" not in bare
    assert bare["decoder"] == "ToyDecoder"


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_cell_names_itself(name):
    cell = nb.load_cell(name)
    for made in (cell.decoder.identity, cell.prior.provenance, nb.draw(cell.prior, 1, seed=0).provenance):
        assert made["cell"] == name
        assert made["decoder_sha256"] == cell.card["weights_sha256"]
        assert "cell_folder" not in made


def test_a_trial_model_leaves_its_trace(cell):
    neurons, usual = nb.draw(cell.prior, 2, seed=1), nb.TrialModel.usual(cell.decoder.space)
    given = [None, usual, replace(usual, phase_diffusion=0.4), replace(usual, latent_tril=2 * usual.latent_tril)]
    made = [nb.respond(cell.decoder, neurons, [100.0], trials=2, trial_model=m).provenance for m in given]
    assert made[0] == made[1]
    assert made[0]["trial_model"]["trace"]["electrode_mv"] == 0.1
    assert len({json.dumps(m) for m in made}) == 3
    one, more = (nb.respond(cell.decoder, neurons, [100.0], trials=n).provenance for n in (1, 3))
    assert one != more
    assert "trial_model" not in nb.respond(cell.decoder, neurons, [100.0]).provenance


def test_labels_go_from_the_draw_to_the_table(cell, tmp_path):
    some = nb.draw(cell.prior, 5, seed=1).select([4, 1, 3])
    assert some.labels == ("4", "1", "3")
    ensemble = nb.respond(cell.decoder, some, [100.0], trials=3)
    assert ensemble.labels == some.labels
    assert ensemble.members([2, 0], axis="neuron").labels == ("3", "4")
    assert ensemble.members([2, 0, 1], axis="trial").labels == some.labels
    one = nb.measure(ensemble.members(0, axis="trial").members([1, 2], axis="neuron"), names=["resting_voltage_mv"])
    table = FeatureTable.from_features(one, axis="neuron", sweep=0)
    assert table.labels == ("1", "3")
    repeats = nb.measure(ensemble.members(1, axis="neuron"), names=["resting_voltage_mv"])
    assert FeatureTable.from_features(repeats, axis="trial", sweep=0).labels == ()
    table.to_csv(tmp_path / "a.csv")
    assert FeatureTable.from_csv(tmp_path / "a.csv", axis="neuron").labels == ("1", "3")


def test_methods_name_cell_likelihood_and_noise(posterior):
    def said(**changed):
        (text,) = posterior_methods([replace(posterior, provenance={**posterior.provenance, **changed})])
        return text

    usual = said()
    assert "the decoder of toy (SHA-256 none)" in usual
    assert "summary features (Student-t)" in usual
    assert "over noise" not in usual
    assert "summary features (Gaussian)" in said(robust=False)
    noise = posterior.provenance["noise_prior"]
    simulated = nb.NoisePrior.simulated()
    assert "noiseless simulation" in said(noise_prior=json.loads(json.dumps(simulated, default=vars)))
    other = vars(Scale(median=0.5))
    assert "differ from the usual ones in trial_rate" in said(noise_prior={**noise, "trial_rate": other})


def test_pages_carry_what_made_them(cell, posterior):
    from noble_prob.examination import examine_posterior

    page = examination_report(examine_posterior(posterior, cell), "page")
    assert page.provenance["noise_prior"] == posterior.provenance["noise_prior"]
    assert page.provenance["recording"] == posterior.provenance["recording"]
    assert "<dt>noise_prior</dt>" not in nb.render(page, "html")
    assert json.loads(nb.render(page, "json"))["provenance"]["noise_prior"]
    sampled = ensemble_report(sample_ensemble(cell, draws=2, current_pa=100.0, seed=3)).provenance
    assert common(sampled) == KNOWN
    assert (sampled["prior"], sampled["seed"]) == ("gaussian", 3)


def test_report_says_where_a_file_names_no_cell(cell, posterior, tmp_path, capsys):
    unnamed = {k: v for k, v in posterior.provenance.items() if k not in ("cell", "decoder_sha256")}
    write_posterior(replace(posterior, provenance=unnamed), tmp_path / "a.nc")
    assert call("report", tmp_path / "a.nc", "--out", tmp_path / "page") == 2
    assert "`posterior` should be one that names its cell" in capsys.readouterr().err
    write_posterior(posterior, tmp_path / "a.nc")
    assert call("report", tmp_path / "a.nc", "--out", tmp_path / "page", "--quiet") == 0
    assert torch.isfinite(posterior.latents).all()
