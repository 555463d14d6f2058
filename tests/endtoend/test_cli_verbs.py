"""Every verb as a shell calls it, on the toy: the agreed files, clean stdout, whole artefacts or none."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import arviz as az
import numpy as np
import pytest
from cli_example import QUICK, call

from noble_prob.cells import load_cell
from noble_prob.cli import output
from noble_prob.errors import UsageError
from noble_prob.inference.restore import read_posterior
from noble_prob.readers import write_npz
from noble_prob.recording import Recording


@pytest.fixture(scope="module")
def inferred(toy_file) -> Path:
    """What `infer` wrote about it."""
    out = toy_file.parent / "posterior"
    assert call("infer", toy_file, *QUICK, "--noiseless", "--out", out, "--quiet") == 0
    return out


def test_sample_writes_the_agreed_arrays(tmp_path, capsys):
    asked = ("sample", "--cell", "toy", "--draws", 7, "--current-pa", 150, "--seed", 3)
    assert call(*asked, "--out", tmp_path / "a", "--json") == 0
    said = capsys.readouterr()
    summary = json.loads(said.out)
    assert summary == json.loads((tmp_path / "a" / "summary.json").read_text())
    assert summary["draws"] == 7
    assert said.err == ""  # a bar is for a terminal, and this is no work for lines
    with np.load(tmp_path / "a" / "ensemble.npz") as data:
        first = dict(data)
    n, t, latents = 7, 4096, 5
    assert first["voltage_mv"].shape == (n, t)
    assert first["time_ms"].shape == (t,)
    assert first["latents"].shape == (n, latents)
    assert first["latent_names"].tolist() == list(load_cell("toy").decoder.space.names)
    assert first["plausibility"].shape == (n,)
    assert ((first["plausibility"] >= 0) & (first["plausibility"] <= 1)).all()
    assert call(*asked, "--out", tmp_path / "b", "--quiet") == 0
    assert capsys.readouterr().err == ""
    with np.load(tmp_path / "b" / "ensemble.npz") as data:
        assert all(np.array_equal(data[name], first[name]) for name in first)


@pytest.mark.parametrize("current", [0.0, -60.0])
def test_sample_without_spikes(current, tmp_path):
    """Zero and hyperpolarising currents are stimuli like any other."""
    assert call("sample", "--cell", "toy", "--draws", 3, f"--current-pa={current}", "--out", tmp_path, "--quiet") == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["current_pa"] == current
    if current < 0:
        assert summary["spiking"] == 0
        assert summary["features"]["first_spike_latency_ms"] == {"unit": "ms", "n": 0, "mean": None, "sd": None}


def test_infer_writes_a_datatree_and_a_table(inferred):
    names = load_cell("toy").decoder.space.names
    tree = az.from_netcdf(inferred / "posterior.nc")
    groups = {"posterior", "sample_stats", "log_likelihood", "posterior_predictive", "prior", "observed_data"}
    assert groups <= set(tree.children)
    assert tree["posterior"][names[0]].shape == (2, 50)
    assert tree["posterior"][names[0]].attrs["units"] == "mV"
    content = json.loads((inferred / "posterior.json").read_text())
    assert set(content["latents"]) == set(names)
    for row in content["latents"].values():
        low, high = row["interval_89"]
        assert low < row["mean"] < high
        assert {"sd", "r_hat", "ess_bulk", "ess_tail"} <= set(row)
    assert content["wall_s"] > 0
    assert all({"code", "severity", "sentence"} <= set(f) for f in content["findings"])
    assert len({f["sentence"] for f in content["findings"]}) == len(content["findings"])
    truth = load_cell("toy").demo[1]
    inside = [row["interval_89"][0] <= truth[name] <= row["interval_89"][1] for name, row in content["latents"].items()]
    assert sum(inside) >= 3


def test_report_reads_back_what_infer_wrote(inferred, toy_file, tmp_path, capsys):
    assert call("report", inferred, "--cell", "toy", "--recording", toy_file, "--out", tmp_path / "page", "--json") == 0
    values = json.loads(capsys.readouterr().out)
    written = json.loads((inferred / "posterior.json").read_text())
    for name, row in written["latents"].items():
        assert values["latents"][name]["mean"] == pytest.approx(row["mean"])
        assert [values["latents"][name][k] for k in ("low", "high")] == pytest.approx(row["interval_89"])
        assert values["latents"][name]["r_hat"] == pytest.approx(row["r_hat"])
    codes = {f["code"]: f["severity"] for f in written["findings"]}
    again = {f["code"]: f["severity"] for f in values["findings"]}
    assert {code: again[code] for code in codes} == codes
    page = (tmp_path / "page" / "report.html").read_text()
    assert "Voltage in mV against time after step onset (ms)" in page
    assert "Spike raster, time after step onset (ms)" in page
    assert "time (ms)" not in page


def test_report_takes_cell_prior_and_notes_from_the_posterior(toy_file, tmp_path, capsys):
    """What was inferred under other settings than usual is reported under them, without naming them again."""
    recording = load_cell("toy").demo[0]
    short = replace(recording, provenance={**recording.provenance, "remarks": ["Of two channels this is A."]})
    write_npz(short, tmp_path / "noted.npz")
    out = tmp_path / "posterior"
    reading = ("--prior", "mixture", "--noiseless", "--ljp-mv", 3)
    assert call("infer", tmp_path / "noted.npz", *QUICK, *reading, "--out", out, "--quiet") == 0
    said = f"noted.npz\ndecoder of toy, hmc, {recording.n_sweeps} sweeps\n"
    assert capsys.readouterr().out.startswith(said)
    made = json.loads((out / "posterior.json").read_text())["provenance"]
    assert (made["cell"], made["prior"]) == ("toy", "mixture")
    assert made["recording"]["sha256"] == hashlib.sha256((tmp_path / "noted.npz").read_bytes()).hexdigest()
    assert made["recording"]["liquid_junction_potential_mv"] == 3
    assert call("report", out, "--out", tmp_path / "page", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert f"{shown['title']}\n{shown['subtitle']}\n" == said
    assert shown["provenance"]["sha256"] == made["recording"]["sha256"]
    for other in (("--prior", "gaussian"), ("--cell", "vip-650077366")):
        assert call("report", out, *other, "--out", tmp_path / "other") == 2
        assert "infer" in capsys.readouterr().err
    shifted = ("--recording", tmp_path / "noted.npz")
    assert call("report", out, *shifted, "--out", tmp_path / "other") == 2
    assert "--ljp-mv" in capsys.readouterr().err
    assert call("report", out, *shifted, "--ljp-mv", 3, "--out", tmp_path / "other", "--quiet") == 0


def test_another_decoder_of_the_same_latents_is_refused(inferred):
    """Names of latents do not tell decoders apart; the densities of the draws do."""
    cell = load_cell("toy")

    class Louder(type(cell.decoder)):
        def summary(self, latents, current_pa):
            return super().summary(latents, current_pa) + 0.5

    assert read_posterior(inferred, decoder=cell.decoder, prior=cell.prior).seed == 1
    with pytest.raises(UsageError, match="another likelihood"):
        read_posterior(inferred, decoder=Louder(), prior=cell.prior)


def test_report_refuses_another_recording(inferred, toy_file, tmp_path, capsys):
    recording = load_cell("toy").demo[0]
    write_npz(recording.select([1, 2]), tmp_path / "other.npz")
    arguments = ("report", inferred, "--cell", "toy", "--recording", tmp_path / "other.npz", "--out", tmp_path / "page")
    assert call(*arguments) == 2
    assert "steps" in capsys.readouterr().err
    assert not (tmp_path / "page").exists()


def test_demo_compares_with_the_truth(tmp_path, capsys):
    assert call("demo", *QUICK, "--neurons", 5, "--out", tmp_path / "demo", "--quiet") == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.count(" inside") + said.out.count("OUTSIDE") >= 5
    values = json.loads((tmp_path / "demo" / "report.json").read_text())
    truth = load_cell("toy").demo[1]
    assert {name: row["truth"] for name, row in values["latents"].items()} == pytest.approx(truth)
    assert sum(row["inside"] for row in values["latents"].values()) >= 3
    assert values["ensemble"]["draws"] == 5
    page = (tmp_path / "demo" / "report.html").read_text()
    assert "novel neurons" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_evaluate_writes_both_groups(tmp_path, shared_dir, capsys, monkeypatch):
    config = {"cells": [{"name": "toy", "held_out": [0]}, {"name": "other", "held_out": [2]}]}
    toy = replace(load_cell("toy"), card={"training": {"config": config}})
    monkeypatch.setattr("noble_prob.cells.load_cell", lambda *_, **__: toy)
    (tmp_path / "reference").mkdir()
    for name in ("s1_h0.npz", "s1_h2.npz"):  # this cell's held-out model, and one that shipped cells hold out
        os.symlink(shared_dir / "reference" / "pvalb-689331391" / name, tmp_path / "reference" / name)
    out = tmp_path / "metrics.json"
    assert call("evaluate", "--cell", "toy", "--reference", tmp_path / "reference", "--json", out, "--quiet") == 0
    assert "voltage_rel_l2" in capsys.readouterr().out
    values = json.loads(out.read_text())
    assert values["train_models"]["n_traces"] == 24 - len(values["excluded_currents_pa"])
    assert values["excluded_currents_pa"] == [-110.0, 180.0]  # those of the toy's latents
    assert (values["held_out_models"]["n_traces"], values["held_out_models"]["n_models"]) == (24, 1)
    assert values["train_models"]["n_models"] == 1
    assert values["train_models"]["spike_count_error"] > 0.05  # the toy is no neuron


def test_sbc_writes_the_agreed_figures(tmp_path, capsys):
    out = tmp_path / "sbc.json"
    few = ("--n", 20, "--batch", 20, "--draws", 30, "--currents-pa", "-110,180")
    assert call("sbc", "--cell", "toy", *few, "--seed", 1, "--json", out, "--quiet") == 0
    values = json.loads(out.read_text())
    names = set(load_cell("toy").decoder.space.names)
    assert values["n"] == 20
    for key in ("coverage_50", "coverage_89", "rank_ecdf_inside_band"):
        assert set(values[key]) == names
    assert 0 <= values["joint_p_value"] <= 1
    assert "joint p value" in capsys.readouterr().out


def test_sigterm_leaves_nothing_behind(tmp_path, monkeypatch, capsys):
    """A cluster's scheduler ends a job as Ctrl-C would: no draft stays, and the handler of before is back."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("noble_prob.cli.sample.write_json", lambda *_: signal.raise_signal(signal.SIGTERM))
    asked = ("sample", "--cell", "toy", "--draws", 2, "--current-pa", 1, "--quiet")
    assert call(*asked, "--out", tmp_path / "out") == 1
    assert "interrupted; nothing was written" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr("noble_prob.calibration.sbc.sbc", lambda *_, **__: signal.raise_signal(signal.SIGTERM))
    for place, told in (((), "nothing was written"), (("--json", tmp_path / "o.json"), "the same command continues")):
        assert call("sbc", "--cell", "toy", *place) == 1
        assert told in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is before


def test_some_sweeps_of_a_file(toy_file, tmp_path, capsys):
    """A sweep that went wrong is left out by number, and a number that is not there is told."""
    assert call("infer", toy_file, *QUICK, "--noiseless", "--sweeps", "0,2-3", "--out", tmp_path / "a", "--quiet") == 0
    content = json.loads((tmp_path / "a" / "posterior.json").read_text())
    assert content["current_pa"] == [-110, 180, 240]
    assert [s["source_sweep"] for s in content["provenance"]["recording"]["sweeps"]] == [0, 2, 3]
    capsys.readouterr()
    for wrong, told in (("0,7", "0..3"), ("x", "0,2,5-9"), ("1,1", "once")):
        assert call("infer", toy_file, *QUICK, "--sweeps", wrong, "--out", tmp_path / "b", "--quiet") == 2
        said = capsys.readouterr().err
        assert "`sweeps`" in said
        assert told in said


def test_nothing_is_left_when_the_work_fails(tmp_path, monkeypatch, capsys):
    """A failure after half of the files were written: exit code 1, one line, no file."""

    def burst(*_: object) -> None:
        raise RuntimeError("the disk is\nfull")

    monkeypatch.setattr("noble_prob.cli.sample.write_json", burst)
    assert call("sample", "--cell", "toy", "--draws", 2, "--current-pa", 1, "--out", tmp_path / "out", "--quiet") == 1
    said = capsys.readouterr()
    assert said.err == "noble-prob sample: failed: RuntimeError: the disk is full\n"
    assert said.out == ""
    assert list(tmp_path.iterdir()) == []


def test_what_was_there_stays_until_the_verb_succeeds(tmp_path):
    (tmp_path / "kept.txt").write_text("mine")
    (tmp_path / "a.txt").write_text("old")

    def fail() -> None:
        with output.new_folder(tmp_path) as draft:
            (draft / "a.txt").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (tmp_path / "a.txt").read_text() == "old"
    with output.new_folder(tmp_path) as draft:
        (draft / "a.txt").write_text("new")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"kept.txt": "mine", "a.txt": "new"}


def test_earlier_results_are_not_replaced_without_a_word(tmp_path, capsys):
    out = tmp_path / "ens"
    command = ("sample", "--cell", "toy", "--draws", 2, "--current-pa", 1, "--out", out, "--quiet")
    assert call(*command) == 0
    assert capsys.readouterr().err == ""
    assert call(*command) == 0
    names = ("ensemble.npz", "report.html", "summary.json")
    assert capsys.readouterr().err == "replaced " + ", ".join(str(out / name) for name in names) + "\n"
    for said in ("", f"replaced {tmp_path / 'one.json'}\n"):
        with output.new_file(tmp_path / "one.json") as draft:
            draft.write_text("{}")
        assert capsys.readouterr().err == said


def test_interrupted_by_the_user(tmp_path, monkeypatch, capsys):
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("noble_prob.sampling.sample_ensemble", stop)
    assert call("sample", "--cell", "toy", "--current-pa", 1, "--out", tmp_path / "out") == 1
    assert "interrupted" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_where_it_failed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Recording, "__post_init__", lambda self: 1 / 0)
    assert call("sample", "--cell", "toy", "--current-pa", 1, "--out", tmp_path / "out", "--debug") == 1
    assert "ZeroDivisionError" in capsys.readouterr().err.split("\n", 3)[-1]


def test_the_program_runs_as_a_module():
    answer = subprocess.run(
        [sys.executable, "-m", "noble_prob", "--help"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert answer.returncode == 0
    assert answer.stdout.startswith("usage: noble-prob VERB")
