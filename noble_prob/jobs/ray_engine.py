"""The same function on many items, on the workers of a Ray cluster.

Ray schedules, moves the data and runs an item again when its worker or its whole node is lost; here is only the loop
that keeps the cluster busy without handing it everything at once. Every node needs this package installed; results
come back to the caller, so the nodes need no common file system.

Reference: Moritz et al. (2018) Ray, OSDI 2018, 561-577.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any

from noble_prob.errors import UsageError
from noble_prob.jobs.attempt import Outcome, attempt

RETRIES = 5
"""How often an item is tried again after its worker or node was lost."""


def require_ray() -> Any:
    """Ray, where it is installed.

    Raises:
        UsageError: If it is not.
    """
    try:
        return import_module("ray")
    except ModuleNotFoundError as error:
        raise UsageError("engine", "one that is installed", "ray", "run: pip install 'noble_prob[cluster]'") from error


def ray_outcomes(
    task: Callable[[Any], Any],
    items: Sequence[Any],
    *,
    address: str | None = None,
    timeout_s: float | None = None,
    stop: float | None = None,
) -> Iterator[Outcome]:
    """Apply ``task`` to every item on a Ray cluster.

    Args:
        task: A function that the workers can import.
        items: Its arguments.
        address: Address of the cluster; None for a cluster that is already connected, or a local one.
        timeout_s: Limit per item (s).
        stop: Begin no item after this value of :func:`time.monotonic`.

    Raises:
        UsageError: If Ray is not installed.
    """
    ray = require_ray()
    if not ray.is_initialized():
        ray.init(address=address, log_to_driver=False)
    remote = ray.remote(attempt).options(max_retries=RETRIES, num_cpus=1)
    todo = list(enumerate(items))[::-1]
    running: dict[Any, int] = {}
    while todo or running:
        late = stop is not None and time.monotonic() >= stop
        if late and not running:
            return
        room = 0 if late else 2 * max(1, int(ray.cluster_resources().get("CPU", 1))) - len(running)
        for _ in range(min(room, len(todo))):
            index, item = todo.pop()
            running[remote.remote(task, index, item, timeout_s)] = index
        for reference in ray.wait(list(running), num_returns=1, timeout=5.0)[0]:
            index = running.pop(reference)
            yield _result(ray, reference, index)


def _result(ray: Any, reference: Any, index: int) -> Outcome:
    """The outcome of an item; one that Ray gave up is a failed one."""
    try:
        outcome: Outcome = ray.get(reference)
    except ray.exceptions.RayError as error:
        return Outcome(index=index, error=f"{type(error).__name__}: {str(error).splitlines()[0]}")
    return outcome
