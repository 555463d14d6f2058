"""`sample` with several steps and repeats: arrays, features of each step, and the page."""

import json

import numpy as np
import pytest

from noble_prob.cells import load_cell
from noble_prob.cli import main
from noble_prob.cli.sample import said
from noble_prob.ensemble import draw, respond
from noble_prob.features import measure
from noble_prob.report.parts import ensemble_report
from noble_prob.sampling import sample_ensemble

STEPS = (-60.0, 100.0, 200.0)


def call(*command: object) -> int:
    return main([str(part) for part in command])


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp("sample")
    asked = ("sample", "--cell", "toy", "--draws", 5, "--trials", 4, "--current-pa", *STEPS, "--seed", 3)
    assert call(*asked, "--out", out, "--quiet") == 0
    with np.load(out / "ensemble.npz") as data:
        return out, dict(data)


def test_repeats_of_several_steps_are_those_of_respond(written):
    """The file holds what the Python call answers, neuron by neuron, repeat by repeat, step by step."""
    _, data = written
    cell = load_cell("toy")
    neurons = draw(cell.prior, 5, seed=3)
    expected = respond(cell.decoder, neurons, STEPS, trials=4, seed=3)
    assert data["voltage_mv"].shape == (5, 4, 3, 4096)
    assert np.array_equal(data["voltage_mv"], expected.voltage_mv.numpy())
    assert data["current_pa"].tolist() == list(STEPS)


def test_every_step_has_its_features(written):
    out, _ = written
    summary = json.loads((out / "summary.json").read_text())
    assert summary["current_pa"] == list(STEPS)
    assert summary["trials"] == 4
    count, _ = measure(
        respond(load_cell("toy").decoder, draw(load_cell("toy").prior, 5, seed=3), STEPS, trials=4, seed=3),
        names=("spike_count",),
    )["spike_count"]
    for k, table in enumerate(summary["features"]):
        assert table["spike_count"]["n"] == 20
        assert table["spike_count"]["mean"] == pytest.approx(float(count[..., k].mean()))
        assert summary["spiking"][k] == int((count[..., k] > 0).any(1).sum())
    assert summary["features"][0]["sag_mv"]["n"] == 20
    assert summary["features"][1]["sag_mv"]["n"] == 0


def test_the_page_shows_traces_curve_repeats_and_latents(written):
    page = (written[0] / "report.html").read_text()
    for text in ("novel neurons, +100 pA", "f-I curve", "repeats of two neurons, +200 pA", "published models"):
        assert text in page


def test_the_curve_is_the_median_over_neurons_of_their_mean_over_repeats():
    ensemble = sample_ensemble(load_cell("toy"), draws=6, current_pa=[200.0, 100.0], trials=3, seed=1)
    (curve,) = ensemble_report(ensemble).fi
    count = ensemble.features["spike_count"][0].double().mean(1).median(0)
    assert curve.current_pa.tolist() == [100.0, 200.0]
    assert curve.ylabel == "mean rate (Hz)"
    each = ensemble.features["spike_count"][0].double().mean(1).numpy() / 0.4  # spikes per second of a step of 400 ms
    assert curve.median.tolist() == np.median(each, 0)[::-1].tolist()
    assert float(count.values[0]) != float(count.values[1])


@pytest.mark.parametrize(("current", "said"), [(0.15, "0.15 pA: if you mean nA, write 150."), (0.0, ""), (1.0, "")])
def test_a_current_that_may_be_in_na_gets_a_hint(current, said, tmp_path, capsys):
    asked = (
        "sample",
        "--cell",
        "toy",
        "--draws",
        2,
        "--current-pa",
        100,
        current,
        "--out",
        tmp_path / "out",
        "--quiet",
    )
    assert call(*asked) == 0
    assert capsys.readouterr().err == (f"noble-prob sample: {said}\n" if said else "")


def test_beyond_the_decoder_s_currents_by_request_alone(tmp_path, capsys):
    asked = ("sample", "--cell", "toy", "--draws", 2, "--current-pa", 100, 900, "--out", tmp_path / "out", "--quiet")
    assert call(*asked) == 2
    assert "900 pA" in capsys.readouterr().err
    assert call(*asked, "--extrapolate") == 0


def test_one_step_keeps_plain_numbers(tmp_path):
    assert call("sample", "--cell", "toy", "--draws", 2, "--current-pa", 100, "--out", tmp_path, "--quiet") == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["current_pa"], summary["trials"]) == (100.0, None)
    with np.load(tmp_path / "ensemble.npz") as data:
        assert data["voltage_mv"].shape == (2, 4096)
        assert data["current_pa"].shape == ()


def test_the_line_counts_in_english():
    """One neuron, several, none."""

    def of(draws, *spiking):
        table = {"spike_count": {"mean": 1.5}}
        return said(
            {
                "draws": draws,
                "cell": "toy",
                "current_pa": [10.0] * len(spiking),
                "spiking": list(spiking),
                "features": [table] * len(spiking),
            }
        )

    assert of(3, 0, 1, 2) == "3 neurons like toy: " + "; ".join(
        f"at 10 pA {how}, 1.5 spikes on average" for how in ("none spikes", "1 neuron spikes", "2 neurons spike")
    )
    assert of(1, 1).startswith("1 neuron like toy: ")
