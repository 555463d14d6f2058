"""Progress on stderr: a bar in a terminal; in a file or a pipe, which would keep every stroke of it, a few lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterable, Iterator
from types import TracebackType
from typing import Any, NoReturn, Self

from tqdm import tqdm

SHARE, PAUSE_S = 0.1, 5.0
"""A line follows the last after this share of the whole and this time (s); what is done sooner gets none."""


def bar[Item](items: Collection[Item], *, desc: str, unit: str, show: bool, **options: Any) -> Iterable[Item]:
    """The items one by one, and how far one has come.

    Args:
        items: To iterate over.
        desc: Title.
        unit: What an item is.
        show: Whether to show anything.
        options: Further ones of tqdm, for a terminal.
    """
    if not show or sys.stderr.isatty():
        return tqdm(items, desc=desc, unit=unit, disable=not show, **options)
    return Lines(items, desc=desc, unit=unit, total=len(items))


def counter(
    *, total: int, initial: int = 0, desc: str, unit: str, show: bool, **options: Any
) -> tqdm[NoReturn] | Lines[Any]:
    """A context in which ``update`` tells how far one has come.

    Args:
        total: How many there are.
        initial: How many were done before.
        desc: Title.
        unit: What is counted.
        show: Whether to show anything.
        options: Further ones of tqdm, for a terminal.
    """
    if not show or sys.stderr.isatty():
        return tqdm(total=total, initial=initial, desc=desc, unit=unit, disable=not show, **options)
    return Lines((), desc=desc, unit=unit, total=total, done=initial)


def say(line: str) -> None:
    """A line on stderr, above the bars that are there."""
    tqdm.write(line, file=sys.stderr)


class Lines[Item]:
    """As much of a bar as is used here, as lines.

    Args:
        items: To iterate over.
        desc: Title.
        unit: What an item is.
        total: How many there are.
        done: How many were done before.
    """

    def __init__(self, items: Iterable[Item], *, desc: str, unit: str, total: int, done: int = 0):
        self.items, self.desc, self.unit, self.total, self.n = items, desc, unit, total, done
        self._began = self._told_at = time.monotonic()
        self._told = done

    def update(self, n: int = 1) -> None:
        """So many more are done; a line if it is time for one, and at the end of what had some."""
        self.n += n
        now = time.monotonic()
        much = self.n - self._told >= SHARE * self.total or self.n >= self.total
        if much and now - self._told_at >= PAUSE_S:
            share = f"{100 * self.n / max(self.total, 1):.0f} %"
            say(f"{self.desc}: {share} ({self.n} of {self.total} {self.unit}s), {now - self._began:.0f} s")
            self._told, self._told_at = self.n, now

    def __iter__(self) -> Iterator[Item]:
        """The items; each counts when the next is asked for."""
        for item in self.items:
            yield item
            self.update()

    def __enter__(self) -> Self:
        """Nothing is to be opened."""
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing is to be closed."""
