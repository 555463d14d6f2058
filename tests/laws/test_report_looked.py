"""What a page says about its own figures: how much of a step was looked at, in which unit, what was not drawn."""

import json
from dataclasses import replace

import numpy as np
import pytest

from noble_prob.cells import load_cell
from noble_prob.ensemble import draw, respond
from noble_prob.examination import examine_posterior
from noble_prob.inference import infer, to_datatree, to_json
from noble_prob.inference.looked import looked_at, observe_steps
from noble_prob.inference.restore import read_posterior
from noble_prob.recording import Protocol, Recording
from noble_prob.report import ReportData, render
from noble_prob.report.parts import ensemble_overlays, examination_report
from noble_prob.report.parts.pairs import latent_pairs, told_apart
from noble_prob.report.parts.traces import spread

STEPS = (-110.0, 100.0, 180.0)


@pytest.fixture(scope="module")
def cell():
    return load_cell("toy")


@pytest.fixture(scope="module")
def long(cell):
    """Steps of 450 ms, where the decoder knows 400."""
    whole = respond(cell.decoder, draw(cell.prior, 1, seed=3), STEPS)
    protocol = Protocol.step_family(list(STEPS), duration_ms=450.0, dt_ms=0.125)
    return Recording(protocol=protocol, voltage_mv=whole.voltage_mv[0])


@pytest.fixture(scope="module")
def posterior(cell, long):
    return infer(long, decoder=cell.decoder, prior=cell.prior, method="importance", seed=1)


def test_page_and_files_say_how_much_of_a_step_was_looked_at(cell, posterior, tmp_path):
    said = "first 400 ms of 450 ms steps"
    assert to_json(posterior)["looked_at"] == said
    to_datatree(posterior).to_netcdf(tmp_path / "posterior.nc")
    again = read_posterior(tmp_path, decoder=cell.decoder, prior=cell.prior)
    report = examination_report(examine_posterior(again, cell), "cell.abf")
    page = render(report, "html")
    features, methods = page.index('id="features"'), page.index('id="methods"')
    assert said in page[features:methods]
    assert said in page[methods:]
    assert said in " ".join(json.loads(render(report, "json"))["methods"])


def test_steps_that_were_seen_whole_get_no_word(cell, long, posterior):
    protocol = Protocol.step_family(list(STEPS), duration_ms=400.0, dt_ms=0.125)
    whole = observe_steps(Recording(protocol=protocol, voltage_mv=long.voltage_mv), cell.decoder)
    assert looked_at(replace(posterior, provenance={"recording": whole.source})) == ""
    assert looked_at(replace(posterior, provenance={})) == ""
    some = {"recording": {"step_ms": [400.0, 450.0, 1000.0]}}
    assert looked_at(replace(posterior, provenance=some)) == "first 400 ms of 450 to 1000 ms steps (2 of 3 sweeps)"


def test_the_curve_is_a_rate(cell, posterior):
    """Spikes per second of what was looked at, of recording, median and bands alike."""
    found = examine_posterior(posterior, cell)
    curve = next(c for c in examination_report(found, "cell.abf").fi if c.title == "f-I curve")
    assert curve.ylabel == "mean rate (Hz)"
    counts = posterior.evidence.counts.numpy() / 0.4
    assert curve.observed.tolist() == [[a, c] for a, c in zip(STEPS, counts, strict=True)]
    drawn = posterior.predictive.counts.double().numpy() / 0.4
    some = [STEPS.index(c) for c in curve.current_pa]
    assert np.allclose(curve.bands[0.89][1], np.quantile(drawn, 0.945, axis=0)[some])
    assert np.allclose(curve.median, np.median(drawn, axis=0)[some])
    assert curve.median.max() > counts.max() / 2 > 0


def test_the_strongest_step_is_shown_and_the_page_says_what_is_not(cell):
    """In whatever order they were recorded."""
    steps = [0.0, 180.0, 20.0, 40.0, 60.0, 80.0, -50.0]
    found = respond(cell.decoder, draw(cell.prior, 3, seed=1), steps)
    overlays = ensemble_overlays(found)
    assert len(overlays) == 6
    titles = " ".join(o.title for o in overlays)
    assert "+180 pA" in titles
    assert "−50 pA" in titles
    page = render(replace(ReportData(title="page"), overlays=overlays), "html")
    assert page.count("6 of 7 sweeps shown") == 1
    assert {o.shown for o in ensemble_overlays(found, most_sweeps=7)} == {""}
    assert spread([3.0, 9.0, 1.0, 2.0], 2) == [1, 2]
    assert spread([], 6) == []


def test_the_bar_is_as_long_as_the_recorded_step_and_draws_end_with_theirs(cell, long):
    found = respond(cell.decoder, draw(cell.prior, 2, seed=1), STEPS)
    panel = ensemble_overlays(found, long)[0]
    assert panel.stimulus_ms == (0.0, 450.0)
    assert np.isnan(panel.ensemble_mv[:, panel.time_ms > 400]).all()
    assert np.isfinite(panel.ensemble_mv[:, panel.time_ms <= 400]).all()
    assert np.isfinite(panel.observed_mv[:, panel.time_ms < 450]).all()
    page = render(ReportData(title="x", overlays=[panel]), "html")
    assert "draws end with the decoder&#39;s step, at 400 of 450 ms" in page
    alone = ensemble_overlays(found)[0]
    assert (alone.stimulus_ms, alone.note) == ((0.0, 400.0), "")
    assert np.isfinite(alone.ensemble_mv).all()


def test_repeats_that_are_not_drawn_are_told(cell):
    found = respond(cell.decoder, draw(cell.prior, 3, seed=1), [100.0] * 5)
    (overlay,) = ensemble_overlays(
        found, Recording(protocol=found.protocol, voltage_mv=found.voltage_mv[0]), most_members=2
    )
    assert overlay.title == "2 of 5 sweeps, +100 pA"
    assert len(overlay.observed_mv) == len(overlay.ensemble_mv) == 2


def test_pairs_have_the_names_and_units_of_the_table(cell):
    """Logarithms of ms in ms, on a logarithmic axis."""
    space = cell.prior.space
    k = space.names.index("log_mean_isi_180pa")
    draws = draw(cell.prior, 50, seed=1).value.numpy()
    truth = draws[0]
    panel = latent_pairs(space, [0, k], posterior=draws, prior=draws, population=None, truth=truth)
    assert list(panel.names) == ["resting voltage", "mean interval at 180 pA"]
    assert list(panel.units) == ["mV", "ms"]
    assert panel.log == (False, True)
    assert np.allclose(panel.prior, np.stack([draws[:, 0], np.exp(draws[:, k])], -1))
    assert np.allclose(panel.truth, [truth[0], np.exp(truth[k])])
    assert panel.population is None


def test_of_latents_that_go_together_one_is_shown():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 400))
    draws = np.stack([a, -a + 0.1 * b, b, 0 * a, a + b], -1)
    assert told_apart(draws, [1, 0, 2, 3, 4], 6) == [1, 2, 3, 4]
    assert told_apart(draws, [0, 1, 2, 3, 4], 2) == [0, 2]
