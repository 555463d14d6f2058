"""Streams that are closed or full: what was made is there, and nobody is told that it failed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from cli_example import call

ASKED = ("sample", "--cell", "toy", "--draws", 2, "--current-pa", 100, "--quiet")
FILES = ["ensemble.npz", "report.html", "summary.json"]


def test_closed_streams_swallow_what_is_said(tmp_path, monkeypatch):
    """Python has None in the place of a stream that its caller has closed."""
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    assert call(*ASKED, "--out", tmp_path / "a") == 0
    assert call(*ASKED, "--out", tmp_path / "a") == 0  # says that it replaces
    assert call("infre") == 2
    assert sorted(os.listdir(tmp_path / "a")) == FILES


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
@pytest.mark.parametrize(("asked", "code"), [((), 0), (("--json",), 1)])
def test_a_result_that_can_not_be_printed_is_in_its_folder(asked, code, tmp_path, capsys, monkeypatch):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert call(*ASKED, *asked, "--out", tmp_path / "a") == code
        monkeypatch.undo()
    sentence = capsys.readouterr().err
    assert f"the result is in '{tmp_path / 'a'}', but could not be printed (No space left on device)" in sentence
    assert "failed" not in sentence
    assert sorted(os.listdir(tmp_path / "a")) == FILES
