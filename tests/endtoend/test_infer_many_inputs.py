"""Which files are one recording, which are many, and which are the same one twice."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tracemalloc
from pathlib import Path

import pytest
from cli_example import QUICK, call
from foreign_files import step_family, write_ibw, write_table

import noble_prob as nb
from noble_prob.errors import UsageError
from noble_prob.jobs.attempt import attempt
from noble_prob.runs import Settings, find_recordings, infer_many, is_many
from noble_prob.runs.record import opened


@pytest.fixture(scope="module")
def day(toy_file, tmp_path_factory) -> Path:
    """A folder of two recordings and a text."""
    folder = tmp_path_factory.mktemp("day")
    for k in range(2):
        shutil.copy(toy_file, folder / f"cell_{k}.npz")
    (folder / "notes.txt").write_text("not a recording")
    return folder


def test_a_folder_whose_recordings_lie_further_inside_is_refused_with_their_folders(day, tmp_path, capsys):
    (tmp_path / "all" / "other").mkdir(parents=True)
    shutil.copy(day / "cell_0.npz", tmp_path / "all" / "other")
    assert call("infer", tmp_path / "all", *QUICK, "--out", tmp_path / "out") == 2
    assert f"with 1 further inside; name their folders: {tmp_path / 'all' / 'other'}" in capsys.readouterr().err


def test_what_is_many_and_what_is_one(day, tmp_path):
    waves = tmp_path / "waves"
    (waves / "cell").mkdir(parents=True)
    for name in ("a_ch0_1.ibw", "a_ch1_1.ibw"):
        (waves / "cell" / name).write_bytes(b"x")
    files = sorted((waves / "cell").iterdir())
    assert not is_many([waves / "cell"])
    assert not is_many(files)
    assert is_many([waves])
    assert is_many([day])
    assert not is_many([day / "cell_0.npz"])
    assert is_many([day / "cell_0.npz", day / "cell_1.npz"])
    assert [s.name for s in find_recordings([waves, day / "cell_0.npz", day / "cell_0.npz"])] == ["cell", "cell_0.npz"]
    (tmp_path / "other").mkdir()
    shutil.copy(day / "cell_0.npz", tmp_path / "other")
    names = [s.name for s in find_recordings([day / "cell_0.npz", tmp_path / "other"])]
    assert len(set(names)) == 2
    assert all(name.endswith("cell_0.npz") for name in names)
    with pytest.raises(UsageError, match="files"):
        find_recordings([tmp_path / "nothing_here"] if (tmp_path / "nothing_here").mkdir() is None else [])


def test_a_wave_is_known_by_its_pair(tmp_path, capsys):
    """Whichever of the two is named; a new current wave makes another recording of the same voltage."""
    time, current, voltage = step_family()
    for k in range(2):
        write_ibw(tmp_path / f"X_ch0_{k}.ibw", voltage[k] * 1e-3, "V")
        write_ibw(tmp_path / f"X_ch1_{k}.ibw", current[k] * 1e-12, "A")
    table = write_table(tmp_path / "other.csv", time, current, voltage)
    waves = sorted(tmp_path.glob("*.ibw"))
    assert [s.path for s in find_recordings([*waves, table])] == [*waves[:2], table]
    before = [s.sha256 for path in waves for s in find_recordings([path, table])[:1]]
    assert before == [before[0], before[1]] * 2
    write_ibw(tmp_path / "X_ch1_0.ibw", 2 * current[0] * 1e-12, "A")
    after = [s.sha256 for path in waves for s in find_recordings([path, table])[:1]]
    assert [a == b for a, b in zip(before, after, strict=True)] == [False, True] * 2
    assert call("calibrate", *waves[1:], "--cell", "toy", "--out", tmp_path / "out") == 2
    assert "X_ch0_1.ibw and X_ch1_1.ibw, which are the same" in capsys.readouterr().err
    assert find_recordings([tmp_path / "no" / "X_ch0_9.ibw"])[0].sha256 == ""


def test_a_file_is_hashed_without_being_held_in_memory(tmp_path):
    """It may be larger than the memory, and all other recordings of the folder wait behind it."""
    with (tmp_path / "big.npz").open("wb") as file:
        file.truncate(50_000_000)
    tracemalloc.start()
    digest = find_recordings([tmp_path])[0].sha256
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert digest == hashlib.sha256(bytes(50_000_000)).hexdigest()
    assert peak < 5_000_000


@pytest.mark.parametrize("name", ["pipe.npz", "pipe.csv", "waves/X_ch0_1.ibw"])
def test_nobody_waits_for_a_pipe(name, day, tmp_path):
    inputs = tmp_path / "day"
    shutil.copytree(day, inputs)
    (inputs / "waves").mkdir()
    os.mkfifo(inputs / name)
    for given, code in ((inputs, 0), (inputs / name, 2)):
        ended = attempt(lambda _, g=given: call("infer", g, *QUICK, "--quiet", "--out", tmp_path / "out"), 0, 0, 60)
        assert (ended.error, ended.value) == (None, code)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)


def test_a_recording_that_changes_during_the_run_is_taken_by_the_next(day, tmp_path, monkeypatch):
    """It may still be on its way from the rig; no posterior is kept under the hash of what it was."""
    inputs, module = tmp_path / "day", sys.modules[Settings.__module__]
    shutil.copytree(day, inputs)
    settings = Settings(cell="toy", method="importance", chains=2, draws=20)
    real = module.read

    def late(path, **how):
        if path.name == "cell_1.npz":
            nb.readers.write_npz(nb.read(day / "cell_1.npz").select([0, 1]), path)
        return real(path, **how)

    with monkeypatch.context() as copied:
        copied.setattr(module, "read", late)
        summary = infer_many(find_recordings([inputs]), tmp_path / "out", settings)
    assert [row["status"] for row in summary.rows] == ["done", "refused"]
    assert "'cell_1.npz', which has changed" in summary.refused[0]["why"]
    with opened(tmp_path / "out", settings.plan(nb.load_cell("toy"))) as record:
        assert [s.name for s in record.pending(find_recordings([inputs]))] == ["cell_1.npz"]
    assert infer_many(find_recordings([inputs]), tmp_path / "out", settings).refused == []
    told = json.loads((tmp_path / "out" / "cell_1.npz" / "posterior.json").read_text())
    assert told["sha256"] == told["provenance"]["recording"]["sha256"]
