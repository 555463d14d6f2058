"""``infer --leave-out``: sweeps that are held back are predicted, and nothing of them reaches the posterior."""

import json
from dataclasses import replace

import pytest
from cli_example import QUICK, call, complaint

from noble_prob.cells import load_cell
from noble_prob.ensemble import draw, respond
from noble_prob.readers import write_npz


@pytest.fixture(scope="module")
def left_out(tmp_path_factory, toy_file):
    """The answer without sweep 2."""
    out = tmp_path_factory.mktemp("left") / "out"
    assert call("infer", toy_file, *QUICK, "--leave-out", "2", "--out", out, "--quiet") == 0
    return json.loads((out / "posterior.json").read_text())


def test_the_sweep_is_foretold(left_out):
    told = left_out["left_out"]
    assert told["sweeps"] == ["+180 pA"]
    assert told["p_misfit"] > 0.01
    assert told["findings"][0]["code"] == "NP220"
    assert "held back" in told["findings"][0]["sentence"]


def test_the_posterior_is_that_of_the_others(left_out, tmp_path, toy_file):
    assert call("infer", toy_file, *QUICK, "--sweeps", "0,1,3", "--out", tmp_path / "out", "--quiet") == 0
    alone = json.loads((tmp_path / "out" / "posterior.json").read_text())
    assert alone["latents"] == left_out["latents"]
    assert "left_out" not in alone


def test_a_sweep_of_another_neuron_is_an_issue(tmp_path, capsys):
    cell = load_cell("toy")
    own = cell.demo[0]
    other = respond(cell.decoder, draw(cell.prior, 1, seed=9), own.protocol.amplitudes_pa)
    voltage = own.voltage_mv.clone()
    voltage[3] = other.voltage_mv[0, 3].to(voltage)
    write_npz(replace(own, voltage_mv=voltage), tmp_path / "mixed.npz")
    arguments = ["infer", tmp_path / "mixed.npz", *QUICK, "--leave-out", "3", "--out", tmp_path / "out", "--quiet"]
    assert call(*arguments) == 0
    assert "What was held back is not what the posterior foretells" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("given", "word"), [("9", "sweeps among 0"), ("0-3", "all of them"), ("a", "numbers and ranges")]
)
def test_wrong_sweeps_are_refused(given, word, tmp_path, toy_file, capsys):
    arguments = ["infer", toy_file, *QUICK, "--leave-out", given, "--out", tmp_path / "out", "--quiet"]
    assert word in complaint(capsys, tmp_path, arguments)


def test_many_recordings_have_no_sweep_to_leave_out(tmp_path, toy_file, capsys):
    arguments = ["infer", toy_file, "--each", *QUICK, "--leave-out", "1", "--out", tmp_path / "out", "--quiet"]
    assert "infer one of them" in complaint(capsys, tmp_path, arguments)
