"""How a run over a folder ends: by a signal, on a full disk, or with words about what is doubtful."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
from cli_example import call

FAST = ("--cell", "toy", "--method", "importance", "--chains", 2, "--draws", 20, "--quiet")
KEPT = "what is finished is kept, the same command continues"


@pytest.fixture(scope="module")
def day(toy_file, tmp_path_factory) -> Path:
    """A folder of two recordings that are one, and a broken one."""
    folder = tmp_path_factory.mktemp("day")
    for name in ("cell.npz", "copy of cell.npz"):
        shutil.copy(toy_file, folder / name)
    (folder / "broken.npz").write_bytes(b"PK no archive")
    return folder


def test_copies_and_refusals_are_said_beside_the_json(day, tmp_path, capsys):
    """A population would count a copy twice, and a queue's log would say 100 %."""
    assert call("infer", day, *FAST, "--json", "--out", tmp_path / "run") == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["done"] == 2
    copies, refused = said.err.splitlines()
    assert copies.endswith("files of equal content, each of which is inferred: cell.npz = copy of cell.npz.")
    assert refused.endswith(f"1 of 3 recordings have no posterior; {tmp_path / 'run' / 'summary.csv'} says why.")


def test_a_signal_says_what_is_kept(day, tmp_path, monkeypatch, capsys):
    """Also one that comes before the run has looked into its folder, or after."""
    monkeypatch.setattr("noble_prob.cli.infer.read", lambda *_: signal.raise_signal(signal.SIGTERM))
    assert call("infer", day / "cell.npz", *FAST, "--out", tmp_path / "one") == 1
    assert "interrupted; nothing was written." in capsys.readouterr().err
    assert call("infer", day / "cell.npz", "--each", *FAST, "--out", tmp_path / "run") == 0
    monkeypatch.setattr("noble_prob.runs.find_recordings", lambda *_: signal.raise_signal(signal.SIGTERM))
    assert call("infer", day, *FAST, "--out", tmp_path / "run") == 1
    assert f"interrupted; {KEPT}." in capsys.readouterr().err


def test_a_full_disk_names_the_file_and_what_is_kept(day, tmp_path, monkeypatch, capsys):
    real, before = os.fsync, iter(range(4))

    def full(file):
        if next(before, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(file)

    with monkeypatch.context() as small:
        small.setattr(os, "fsync", full)
        assert call("infer", day, *FAST, "--out", tmp_path / "run") == 1
    said = capsys.readouterr().err
    assert "OSError: [Errno 28] No space left on device: " in said
    assert f".json'; {KEPT}." in said or f".nc'; {KEPT}." in said
    assert [p.name for p in (tmp_path / "run").iterdir() if not p.is_dir()] == ["run.json"]
    assert call("infer", day, *FAST, "--out", tmp_path / "run") == 0


def test_too_little_memory_is_said(day, tmp_path, monkeypatch, capsys):
    def hungry(*_, **__):
        raise MemoryError

    monkeypatch.setattr("noble_prob.runs.infer_many", hungry)
    assert call("infer", day, *FAST, "--out", tmp_path / "run") == 1
    assert capsys.readouterr().err.endswith("failed: MemoryError: out of memory\n")


@pytest.mark.parametrize(
    ("asked", "told"),
    [((), "pip install 'noble_prob[cluster]'"), (("--device", "cuda"), "`device` should be cpu on a Ray cluster")],
)
def test_a_cluster_that_can_not_be_used_leaves_no_folder(asked, told, day, tmp_path, monkeypatch, capsys):
    """The folder would belong to a run that never was, and refuse the next one's options."""
    monkeypatch.setitem(sys.modules, "ray", None)
    assert call("infer", day, *FAST, "--engine", "ray", *asked, "--out", tmp_path / "run") == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
