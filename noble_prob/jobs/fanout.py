"""The same function on many items, on all cores of one machine or of a Ray cluster.

Processes, because one simulation uses one core and simulations do not talk. What can go wrong stays with its item:
an exception, a task over its time limit (an alarm in the worker) or a worker that dies (the survivors' items are tried
again one by one, so that only the guilty one fails). Workers end when the run is killed. The bar counts finished work
only.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Literal

from noble_prob.errors import UsageError, require
from noble_prob.jobs.attempt import Outcome, attempt
from noble_prob.jobs.bars import counter
from noble_prob.jobs.ray_engine import ray_outcomes, require_ray

Engine = Literal["processes", "ray"]


def fan_out(
    task: Callable[[Any], Any],
    items: Sequence[Any],
    *,
    jobs: int = 1,
    timeout_s: float | None = None,
    max_minutes: float | None = None,
    progress: str | None = None,
    engine: Engine = "processes",
    address: str | None = None,
) -> Iterator[Outcome]:
    """Apply ``task`` to every item and yield outcomes as they finish, in any order.

    Args:
        task: A function that a worker process can import.
        items: Its arguments, one per call.
        jobs: Number of processes; 1 stays in this one.
        timeout_s: Limit per item (s).
        max_minutes: Begin no item after this time; those under way are finished.
        progress: Title of the progress bar; None for no bar.
        engine: Processes of this machine, or the workers of a Ray cluster (``jobs`` is then the cluster's affair).
        address: Address of the Ray cluster; None starts one on this machine.

    Raises:
        UsageError: If ``jobs`` or the limit is not positive.
    """
    require(timeout_s is None or timeout_s > 0, "timeout_s", "positive", timeout_s, "give seconds, or leave it out")
    require_workers(jobs, engine)
    stop = None if max_minutes is None else time.monotonic() + 60 * max_minutes
    if engine == "ray":
        outcomes = ray_outcomes(task, items, address=address, timeout_s=timeout_s, stop=stop)
    elif jobs == 1:
        outcomes = _serial(task, items, timeout_s, stop)
    else:
        outcomes = _pooled(task, items, jobs, timeout_s, stop)
    with counter(
        total=len(items), desc=progress or "", unit="part", show=progress is not None, smoothing=0.05
    ) as shown:
        for outcome in outcomes:
            shown.update()
            yield outcome


def require_workers(jobs: int, engine: Engine) -> None:
    """Refuse workers that there can not be, before anything is begun.

    Args:
        jobs: Number of processes.
        engine: See :func:`fan_out`.

    Raises:
        UsageError: If ``jobs`` is not positive, or Ray is not installed.
    """
    require(jobs >= 1, "jobs", "a positive number of processes", jobs, "give the number of cores to use")
    if engine == "ray":
        require_ray()


def _serial(
    task: Callable[[Any], Any], items: Sequence[Any], timeout_s: float | None, stop: float | None
) -> Iterator[Outcome]:
    for index, item in enumerate(items):
        if _late(stop):
            return
        yield attempt(task, index, item, timeout_s)


def _pooled(
    task: Callable[[Any], Any], items: Sequence[Any], jobs: int, timeout_s: float | None, stop: float | None
) -> Iterator[Outcome]:
    """Keep every process busy and one item per process in reserve; survive the death of a worker."""
    todo = list(enumerate(items))[::-1]
    while todo and not _late(stop):
        with _executor(jobs) as pool:
            _require_ready(pool)
            running: dict[Future[Outcome], tuple[int, Any]] = {}
            suspects: list[tuple[int, Any]] = []
            while (todo and not _late(stop)) or running:
                while todo and len(running) < 2 * jobs and not suspects and not _late(stop):
                    index, item = todo.pop()
                    running[pool.submit(attempt, task, index, item, timeout_s)] = (index, item)
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    job = running.pop(future)
                    if isinstance(future.exception(), BrokenProcessPool):
                        suspects.append(job)
                    else:
                        yield future.result()
        for index, item in suspects:
            yield _alone(task, index, item, timeout_s)


def _alone(task: Callable[[Any], Any], index: int, item: Any, timeout_s: float | None) -> Outcome:
    """One item in a process of its own, whose death is its failure."""
    with _executor(1) as pool:
        try:
            return pool.submit(attempt, task, index, item, timeout_s).result()
        except BrokenProcessPool:
            return Outcome(
                index=index, error="the process that ran it died (out of memory, or a crash of the simulator)"
            )


def _require_ready(pool: ProcessPoolExecutor) -> None:
    """Refuse to work where a fresh process cannot even start: the main script would start processes of its own."""
    try:
        pool.submit(os.getpid).result()
    except BrokenProcessPool as error:
        raise UsageError(
            "jobs",
            "1 in a script that a new process cannot import",
            "more processes",
            "put the script's work under `if __name__ == '__main__':`",
        ) from error


@contextmanager
def _executor(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Worker processes; what is under way when the caller leaves early is ended, not waited for and thrown away."""
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_end_with_parent)
    try:
        yield pool
    except BaseException:
        workers = list((pool._processes or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.kill()
        raise
    pool.shutdown()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever: end with it; Ctrl-C is the parent's affair."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_await_parent, daemon=True).start()


def _await_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _late(stop: float | None) -> bool:
    return stop is not None and time.monotonic() >= stop
