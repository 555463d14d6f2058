"""One call whose failure is a value, in whatever process it runs.

A time limit is an alarm signal of the operating system, so the call must run in the main thread of its process, as it
does in this process, in a worker process and in a Ray worker. Arbor's solver is compiled code that a signal cannot
interrupt: :func:`noble_prob.population.trace.run_trace` returns to Python every 50 ms of simulated time.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

LONGEST_S = 1e8
"""A longer limit is none: three years (s)."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one item.

    Attributes:
        index: Its position in the list of items.
        value: The result, None if it failed.
        error: Why it failed, None if it did not.
    """

    index: int
    value: Any = None
    error: str | None = None


class TaskTimeoutError(Exception):
    """A task ran past its limit."""


def attempt(task: Callable[[Any], Any], index: int, item: Any, timeout_s: float | None) -> Outcome:
    """One call whose failure is a value; runs in the main thread of its process because of the alarm."""

    def ring(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001 - signature of a signal handler
        raise TaskTimeoutError(f"stopped after {timeout_s} s")

    before = signal.signal(signal.SIGALRM, ring) if timeout_s else None
    if timeout_s:
        signal.setitimer(signal.ITIMER_REAL, min(timeout_s, LONGEST_S))
    try:
        return Outcome(index=index, value=task(item))
    except Exception as error:
        return Outcome(index=index, error=f"{type(error).__name__}: {error}")
    finally:
        if timeout_s:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
