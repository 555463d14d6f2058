"""The folder of a training run: one that can be written, and that belongs to one run at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from noble_prob.errors import UsageError, require
from noble_prob.population.store import begin_folder

LOCK = ".lock"


def require_folder(folder: Path) -> None:
    """Refuse a place where no folder can be, before any work is done and without making anything.

    Args:
        folder: Where a run shall be kept.

    Raises:
        UsageError: If it is a file or lies below one.
    """
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    require(place.is_dir(), "out", "a folder", f"{str(folder)!r}, for {place.name!r} is a file", "choose another name")


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep a folder for this process; the operating system lets go of it however the process ends.

    Args:
        folder: Made if missing.

    Raises:
        UsageError: If it can not be written, or another process is at work in it.
    """
    begin_folder(folder)
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError("out", "a folder without a training under way", f"{folder.name!r}, where one is",
                             "wait for it, or choose another folder") from error  # fmt: skip
        yield
