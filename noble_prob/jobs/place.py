"""A folder to write into: that it can be one, and that one process alone is at work in it."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from noble_prob.errors import UsageError, require

LOCK = ".lock"


def require_name(path: Path, parameter: str = "out") -> os.stat_result | None:
    """Refuse a path that the operating system does not take, such as one whose name is too long.

    Args:
        path: Of a file or folder, whether it exists or not.
        parameter: What the caller calls it.

    Returns:
        What is there (of a symbolic link, the link itself), None if nothing is.

    Raises:
        UsageError: If there can be nothing of this name.
    """
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            parameter, "a path that can exist", f"'{str(path)[:40]}...' ({why})", "choose another name"
        ) from error


def require_folder(path: Path, parameter: str = "out") -> None:
    """Refuse what is no folder and can not become one.

    Args:
        path: A folder, or the name of one to be made.
        parameter: What the caller calls it.

    Raises:
        UsageError: If it is a file or lies below one, or is a symbolic link that leads nowhere, or there can be nothing
            of this name.
    """
    there = require_name(path, parameter)
    if there is None:
        above = next(p for p in path.absolute().parents if p.exists())
        require(
            above.is_dir(), parameter, "a folder", f"{str(path)!r}, for {above.name!r} is a file", "choose another name"
        )
        return
    if path.is_dir():
        return
    nowhere = stat.S_ISLNK(there.st_mode) and not path.exists()
    what = "a symbolic link that leads nowhere" if nowhere else "a file"
    raise UsageError(parameter, "a folder", f"{str(path)!r}, which is {what}", "choose another name")


def begin_folder(folder: Path) -> None:
    """Make a folder, unless it is there.

    Args:
        folder: Where files shall go.

    Raises:
        UsageError: If it is a file, or nothing can be written into it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(
            "out",
            "a folder that can be written",
            f"{str(folder)!r} ({error.strerror})",
            "choose another place or change its permissions",
        ) from error


@contextmanager
def locked(folder: Path, parameter: str = "out") -> Iterator[None]:
    """Work in a folder alone; another process that wants to is refused until the block ends, however it ends.

    Args:
        folder: Where; made if missing, and removed if nothing was left in it.
        parameter: What the caller calls it.

    Raises:
        UsageError: If the folder can not be written, or another process is at work in it.
    """
    require_folder(folder, parameter)
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    except OSError as error:
        raise UsageError(
            parameter,
            "a folder that can be written",
            f"{str(folder)!r} ({error.strerror})",
            "choose another place or change its permissions",
        ) from error
    with lock:
        _take(lock, folder, parameter)
        try:
            yield
        finally:
            (folder / LOCK).unlink(missing_ok=True)
            for place in missing:
                with suppress(OSError):  # something was left in it
                    place.rmdir()


def _take(lock: IO[str], folder: Path, parameter: str) -> None:
    """Lock a file; the lock falls with the process, however that ends."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mine = os.path.samestat(os.fstat(lock.fileno()), (folder / LOCK).stat())  # else its owner has just removed it
    except (BlockingIOError, FileNotFoundError):
        mine = False
    require(
        mine,
        parameter,
        "a folder in which nobody is at work",
        f"{folder.name!r}, which a running process writes to",
        "wait for it, or choose another folder",
    )
