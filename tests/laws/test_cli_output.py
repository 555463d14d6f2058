"""Artefacts take the place of files alone: no device, pipe, folder or link is replaced, and nothing is half moved.

Whatever the files are called.
"""

from __future__ import annotations

import errno
import io
import json
import os
import socket
import sys
from argparse import Namespace
from pathlib import Path

import pytest
from cli_example import call

from noble_prob.cells import load_cell
from noble_prob.cli.output import new_file, new_folder, tell, write_json
from noble_prob.errors import UsageError
from noble_prob.readers import write_npz


def taken(kind: str, place: Path) -> None:
    """Something that is no file."""
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    elif kind == "device":
        place.symlink_to(os.devnull)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(str(place))
    else:
        place.symlink_to("nowhere/file.json" if kind == "leads nowhere" else place.name)


KINDS = ("pipe", "folder", "device", "socket", "leads nowhere", "to itself")


@pytest.mark.parametrize("kind", KINDS)
def test_only_files_are_replaced(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    place = Path("out.json")
    taken(kind, place)
    before = place.lstat()
    for open_one in (lambda: new_file(place), lambda: new_folder(Path(), "out.json")):
        with pytest.raises(UsageError, match=kind), open_one():
            pytest.fail("the work began")
    assert os.path.samestat(place.lstat(), before)
    assert os.listdir() == ["out.json"]


def test_a_link_stays_and_its_file_is_replaced(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "out").mkdir()
    link = tmp_path / "out" / "a.json"
    link.symlink_to("../store/a.json")  # nothing is there yet
    for k in range(2):
        with new_file(link) as draft:
            write_json(draft, k)
        assert (tmp_path / "store" / "a.json").read_text() == f"{k}\n"
    with new_folder(tmp_path / "out") as folder:
        write_json(folder / "a.json", 2)
    assert link.is_symlink()
    assert (tmp_path / "store" / "a.json").read_text() == "2\n"


def test_a_link_to_another_file_system(tmp_path, monkeypatch):
    (tmp_path / "a.json").symlink_to("b.json")
    rename, drafts = os.replace, []

    def replace(source, target):
        if not drafts:
            drafts.append(source)
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target)

    monkeypatch.setattr(sys.modules[new_file.__module__].os, "replace", replace)
    with new_file(tmp_path / "a.json") as draft:
        write_json(draft, 1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "b.json"]
    assert (tmp_path / "b.json").read_text() == "1\n"


def test_a_folder_in_the_way_leaves_the_old_files(tmp_path):
    """It came while the work was done; the file before it in the alphabet is not moved either."""

    def work():
        with new_folder(tmp_path) as folder:
            write_json(folder / "a.json", 1)
            write_json(folder / "b.json", 1)
            (tmp_path / "b.json").mkdir()

    (tmp_path / "a.json").write_text("old")
    with pytest.raises(UsageError, match=r"b\.json.*a folder"):
        work()
    assert (tmp_path / "a.json").read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "b.json"]


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
@pytest.mark.parametrize("as_json", [True, False])
def test_a_name_that_is_no_text_costs_nothing(encoding, as_json, tmp_path, monkeypatch):
    """Names of files are bytes; some come from machines of another encoding. JSON stays JSON."""
    name = os.fsdecode(b"caf\xe9 \xce\xbc.abf")
    write_json(tmp_path / "a.json", {"file": name})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"file": name}
    terminal = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, "stdout", terminal)
    tell(Namespace(json=as_json), f"{name} is done", {"file": name})
    terminal.flush()
    said = terminal.buffer.getvalue().decode(encoding)
    assert (json.loads(said) == {"file": name}) if as_json else (r"caf\udce9" in said)


def test_a_recording_whose_name_is_no_text_gets_its_files(tmp_path, capsys):
    recording = tmp_path / os.fsdecode(b"caf\xe9.npz")
    write_npz(load_cell("toy").demo[0], recording)
    quick = ("--cell", "toy", "--method", "importance", "--draws", 20, "--chains", 2, "--quiet")
    for verb in ("infer", "calibrate"):
        assert call(verb, recording, *quick, "--out", tmp_path / verb) == 0, capsys.readouterr().err
    assert json.loads((tmp_path / "infer" / "posterior.json").read_text())["file"] == recording.name
    assert r"caf\udce9" in (tmp_path / "calibrate" / "report.html").read_text(encoding="utf-8")
