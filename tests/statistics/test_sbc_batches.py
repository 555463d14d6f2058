"""A run of calibration by simulation that is killed loses nothing: batches are kept, and refused to another run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_example import call

from noble_prob.calibration.sbc import sbc
from noble_prob.cells import load_cell
from noble_prob.errors import UsageError
from noble_prob.inference.task import Task
from noble_prob.jobs.place import locked
from noble_prob.noise import Design

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def toy():
    cell = load_cell("toy")
    design = Design(
        current_pa=torch.tensor([-110.0, 150.0]).double(),
        end_ms=torch.full((2,), 120.0).double(),
        summary_names=cell.decoder.summary_names,
    )
    task = Task(decoder=cell.decoder, prior=cell.prior, method="importance", chains=2, warmup=4, draws=100)
    return task, design


SETTINGS = {"seed": 3, "batch": 3}


def test_what_is_done_is_kept_and_what_is_missing_is_made(toy, tmp_path):
    task, design = toy
    whole = sbc(task, design, 6, folder=tmp_path, **SETTINGS)
    files = sorted(tmp_path.glob("draws_*.npy"))
    assert len(files) == 2
    before = {path: path.stat().st_mtime_ns for path in files}
    files[1].unlink()
    again = sbc(task, design, 6, folder=tmp_path, **SETTINGS)
    assert np.array_equal(whole.draws, again.draws)
    after = {path: path.stat().st_mtime_ns for path in files}
    assert [path for path in files if before[path] != after[path]] == [files[1]]
    with pytest.raises(UsageError, match="of another data, seed"):
        sbc(task, design, 6, folder=tmp_path, **{**SETTINGS, "seed": 4})


def test_draws_that_are_damaged_are_made_again_and_nameless_ones_are_refused(toy, tmp_path):
    task, design = toy
    whole = sbc(task, design, 6, folder=tmp_path, **SETTINGS)
    file, run = tmp_path / "draws_00000.npy", tmp_path / "run.json"
    for damage in (file.read_bytes()[:-8], b""):
        file.write_bytes(damage)
        assert np.array_equal(whole.draws, sbc(task, design, 6, folder=tmp_path, **SETTINGS).draws)
    for damage in (b"", b"[]", b"\xff"):
        run.write_bytes(damage)
        with pytest.raises(UsageError, match=r"readable run\.json"):
            sbc(task, design, 6, folder=tmp_path, **SETTINGS)
    run.unlink()
    with pytest.raises(UsageError, match=r"draws without run\.json"):
        sbc(task, design, 6, folder=tmp_path, **SETTINGS)


def test_a_second_command_of_the_same_result_is_refused_and_leaves_the_first_alone(tmp_path, capsys):
    asked = ("sbc", "--cell", "toy", "--n", "20", "--quiet", "--json", str(tmp_path / "sbc.json"))
    parts = tmp_path / "sbc.json.parts"
    with locked(parts, "json"):
        assert call(*asked) == 2
        assert "nobody is at work" in capsys.readouterr().err
        assert parts.is_dir()
    assert not parts.exists()
    parts.write_text("no folder")
    assert call(*asked) == 2
    assert "which is a file" in capsys.readouterr().err


def test_a_killed_command_continues(tmp_path):
    """kill -9 after the first batch: no half-written result, the batch is kept, the same command ends."""
    out = tmp_path / "sbc.json"
    asked = (
        "sbc",
        "--cell",
        "toy",
        "--n",
        "20",
        "--batch",
        "19",
        "--draws",
        "30",
        "--method",
        "hmc",
        "--currents-pa=-110,90",
        "--quiet",
        "--json",
        str(out),
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = subprocess.Popen([sys.executable, "-m", "noble_prob", *asked], cwd=ROOT, env=environment)
    parts = tmp_path / "sbc.json.parts"
    deadline = time.monotonic() + 400
    while not list(parts.glob("draws_*.npy")) and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGKILL)
    running.wait()
    kept = {path.name: path.read_bytes() for path in parts.glob("draws_*.npy")}
    assert kept
    assert not out.exists()
    assert call(*asked) == 0
    assert not parts.exists()
    assert json.loads(out.read_text())["n"] == 20
