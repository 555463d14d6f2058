"""Which files are one recording, which are many, and which are the same one twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli_example import QUICK, call
from foreign_files import step_family, write_ibw, write_table

from noble_prob.errors import UsageError
from noble_prob.runs import find_recordings, is_many


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
