"""One item's failure is its own; the number of processes changes nothing but the time."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from noble_prob.errors import UsageError
from noble_prob.jobs.fanout import fan_out


def work(item):
    if item == "raise":
        raise RuntimeError("no such channel")
    if item == "hang":
        time.sleep(60)
    if item == "die":
        os._exit(9)
    return 2 * item


def outcomes(items, **options):
    return {o.index: o for o in fan_out(work, items, **options)}


@pytest.mark.parametrize("jobs", [1, 2])
def test_errors_and_overlong_tasks_are_recorded_and_the_rest_is_done(jobs):
    begin = time.monotonic()
    found = outcomes([1, "raise", 2, "hang", 3], jobs=jobs, timeout_s=1.0)
    assert time.monotonic() - begin < 40
    assert {i: o.value for i, o in found.items()} == {0: 2, 1: None, 2: 4, 3: None, 4: 6}
    assert found[1].error == "RuntimeError: no such channel"
    assert "stopped after 1.0 s" in found[3].error


def test_only_the_item_that_kills_its_process_fails():
    found = outcomes([1, 2, "die", 3, 4, 5], jobs=2)
    assert [found[i].value for i in range(6)] == [2, 4, None, 6, 8, 10]
    assert "process" in found[2].error


def test_after_the_time_is_up_nothing_begins():
    assert outcomes([1, 2, 3], max_minutes=0.0) == {}


def test_no_processes_is_wrong_use():
    with pytest.raises(UsageError, match="jobs"):
        list(fan_out(work, [1], jobs=0))


def note_and_wait(folder):
    (folder / str(os.getpid())).touch()
    time.sleep(60)


def alive(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


LINUX = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at Linux's table of processes")


@LINUX
def test_whoever_leaves_early_does_not_wait_for_what_is_under_way(tmp_path):
    """A scheduler kills what has not ended some seconds after its SIGTERM."""
    outcomes = fan_out(note_and_wait, [None, *3 * [tmp_path]], jobs=2)
    assert next(outcomes).error  # of the first
    while not (notes := list(tmp_path.iterdir())):
        time.sleep(0.01)
    begin = time.monotonic()
    outcomes.close()
    assert time.monotonic() - begin < 20
    until = time.monotonic() + 10
    while any(alive(int(note.name)) for note in notes) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(alive(int(note.name)) for note in notes)


@LINUX
def test_workers_end_with_a_run_that_is_killed(tmp_path):
    script, notes = tmp_path / "run.py", tmp_path / "notes"
    notes.mkdir()
    script.write_text(
        f"import sys\nfrom pathlib import Path\nsys.path[:0] = [{str(Path(__file__).parent)!r}]\n"
        "from test_population_fanout import fan_out, note_and_wait\n"
        f"if __name__ == '__main__':\n    list(fan_out(note_and_wait, 2 * [Path({str(notes)!r})], jobs=2))\n"
    )
    run = subprocess.Popen([sys.executable, str(script)])
    until = time.monotonic() + 60
    while len(list(notes.iterdir())) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    workers = [int(note.name) for note in notes.iterdir()]
    assert len(workers) == 2
    assert all(map(alive, workers))
    run.kill()
    run.wait()
    until = time.monotonic() + 10
    while any(map(alive, workers)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(alive, workers))
