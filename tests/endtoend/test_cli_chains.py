"""A wait for chains is announced with its reason, or declined."""

import json

import pytest
import torch
from cli_example import call

from noble_prob.cells import load_cell
from noble_prob.inference.task import SETTINGS
from noble_prob.readers import write_npz
from noble_prob.recording import Recording


@pytest.fixture
def failing(monkeypatch):
    """Weights that are never believed, and short chains."""
    monkeypatch.setattr("noble_prob.inference.instead.BELIEVABLE", -9.0)
    monkeypatch.setattr("noble_prob.findings.np104_weights.BELIEVABLE", -9.0)
    for method in ("hmc", "nuts"):
        monkeypatch.setitem(SETTINGS, method, (20, 40))


def strange(path):
    """A recording of the toy, 15 mV off."""
    recording = load_cell("toy").demo[0]
    other = Recording(protocol=recording.protocol, voltage_mv=recording.voltage_mv + torch.tensor(15.0))
    write_npz(other, path)
    return path


ASKED = ("--cell", "toy", "--method", "importance", "--draws", 40, "--seed", 1)


def test_the_reason_comes_before_the_chains(failing, tmp_path, capsys):
    file = strange(tmp_path / "strange.npz")
    assert call("infer", file, *ASKED, "--out", tmp_path / "out") == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "chains" in line]
    assert len(said) == 1
    for words in (
        "strange.npz: the quick posterior can not be trusted (Pareto k = ",
        "outside the decoder's support",
        "resting voltage",
        "can take minutes",
        "Ctrl-C",
        "--no-chains",
    ):
        assert words in said[0]
    assert json.loads((tmp_path / "out" / "posterior.json").read_text())["method"] == "nuts"


def test_chains_are_declined(failing, tmp_path, capsys):
    file = strange(tmp_path / "strange.npz")
    assert call("infer", file, *ASKED, "--no-chains", "--out", tmp_path / "out") == 0
    assert "minutes" not in capsys.readouterr().err
    found = json.loads((tmp_path / "out" / "posterior.json").read_text())
    assert found["method"] == "importance"
    assert {f["code"]: f["severity"] for f in found["findings"]}["NP104"] == "issue"


def test_a_folder_tells_it_in_each_result(failing, tmp_path, capsys):
    (tmp_path / "day").mkdir()
    for name in ("a.npz", "b.npz"):
        strange(tmp_path / "day" / name)
    for kept in ((), ("--no-chains",)):
        out = tmp_path / f"out{len(kept)}"
        assert call("infer", tmp_path / "day", *ASKED, *kept, "--out", out) == 0
        assert "quick posterior" not in capsys.readouterr().err
        assert json.loads((out / "run.json").read_text())["fall_back"] == (not kept)
        for name in ("a", "b"):
            (path,) = out.glob(f"{name}*/posterior.json")
            (said, *_) = [f for f in json.loads(path.read_text())["findings"] if f["code"] == "NP104"]
            assert said["severity"] == ("issue" if kept else "caution")


@pytest.mark.parametrize("verb", ["infer", "calibrate"])
def test_where_nothing_is_weighted_there_is_nothing_to_decline(verb, toy_file, tmp_path, capsys):
    assert call(verb, toy_file, "--cell", "toy", "--method", "hmc", "--no-chains", "--out", tmp_path / "out") == 2
    assert "--no-chains would be ignored: hmc weights no draws" in capsys.readouterr().err
