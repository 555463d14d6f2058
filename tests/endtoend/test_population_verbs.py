"""The two verbs of simulation, as a shell calls them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_example import call
from torch import from_numpy

from noble_prob.features import find_spikes
from noble_prob.population.builtin import builtin_hof
from noble_prob.population.store import Store
from noble_prob.readers import read
from noble_prob.recording.made import made_by
from noble_prob.training.sources import unfinished

ROOT = Path(__file__).resolve().parents[2]


def test_simulate_writes_the_agreed_file(tmp_path):
    out = tmp_path / "traces.npz"
    code = call(
        "simulate",
        "--hof",
        "builtin",
        "--models",
        "0,2-3",
        "--amps-na",
        "-0.11,0.18",
        "--out",
        out,
        "--duration-ms",
        100,
        "--dt-ms",
        0.025,
    )
    assert code == 0
    with np.load(out) as data:
        assert set(data.files) == {"voltage_mv", "time_ms", "models", "amps_na", "provenance"}
        made = json.loads(str(data["provenance"]))
        assert made["made_by"] == made_by()
        assert made["models_sha256"] == builtin_hof().digest
        assert data["models"].tolist() == [0, 2, 3]
        assert data["amps_na"].tolist() == [-0.11, 0.18]
        voltage, time = from_numpy(data["voltage_mv"]), from_numpy(data["time_ms"])
    assert voltage.shape == (3, 2, len(time))
    assert float(time[-1] - time[0]) == pytest.approx(15 + 100 + 115, abs=0.1)
    spikes = find_spikes(voltage, time)
    assert (spikes.count[:, 0] == 0).all()
    assert (spikes.count[:, 1] > 5).all()
    first = spikes.peak_ms[:, 1, 0] - time[0]
    assert ((first > 15) & (first < 25)).all()  # the step begins 15 ms after the first sample


def test_each_model_is_a_recording_too_and_infer_says_so(tmp_path, capsys):
    asked = ("simulate", "--hof", "builtin", "--models", "0,2", "--amps-na", "-0.11,0.05", "--duration-ms", 100)
    assert call(*asked, "--out", tmp_path / "t.npz", "--recordings", tmp_path / "each", "--quiet") == 0
    with np.load(tmp_path / "t.npz") as data:
        both, names = data["voltage_mv"], sorted(path.name for path in (tmp_path / "each").iterdir())
    assert names == ["b0.npz", "b3.npz"]
    recording = read(tmp_path / "each" / "b3.npz")
    np.testing.assert_array_equal(recording.voltage_mv, both[1])
    assert [step.amplitude_pa for step in recording.steps] == [-110, 50]
    capsys.readouterr()
    assert call("infer", tmp_path / "t.npz", "--cell", "toy", "--out", tmp_path / "posterior") == 2
    assert "--recordings DIR" in capsys.readouterr().err


def test_noise_needs_only_its_size_and_a_seed(tmp_path):
    files = [tmp_path / f"{name}.npz" for name in "abc"]
    for file, seed in zip(files, (1, 1, 2), strict=True):
        call(
            "simulate",
            "--hof",
            "builtin",
            "--models",
            "0",
            "--amps-na=0.0",
            "--out",
            file,
            "--duration-ms",
            20,
            "--noise-sd-na",
            0.02,
            "--seed",
            seed,
        )
    a, b, c = (np.load(file)["voltage_mv"] for file in files)
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - c).max() > 0.5


def test_the_noise_of_a_trace_does_not_depend_on_its_company(tmp_path):
    def voltage(models, amps):
        asked = ("--models", models, f"--amps-na={amps}", "--duration-ms", 10, "--noise-sd-na", 0.05, "--seed", 3)
        assert call("simulate", "--hof", "builtin", *asked, "--out", tmp_path / "n.npz") == 0
        return np.load(tmp_path / "n.npz")["voltage_mv"]

    several = voltage("0,1", "0.05,0.1,0.05")
    np.testing.assert_array_equal(voltage("1", "0.05")[0, 0], several[1, 0])
    np.testing.assert_array_equal(voltage("1", "0.1")[0, 0], several[1, 1])
    assert np.abs(several[1, 0] - several[1, 2]).max() > 0.5  # a repeat has noise of its own
    assert np.abs(several[0, 0] - several[1, 0]).max() > 0.5


def test_simulate_writes_nothing_over_a_file_and_nothing_of_failures(tmp_path, capsys):
    out = tmp_path / "mine.csv"
    out.write_text("a recording")
    asked = ("simulate", "--hof", "builtin", "--models", "0,2", "--amps-na", 0.1, "--duration-ms", 10, "--quiet")
    assert call(*asked, "--out", out) == 2
    assert "one that simulate has written" in capsys.readouterr().err
    assert out.read_text() == "a recording"
    for wrong in (("--timeout-s", 1e-4), ("--noise-sd-na", 1e6)):
        assert call(*asked, *wrong, "--out", tmp_path / "new.npz") == 1
        said = capsys.readouterr().err
        assert "(2 of 2)" in said
        assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == [out]


def test_without_the_simulator_both_verbs_say_how_to_install_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "arbor", None)
    monkeypatch.delitem(sys.modules, "noble_prob.population.cell", raising=False)
    populate = ("populate", "--hof", "builtin", "--design", "builtin", "--n-models", 1, "--out", tmp_path / "set")
    for asked in (("simulate", "--hof", "builtin", "--amps-na", 0.1, "--out", tmp_path / "o.npz"), populate):
        assert call(*asked, "--quiet") == 2
        assert "noble_prob[simulate]" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_chunk_is_told_and_simulated_again(tmp_path, capsys):
    asked = (
        "populate",
        "--hof",
        "builtin",
        "--design",
        "builtin",
        "--out",
        tmp_path / "set",
        "--n-random",
        0,
        "--chunk-models",
        1,
        "--include-base",
        "--n-models",
        2,
        "--dt-ms",
        0.1,
        "--quiet",
    )
    assert call(*asked) == 0
    file = tmp_path / "set" / "chunk-00001.npz"
    whole, sums = file.read_bytes(), (tmp_path / "set" / "checksums.txt").read_text()
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 1
    file.write_bytes(bytes(damaged))
    capsys.readouterr()
    assert call(*asked, "--chunks", 0) == 0
    assert (tmp_path / "set" / "checksums.txt").read_text() == sums  # the damage stays visible
    assert call(*asked) == 0
    assert "1  chunk was damaged: simulated again" in capsys.readouterr().out
    assert file.read_bytes() == whole


def test_models_of_other_names_are_told_their_numbers_and_none_need_be_held_out(tmp_path, shared_dir, capsys):
    hof = shared_dir / "hof" / "pvalb-689331391"
    (tmp_path / "hof").mkdir()
    for name, model in (("m10", 0), ("m2", 1), ("m1", 2)):
        (tmp_path / "hof" / f"{name}.json").symlink_to(hof / f"seed_1_hof_{model}.json")
    (tmp_path / "hof" / "morphology.swc").symlink_to(hof / "morphology.swc")
    asked = ("populate", "--hof", tmp_path / "hof", "--design", "pvalb", "--n-models", 1, "--max-minutes", 1e-9)
    for given, keys in (((), [0, 1]), (("--held-out", "none"), [0, 1, 2])):
        out = tmp_path / f"set{len(given)}{''.join(given)}"
        assert call(*asked, *given, "--out", out) == 0
        assert "0 m1, 1 m2, 2 m10" in capsys.readouterr().err
        assert Store(out).manifest["base"]["keys"] == keys
    assert call(*asked, "--held-out", "0,x", "--out", tmp_path / "no") == 2
    assert "`held_out`" in capsys.readouterr().err


def test_the_module_alone_answers_in_a_sentence(tmp_path):
    answer = subprocess.run(
        [
            sys.executable,
            "-m",
            "noble_prob.cli.populate",
            "--hof",
            "nothere",
            "--design",
            "pvalb",
            "--n-models",
            "1",
            "--out",
            str(tmp_path / "set"),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert answer.returncode == 2
    assert answer.stderr.count("\n") == 1
    assert "nothere" in answer.stderr


def test_populate_can_be_asked_again_and_for_more(tmp_path, capsys):
    about = (
        "populate",
        "--hof",
        "builtin",
        "--design",
        "builtin",
        "--out",
        tmp_path / "set",
        "--n-random",
        1,
        "--chunk-models",
        1,
        "--include-base",
    )
    asked = (*about, "--range-pa=200,210", "--near-share", 0, "--n-models")
    assert call(*asked, 1) == 0
    whole = "The set holds 1 of 1 models, of which 1 were accepted.\n"
    assert capsys.readouterr().out == f"     1  accepted\n{whole}"
    assert call(*asked, 1) == 0
    assert capsys.readouterr().out == whole
    assert call(*asked, 2, "--chunks", 0, "--json") == 0
    assert json.loads(capsys.readouterr().out)["set"] == {"models": 1, "of": 2, "accepted": 1, "missing_chunks": [1]}
    assert "1 of 2 models, of which 1 were accepted; missing chunks: 1 (" in unfinished([tmp_path / "set"])[0]
    assert call(*asked, 2) == 0
    assert unfinished([tmp_path / "set"]) == []
    store = Store(tmp_path / "set")
    assert store.done() == [0, 1]
    assert store.accepted().amps_pa[:, :4].tolist() == [[-110.0, 50.0, 180.0, 280.0]] * 2
    assert ((store.accepted().amps_pa[:, 4] > 200) & (store.accepted().amps_pa[:, 4] < 210)).all()
    for wrong in (("--range-pa=5",), ("--range-pa=20,10",), ("--near-share", 2)):
        assert call(*about, "--n-models", 2, *wrong) == 2
        assert wrong[0].split("=")[0].strip("-").replace("-", "_") in capsys.readouterr().err
