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
from noble_prob.noise import Design

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def toy():
    cell = load_cell("toy")
    design = Design(current_pa=torch.tensor([-110.0, 150.0]).double(), end_ms=torch.full((2,), 120.0).double(),
                    summary_names=cell.decoder.summary_names)  # fmt: skip
    return cell, design


SETTINGS = {"method": "importance", "seed": 3, "batch": 3, "chains": 2, "warmup": 4, "draws": 100}


def test_what_is_done_is_kept_and_what_is_missing_is_made(toy, tmp_path):
    cell, design = toy
    whole = sbc(cell.decoder, cell.prior, design, 6, folder=tmp_path, **SETTINGS)
    files = sorted(tmp_path.glob("draws_*.npy"))
    assert len(files) == 2
    before = {path: path.stat().st_mtime_ns for path in files}
    files[1].unlink()
    again = sbc(cell.decoder, cell.prior, design, 6, folder=tmp_path, **SETTINGS)
    assert np.array_equal(whole.draws, again.draws)
    after = {path: path.stat().st_mtime_ns for path in files}
    assert [path for path in files if before[path] != after[path]] == [files[1]]
    with pytest.raises(UsageError, match="of another data, seed"):
        sbc(cell.decoder, cell.prior, design, 6, folder=tmp_path, **{**SETTINGS, "seed": 4})


def test_a_killed_command_continues(tmp_path):
    """kill -9 after the first batch: no half-written result, the batch is kept, the same command ends."""
    out = tmp_path / "sbc.json"
    asked = ("sbc", "--cell", "toy", "--n", "20", "--batch", "19", "--draws", "30", "--method", "hmc",
             "--currents-pa=-110,90", "--quiet", "--json", str(out))  # fmt: skip
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
