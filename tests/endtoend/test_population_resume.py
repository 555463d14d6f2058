"""A data set survives kill -9: what was reported done stays, nothing is done twice, the result is the same bytes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from noble_prob.population.builtin import builtin_hof
from noble_prob.population.populate import Plan, populate
from noble_prob.population.progress import progress
from noble_prob.population.standard import Design
from noble_prob.population.store import Store

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
sys.path[:0] = [{root!r}, {here!r}]
from test_population_resume import plan
from noble_prob.population.populate import populate
if __name__ == "__main__":
    print(dict(populate(plan(), sys.argv[1], jobs=2)))
"""


def plan(**changes):
    design = Design(standard_pa=(-110.0, 180.0), n_random=2, onset_ms=5.0, duration_ms=60.0, total_ms=80.0)
    return Plan(**{"base": builtin_hof(), "n_models": 12, "seed": 5, "design": design, "chunk_models": 1} | changes)


def contents(folder):
    return {f.name: f.read_bytes() for f in sorted(folder.iterdir()) if not f.name.startswith(".")}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "set"
    tally = populate(plan(), folder, progress=False)
    return folder, tally


def test_a_killed_run_is_continued_to_the_same_bytes(tmp_path, uninterrupted):
    script, folder = tmp_path / "make.py", tmp_path / "set"
    script.write_text(PROGRAM.format(root=str(ROOT), here=str(Path(__file__).parent)))
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder)],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while len(list(folder.glob("chunk-*.npz"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)  # the run and its workers
    process.wait()
    kept = {file.name: file.stat().st_mtime_ns for file in folder.glob("chunk-*.npz")}
    assert 2 <= len(kept) < 12
    again = Store(folder)
    assert [again.read(i).index for i in again.done()] == again.done()  # readable as it stands
    tally = populate(plan(), folder, progress=False)
    assert sum(tally.values()) == 12 - len(kept)
    assert {name: (folder / name).stat().st_mtime_ns for name in kept} == kept
    assert contents(folder) == contents(uninterrupted[0])


def test_processes_and_pieces_make_the_same_set(tmp_path, uninterrupted):
    first = populate(plan(), tmp_path / "set", chunks=range(5, 12), jobs=2, progress=False)
    second = populate(plan(), tmp_path / "set", progress=False)
    assert first + second == uninterrupted[1]
    assert contents(tmp_path / "set") == contents(uninterrupted[0])


def test_the_set_holds_what_the_plan_says(uninterrupted):
    store = Store(uninterrupted[0])
    assert store.missing() == []
    manifest = json.loads((uninterrupted[0] / "manifest.json").read_text())
    assert manifest["base"]["sha256"] == builtin_hof().digest
    good = store.accepted()
    assert 6 <= len(good.model_id) == uninterrupted[1]["accepted"]
    assert good.voltage_mv.shape == (len(good.model_id), 4, 1280)
    assert (good.amps_pa[:, :2] == [-110.0, 180.0]).all()
    assert (good.duration_ms == 60).all()
    assert good.voltage_mv.isfinite().all()
    assert (good.voltage_mv[:, 1].amax(-1) > -20).all()  # accepted models fire at 180 pA


def test_rejected_models_keep_their_reason_and_skip_the_random_pulses(tmp_path):
    from noble_prob.population.accept import Criterion

    strict = (Criterion(feature="spike_count", current_pa=180.0, low=1000.0),)
    tally = populate(plan(criteria=strict, n_models=1), tmp_path / "set", progress=False)
    assert tally == {"rejected: spike_count at 180 pA": 1}
    told = progress(Store(tmp_path / "set")).sentence
    assert "0 were accepted (1 rejected: spike_count at 180 pA): nothing can be trained on it" in told
    voltage = Store(tmp_path / "set").read(0).voltage_mv
    assert voltage.isfinite().all(-1).tolist() == [[True, True, False, False]]


def test_random_durations_are_recorded(tmp_path):
    design = Design(
        standard_pa=(180.0,),
        n_random=6,
        onset_ms=5.0,
        duration_ms=60.0,
        total_ms=120.0,
        random_duration_ms=(20.0, 100.0),
    )
    populate(plan(design=design, n_models=2, chunk_models=2, criteria=()), tmp_path / "set", progress=False)
    chunk = Store(tmp_path / "set").read(0)
    assert (chunk.duration_ms[:, 0] == 60).all()
    random = chunk.duration_ms[:, 1:]
    assert random.min() >= 20
    assert random.max() <= 100
    assert len(set(random.ravel())) > 6
