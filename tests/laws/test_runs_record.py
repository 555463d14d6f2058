"""The folder of a run deletes nothing that is not its own, and knows which of its results are whole."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
from cli_example import call

from noble_prob.cells import load_cell
from noble_prob.errors import UsageError
from noble_prob.priors import fit_prior
from noble_prob.runs import Settings, Source, find_recordings, passed_over
from noble_prob.runs.record import Record, opened, sha256
from noble_prob.runs.summary import summarise

FAST = ("--cell", "toy", "--method", "importance", "--chains", "2", "--draws", "20", "--quiet")


@pytest.mark.parametrize("out", ["recordings", "recordings/cell_a", "recordings/cell_a/out", ".", "other"])
def test_no_recording_and_no_other_file_is_ever_replaced(out, tmp_path, capsys):
    """Results of `cell_a` would bear the name of the raw data."""
    waves = tmp_path / "recordings" / "cell_a"
    waves.mkdir(parents=True)
    (waves / "a_ch0_1.ibw").write_bytes(b"raw")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "diary.txt").write_text("mine")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert call("infer", tmp_path / "recordings", *FAST, "--out", tmp_path / out) == 2
    assert "`out` should be a" in capsys.readouterr().err
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_only_results_make_room_for_results(tmp_path):
    with opened(tmp_path / "run", {"seed": 1}) as record:
        record.commit({"a": {"refused.json": b'{"refused": "why"}'}})
        record.commit({"a": {"posterior.json": b"{}"}})
        assert [p.name for p in (tmp_path / "run" / "a").iterdir()] == ["posterior.json"]
        (tmp_path / "run" / "a" / "figure.svg").write_text("mine")
        with pytest.raises(UsageError, match=r"figure\.svg"):
            record.pending([Source(name="a", path=tmp_path / "a.csv")])
        with pytest.raises(UsageError, match=r"figure\.svg"):
            record.commit({"a": {"posterior.json": b"{}"}})
    assert (tmp_path / "run" / "a" / "figure.svg").read_text() == "mine"


@pytest.mark.parametrize("plan", [None, "", "[]", "folder"])
def test_results_whose_making_is_not_known_are_refused(plan, tmp_path):
    run = tmp_path / "run"
    with opened(run, {"seed": 1}) as record:
        record.commit({"a": {"posterior.json": b"{}"}})
    (run / "run.json").unlink()
    if plan == "folder":
        (run / "run.json").mkdir()
    elif plan is not None:
        (run / "run.json").write_text(plan)
    with pytest.raises(UsageError, match=r"run\.json.*delete this one"), opened(run, {"seed": 2}):
        pass


DAMAGES = {
    "no tree": lambda place: (place / "posterior.nc").unlink(),
    "half a tree": lambda place: (place / "posterior.nc").write_bytes(b"tr"),
    "empty": lambda place: (place / "posterior.json").write_bytes(b""),
    "no text": lambda place: (place / "posterior.json").write_bytes(b"\xff"),
    "a list": lambda place: (place / "posterior.json").write_bytes(b"[]"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_result_is_made_again(damage, tmp_path):
    (tmp_path / "a.csv").write_text("recording")
    source = Source(name="a.csv", path=tmp_path / "a.csv")
    whole = {"sha256": source.sha256, "posterior_nc_sha256": sha256(b"tree")}
    with opened(tmp_path / "run", {}) as record:
        record.commit({"a.csv": {"posterior.nc": b"tree", "posterior.json": json.dumps(whole).encode()}})
        assert record.pending([source]) == []
        DAMAGES[damage](tmp_path / "run" / "a.csv")
        assert record.pending([source]) == [source]


def test_a_whole_result_outlives_its_recording(tmp_path):
    """A drive that is not mounted today: its recordings can not be read, their results can."""
    (tmp_path / "drive").mkdir()
    recordings = [tmp_path / "drive" / name for name in ("a.csv", "b.csv", "c.csv")]
    for path in recordings:
        path.write_text(path.name)
    hashes = {source.name: source.sha256 for source in find_recordings(recordings)}
    whole = {"posterior_nc_sha256": sha256(b"tree")}
    results = {
        name: {"posterior.nc": b"tree", "posterior.json": json.dumps(whole | {"sha256": hashes[name]}).encode()}
        for name in ("a.csv", "b.csv")
    }
    with opened(tmp_path / "run", {}) as record:
        record.commit({**results, "c.csv": {"refused.json": json.dumps({"refused": "why", "sha256": ""}).encode()}})
        (tmp_path / "run" / "b.csv" / "posterior.nc").write_bytes(b"tr")
        (tmp_path / "drive").rename(tmp_path / "away")
        assert [source.name for source in record.pending(find_recordings(recordings))] == ["b.csv", "c.csv"]


@pytest.mark.parametrize("part", ["decoder_sha256", "belongs_to", "estimator"])
def test_a_run_of_another_cell_is_refused_in_words(part, tmp_path):
    """The numbers that tell cells apart say nothing to anybody."""
    with opened(tmp_path / "run", {"seed": 1, part: "9f1c"}):
        pass
    with (
        pytest.raises(UsageError, match="`cell` should be one with the") as refused,
        opened(tmp_path / "run", {"seed": 1, part: "07be"}),
    ):
        pass
    assert "9f1c" not in str(refused.value)


def test_the_plan_of_a_run_knows_prior_and_estimator():
    toy = load_cell("toy")
    other = replace(toy, prior=fit_prior(toy.models, "gaussian"))
    trained = replace(toy, estimator=SimpleNamespace(facts={"seed": 3}))
    plans = {
        method: [Settings(cell="toy", method=method).plan(c) for c in (toy, other, trained)]
        for method in ("hmc", "npe")
    }
    for plain, with_other, with_trained in plans.values():
        assert plain == Settings(cell="toy", method=plain["method"]).plan(load_cell("toy"))
        assert plain != with_other
        assert (plain == with_trained) == (plain["method"] == "hmc")


def test_stray_files_do_not_stop_a_run(tmp_path):
    with opened(tmp_path / "run", {}):
        for name in (".draft-1", ".ready-1"):
            (tmp_path / "run" / name).write_text("no folder")
    with opened(tmp_path / "run", {}) as record:
        assert record.result(".ready-1") is None


def test_a_full_disk_leaves_no_half_batch(tmp_path, monkeypatch):
    def full(file, content):
        file.write_bytes(content[:1])
        raise OSError(28, "No space left on device")

    with opened(tmp_path / "run", {}) as record:
        monkeypatch.setattr(sys.modules[Record.__module__], "write_atomically", full)
        with pytest.raises(OSError, match="No space"):
            record.commit({"a": {"posterior.json": b"{}"}})
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["run.json"]


def test_files_further_inside_are_counted_but_not_those_of_results(tmp_path):
    inside = (
        "a.csv",
        "day/b.abf",
        "day/deeper/c.nwb",
        "day/.hidden/d.csv",
        "day/notes.txt",
        "waves/w.ibw",
        "results/summary.csv",
        "old/run.json",
        "old/summary.csv",
        "old/x/e.csv",
    )
    for name in inside:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = passed_over([tmp_path], tmp_path / "results")
    assert [str(path.relative_to(tmp_path)) for path in found] == ["day/b.abf", "day/deeper/c.nwb"]
    assert {source.path.name for source in find_recordings([tmp_path])} == {"a.csv", "waves"}
    assert [path.name for path in passed_over([tmp_path, tmp_path / "day"], tmp_path / "results")] == ["c.nwb"]


def test_names_that_no_folder_can_bear(tmp_path):
    places = [tmp_path / name for name in ("summary.csv", "n" * 251, "x/a.csv", "y/a.csv", "x__a.csv", "run.json")]
    deep = tmp_path / ("d" * 200) / ("e" * 200)
    names = [s.name for s in find_recordings([*places, deep / "a.csv"])]
    assert len(set(names)) == len(names)
    assert not {"summary.csv", "run.json"} & set(names)
    assert max(map(len, names)) <= 255
    assert names[4] == "x__a.csv"


def test_a_row_of_the_summary_tells_the_worst_of_a_recording(tmp_path):
    """The largest R-hat and the smallest effective sample size of all latents and noise scales, bulk or tail."""

    def figure(r_hat, bulk, tail):
        return {
            "unit": "mV",
            "mean": 1.0,
            "sd": 2.0,
            "interval_89": [0.5, 3.0],
            "r_hat": r_hat,
            "ess_bulk": bulk,
            "ess_tail": tail,
        }

    latents = {"a": figure(1.0, 900.0, 800.0), "b": figure(1.02, 700.0, 500.0)}
    findings = [
        {"code": "NP101", "severity": "issue"},
        {"code": "NP105", "severity": "caution"},
        {"code": "NP107", "severity": "passed"},
    ]
    values = {
        "latents": latents,
        "noise": {"trial_rate": figure(1.01, 300.0, 600.0)},
        "findings": findings,
        "sweeps": [0, 2],
        "method": "hmc",
        "wall_s": 1.0,
        "provenance": {},
    }
    alone = {**values, "latents": {"a": figure(None, None, None)}, "noise": {}, "provenance": {"k_hat": 0.4}}
    with opened(tmp_path / "run", {}) as record:
        record.commit({name: {"posterior.json": json.dumps(v).encode()} for name, v in (("x", values), ("y", alone))})
        sources = [Source(name=name, path=tmp_path / name) for name in ("x", "y")]
        first, second = summarise(record, sources, SimpleNamespace(name="toy")).rows
    assert (first["r_hat"], first["ess"], first["k_hat"]) == (1.02, 300.0, None)
    assert (first["issues"], first["cautions"], first["sweeps"]) == (["NP101"], ["NP105"], 2)
    assert first["latents"]["b"] == {"unit": "mV", "mean": 1.0, "sd": 2.0, "low": 0.5, "high": 3.0}
    assert (second["r_hat"], second["ess"], second["k_hat"]) == (None, None, 0.4)
