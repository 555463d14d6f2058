"""Of steps longer than the decoder's a part was looked at: page, methods and files say which."""

import json
from dataclasses import replace

import pytest

from noble_prob.cells import load_cell
from noble_prob.ensemble import draw, respond
from noble_prob.examination import examine_posterior
from noble_prob.inference import infer, to_datatree, to_json
from noble_prob.inference.looked import looked_at, observe_steps
from noble_prob.inference.restore import read_posterior
from noble_prob.recording import Protocol, Recording
from noble_prob.report import render
from noble_prob.report.parts import examination_report

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
