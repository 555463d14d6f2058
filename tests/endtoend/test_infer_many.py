"""A folder of recordings in one call: failures stay alone, kill -9 loses nothing and repeats nothing."""

from __future__ import annotations

import csv
import errno
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import arviz as az
import pytest
import torch
from cli_example import call, complaint

import noble_prob as nb
from noble_prob.errors import UsageError
from noble_prob.readers import write_npz
from noble_prob.recording import Recording
from noble_prob.runs import Settings, find_recordings, infer_many
from noble_prob.runs.record import Record, opened

ROOT = Path(__file__).resolve().parents[2]
QUICK = (
    "--cell",
    "toy",
    "--method",
    "hmc",
    "--chains",
    "2",
    "--warmup",
    "30",
    "--draws",
    "30",
    "--seed",
    "1",
    "--batch",
    "2",
    "--quiet",
)
N = 4


@pytest.fixture(scope="module")
def day(tmp_path_factory) -> Path:
    """A folder of four recordings of different toy neurons, and a broken one."""
    folder = tmp_path_factory.mktemp("day")
    cell = nb.load_cell("toy")
    neurons = nb.draw(cell.prior, N, seed=4)
    for k in range(N):
        one = neurons.select(k)
        ensemble = nb.respond(cell.decoder, one, [-110.0, 90.0, 180.0])
        write_npz(Recording(protocol=ensemble.protocol, voltage_mv=ensemble.voltage_mv[0]), folder / f"cell_{k}.npz")
    (folder / "cell_2b.npz").write_bytes(b"PK no archive")
    (folder / "notes.txt").write_text("not a recording")
    return folder


def contents(out: Path) -> dict[str, dict]:
    """Every result without what the clock decides."""
    found = {}
    for path in sorted(out.glob("*/*.json")):
        values = json.loads(path.read_text())
        for clock in ("wall_s", "posterior_nc_sha256"):
            values.pop(clock, None)
        found[path.parent.name] = values
    return found


@pytest.fixture(scope="module")
def uninterrupted(day, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    assert call("infer", day, *QUICK, "--out", out) == 0
    return out


def test_every_recording_has_its_result_and_the_broken_one_its_sentence(uninterrupted, day):
    for k in range(N):
        place = uninterrupted / f"cell_{k}.npz"
        assert az.from_netcdf(place / "posterior.nc").posterior.sizes["draw"] == 30
        values = json.loads((place / "posterior.json").read_text())
        assert {"latents", "findings", "sha256"} <= set(values)
    refused = json.loads((uninterrupted / "cell_2b.npz" / "refused.json").read_text())
    assert "NPZ" in refused["refused"]
    rows = list(csv.DictReader((uninterrupted / "summary.csv").open()))
    assert [r["recording"] for r in rows] == sorted(p.name for p in day.glob("*.npz"))
    assert [r["status"] for r in rows].count("done") == N
    means = [float(r["resting_voltage_mv_mean"]) for r in rows if r["status"] == "done"]
    neurons = nb.draw(nb.load_cell("toy").prior, N, seed=4).value[:, 0]
    assert float((torch.tensor(means) - neurons).abs().max()) < 2.0
    for row in (r for r in rows if r["status"] == "done"):  # logarithms again in ms, with the unit in the name
        for end in ("mean", "low", "high"):
            log = float(row[f"log_mean_isi_180pa_{end}"])
            assert float(row[f"mean_isi_180pa_ms_{end}"]) == pytest.approx(math.exp(log), rel=1e-4)
        assert float(row["mean_isi_180pa_sd_percent"]) == pytest.approx(100 * float(row["log_mean_isi_180pa_sd"]))
    assert sum(head.startswith("resting_voltage_mv") for head in rows[0]) == 4  # says its unit already
    summary = json.loads((uninterrupted / "summary.json").read_text())
    assert (summary["recordings"], summary["done"], summary["refused"]) == (N + 1, N, 1)
    assert not list(uninterrupted.glob(".draft*"))
    assert not list(uninterrupted.glob(".ready*"))


def test_a_page_of_a_whole_run_is_refused_with_what_there_is(uninterrupted, tmp_path, capsys):
    said = complaint(capsys, tmp_path, ["report", uninterrupted, "--out", tmp_path / "page"])
    assert "a run with those of cell_0.npz, cell_1.npz, cell_2.npz, cell_3.npz;" in said
    assert f"`noble-prob report {uninterrupted / 'cell_0.npz'} --out page`" in said
    assert call("report", uninterrupted / "cell_0.npz", "--out", tmp_path / "page") == 0


def test_a_killed_run_goes_on_without_loss_or_repetition(day, uninterrupted, tmp_path):
    out = tmp_path / "run"
    command = [sys.executable, "-m", "noble_prob", "infer", str(day), *QUICK, "--out", str(out)]
    process = subprocess.Popen(
        command, cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not list(out.glob("*/posterior.json")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = {p: p.stat().st_mtime_ns for p in out.glob("*/*")}
    assert 1 <= len(list(out.glob("*/*.json"))) < N + 1
    assert call("infer", day, *QUICK, "--out", out) == 0
    assert {p: p.stat().st_mtime_ns for p in kept} == kept
    assert contents(out) == contents(uninterrupted)
    times = {p: p.stat().st_mtime_ns for p in out.glob("*/*")}
    assert call("infer", day, *QUICK, "--out", out) == 0  # nothing is left to do
    assert {p: p.stat().st_mtime_ns for p in out.glob("*/*")} == times


def test_a_batch_that_was_ready_when_the_run_died_is_not_done_again(tmp_path):
    with opened(tmp_path / "run", {"seed": 1}) as record:
        record.commit({"a": {"posterior.json": b"{}"}})
    ready, draft = tmp_path / "run" / ".ready-1-b", tmp_path / "run" / ".draft-2-d"
    for place in (ready / "b", ready / "c", draft / "d"):
        place.mkdir(parents=True)
        (place / "posterior.json").write_text('{"sha256": "x"}')
    with opened(tmp_path / "run", {"seed": 1}) as record:
        assert [record.result(name) for name in "abcd"] == [{}, {"sha256": "x"}, {"sha256": "x"}, None]
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["a", "b", "c", "run.json"]


def test_a_folder_of_another_run_or_in_use_is_refused(tmp_path):
    with opened(tmp_path / "run", {"seed": 1}):
        with pytest.raises(UsageError, match="nobody is at work"), opened(tmp_path / "run", {"seed": 1}):
            pass
        with pytest.raises(UsageError, match="seed"), opened(tmp_path / "run", {"seed": 2}):
            pass


def test_a_changed_or_new_file_is_done_and_the_others_are_not(day, uninterrupted, tmp_path):
    out, inputs = tmp_path / "run", tmp_path / "day"
    shutil.copytree(uninterrupted, out)
    shutil.copytree(day, inputs)
    shutil.copy(day / "cell_0.npz", inputs / "cell_2b.npz")  # repaired
    shutil.copy(day / "cell_1.npz", inputs / "cell_9.npz")
    settings = Settings(cell="toy", chains=2, warmup=30, draws=30, seed=1, batch=2)
    with opened(out, settings.plan(nb.load_cell("toy"))) as record:
        assert [s.name for s in record.pending(find_recordings([inputs]))] == ["cell_2b.npz", "cell_9.npz"]
    assert infer_many(find_recordings([inputs]), out, settings).refused == []
    assert not (out / "cell_2b.npz" / "refused.json").exists()


def test_one_recording_that_breaks_the_sampler_leaves_its_batch_alone(day, tmp_path, monkeypatch):
    real = sys.modules[Settings.__module__].infer_evidence

    def fragile(observations, **settings):
        if any(float(o.evidence.summary[0, 0]) == bad for o in observations):
            raise FloatingPointError("no number")
        return real(observations, **settings)

    cell = nb.load_cell("toy")
    bad = float(nb.inference.observe(nb.read(day / "cell_1.npz"), cell.decoder).evidence.summary[0, 0])
    monkeypatch.setattr(sys.modules[Settings.__module__], "infer_evidence", fragile)
    settings = Settings(cell="toy", chains=2, warmup=10, draws=10, batch=3)
    summary = infer_many(find_recordings([day / f"cell_{k}.npz" for k in range(3)]), tmp_path / "run", settings)
    assert [row["status"] for row in summary.rows] == ["done", "refused", "done"]
    assert "FloatingPointError: no number" in summary.refused[0]["why"]


def test_wrong_settings_and_hopeless_folders_are_one_sentence(day, tmp_path, capsys):
    assert call("infer", day, *QUICK, "--method", "magic", "--out", tmp_path / "a") == 2
    assert "method" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
    assert call("infer", day / "cell_2b.npz", "--each", *QUICK, "--out", tmp_path / "b") == 2
    assert "at least one that can be used" in capsys.readouterr().err
    assert Record(tmp_path / "b").result("cell_2b.npz")["refused"]


FAST = ("--cell", "toy", "--method", "importance", "--chains", "2", "--draws", "20", "--quiet")


def caused(why: Exception) -> UsageError:
    """A sentence about a file that says what stood behind it."""
    error = UsageError("path", "a whole file", "half of one", "save it again")
    error.__cause__ = why
    return error


PASSING = (
    OSError(errno.EIO, "Input/output error"),
    MemoryError(),
    caused(OSError(errno.EIO, "Input/output error")),
    caused(OSError(errno.ENOSPC, "No space left on device")),
    caused(MemoryError()),
    caused(caused(OSError(errno.ETIMEDOUT, "Connection timed out"))),
)
LASTING = (
    UsageError("path", "a recording", "none", "give one"),
    caused(ValueError("no number")),
    caused(OSError(errno.EINVAL, "Invalid argument")),
)


@pytest.mark.parametrize("error", [*PASSING, *LASTING], ids=repr)
def test_only_what_the_recording_is_guilty_of_is_not_tried_again(error, day, tmp_path, monkeypatch):
    def fails(*_, **__):
        raise error

    settings = Settings(cell="toy", method="importance", chains=2, draws=20)
    with monkeypatch.context() as broken:
        broken.setattr(sys.modules[Settings.__module__], "read", fails)
        infer_many(find_recordings([day / "cell_0.npz"]), tmp_path / "run", settings)
    with opened(tmp_path / "run", settings.plan(nb.load_cell("toy"))) as record:
        assert len(record.pending(find_recordings([day / "cell_0.npz"]))) == (error in PASSING)


def test_weighted_draws_of_a_recording_depend_on_nothing_but_itself(day, tmp_path):
    a, b = day / "cell_0.npz", day / "cell_1.npz"
    for name, files in {"ab": (a, b), "ba": (b, a), "a": (a, "--each")}.items():
        assert call("infer", *files, *FAST, "--out", tmp_path / name) == 0
    latents = [contents(tmp_path / name)["cell_0.npz"]["latents"] for name in ("ab", "ba", "a")]
    assert latents[0] == latents[1] == latents[2]


def test_what_is_no_number_is_null_and_does_not_cost_the_posterior(day, tmp_path, monkeypatch):
    module = sys.modules[Settings.__module__]
    real = module.to_json

    def stuck(*given):
        values = real(*given)
        values["latents"]["resting_voltage_mv"] |= {"r_hat": float("inf"), "ess_bulk": float("nan"), "ess_tail": 9.0}
        return values

    monkeypatch.setattr(module, "to_json", stuck)
    settings = Settings(cell="toy", method="importance", chains=2, draws=20)
    summary = infer_many(find_recordings([day / "cell_0.npz"]), tmp_path / "run", settings)
    assert (summary.refused, summary.rows[0]["ess"]) == ([], 9.0)
    assert contents(tmp_path / "run")["cell_0.npz"]["latents"]["resting_voltage_mv"]["r_hat"] is None


@pytest.mark.slow
def test_a_cluster_makes_the_same_results(day, tmp_path, only_cluster):
    ray = pytest.importorskip("ray", reason="the cluster extra is not installed")
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        files = (day / "cell_0.npz", day / "cell_1.npz")
        assert call("infer", *files, *QUICK, "--engine", "ray", "--out", tmp_path / "run") == 0
    finally:
        ray.shutdown()
    assert call("infer", *files, *QUICK, "--out", tmp_path / "here") == 0
    assert contents(tmp_path / "run") == contents(tmp_path / "here")
