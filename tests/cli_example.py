"""The program as the tests call it: on the toy cell, in its own process, on one recording in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from noble_prob.cells import load_cell
from noble_prob.cli import main
from noble_prob.readers import write_npz

QUICK = ("--cell", "toy", "--method", "hmc", "--chains", 2, "--warmup", 40, "--draws", 50, "--seed", 1)
"""Few draws: enough for the form of an answer, not for its convergence."""


def call(*arguments: object) -> int:
    """Exit code of ``noble-prob`` with these arguments."""
    return main([str(a) for a in arguments])


def complaint(capsys, folder: Path, arguments: list[object]) -> str:
    """Run a command that must be refused; its sentence."""
    before = sorted(str(p) for p in folder.rglob("*"))
    code = main([str(a) for a in arguments])
    said = capsys.readouterr()
    assert code == 2, (code, said.err)
    assert said.out == ""
    assert said.err.count("\n") == 1, said.err
    assert said.err.startswith("noble-prob")
    assert len(said.err) < 600
    assert "Traceback" not in said.err
    assert sorted(str(p) for p in folder.rglob("*")) == before, "something was left behind"
    return said.err


@pytest.fixture(scope="module")
def toy_file(tmp_path_factory) -> Path:
    """A recording of one toy neuron, as a file."""
    path = tmp_path_factory.mktemp("toy") / "toy.npz"
    write_npz(load_cell("toy").demo[0], path)
    return path
