"""What the page on the command line says about JSON files is what the verbs write, key by key."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli_example import QUICK, call

from noble_prob.cells import load_cell
from noble_prob.readers import write_npz

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")


def told(name: str) -> set[str]:
    """Words in code type of the paragraph, or the line of one, that begins with a name."""
    (text,) = re.findall(rf"^`{re.escape(name)}`: ((?:.|\n)*?)(?=\n\n|\n`\w+`: |\Z)", PAGE, re.MULTILINE)
    return set(re.findall(r"`(\w+)`", text))


def missing(name: str, path: Path, *parts: str) -> list[str]:
    """Keys of a file, and of some of its parts, that the page does not name."""
    written = json.loads(path.read_text())
    keys = {*written, *(key for part in parts for key in written[part])}
    return sorted(keys - told(name))


@pytest.fixture(scope="module")
def repeated(tmp_path_factory) -> Path:
    """A recording of a toy neuron that repeats a step."""
    path = tmp_path_factory.mktemp("keys") / "cell.npz"
    write_npz(load_cell("toy").demo[0].select([0, 1, 1, 2]), path)
    return path


def test_a_paragraph_is_told_from_the_next():
    assert {"n", "rank_ecdf_inside_band", "shape"} <= told("sbc")
    assert "train_models" not in told("sbc")
    assert "rank_ecdf_inside_band" not in told("evaluate")


def test_posterior(repeated):
    out = repeated.parent / "posterior"
    assert call("infer", repeated, *QUICK, "--noiseless", "--out", out, "--quiet") == 0
    assert missing("posterior.json", out / "posterior.json") == []


def test_report(repeated):
    out = repeated.parent / "report"
    assert call("calibrate", repeated, *QUICK, "--out", out, "--quiet") == 0
    assert missing("report.json", out / "report.json", "predictive") == []


def test_sbc(tmp_path):
    out = tmp_path / "sbc.json"
    few = ("--n", 20, "--method", "hmc", "--chains", 2, "--draws", 20, "--seed", 1)
    assert call("sbc", "--cell", "toy", *few, "--json", out, "--quiet") == 0
    assert missing("sbc", out, "joint") == []


def test_evaluate(tmp_path, monkeypatch, capsys):
    """The toy's own answer in place of a simulation; of three models one, as where the simulation was stopped."""
    toy = load_cell("toy")
    models = replace(toy.models, value=toy.models.value[:2], labels=("0", "1"))
    held_out = replace(toy.models, value=toy.models.value[2:3], labels=("5",))
    monkeypatch.setattr("noble_prob.cells.load_cell", lambda *_, **__: replace(toy, models=models, held_out=held_out))
    reference, (recording, _) = tmp_path / "reference", toy.demo
    reference.mkdir()
    later = recording.time_ms.numpy() + 3.0  # the step of a reference begins at 15 ms
    v = [np.interp(np.arange(0.0, 530.0, 0.02), later, row) for row in recording.voltage_mv.numpy()]
    amps = recording.protocol.amplitudes_pa.numpy() / 1000.0
    np.savez_compressed(reference / "s1_h0.npz", V=np.round(np.array(v) * 100).astype(np.int16), scale=0.01, amps=amps)
    out = tmp_path / "evaluate.json"
    assert call("evaluate", "--cell", "toy", "--reference", reference, "--json", out, "--quiet") == 0
    said = capsys.readouterr()
    assert "1 of the cell's 3 models have a reference; missing: 1, 5." in said.err
    assert "nan" not in said.out
    assert json.loads(out.read_text())["without_reference"] == [1, 5]
    assert missing("evaluate", out) == []
