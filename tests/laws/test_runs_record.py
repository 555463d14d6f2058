"""The folder of a run deletes nothing that is not its own, and knows which of its results are whole."""

from __future__ import annotations

import json
import sys

import pytest
from cli_example import call

from noble_prob.errors import UsageError
from noble_prob.runs import Source, find_recordings
from noble_prob.runs.record import Record, opened, sha256

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


def test_names_that_no_folder_can_bear(tmp_path):
    places = [tmp_path / name for name in ("summary.csv", "n" * 251, "x/a.csv", "y/a.csv", "x__a.csv", "run.json")]
    deep = tmp_path / ("d" * 200) / ("e" * 200)
    names = [s.name for s in find_recordings([*places, deep / "a.csv"])]
    assert len(set(names)) == len(names)
    assert not {"summary.csv", "run.json"} & set(names)
    assert max(map(len, names)) <= 255
    assert names[4] == "x__a.csv"
