"""One item's failure is its own; the number of processes changes nothing but the time."""

import os
import time

import pytest

from noble_prob.errors import UsageError
from noble_prob.population.fanout import fan_out


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
