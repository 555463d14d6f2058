"""Artefacts appear whole or not at all: written beside their place under another name, then renamed."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from noble_prob.cli.options import UnprintedError
from noble_prob.errors import UsageError, require
from noble_prob.jobs.place import require_folder, require_name
from noble_prob.strict_json import dumps

PREFIX = ".noble-prob-"
KINDS = {
    stat.S_ISDIR: "a folder",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
    stat.S_ISFIFO: "a pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISLNK: "a symbolic link to itself",
}
"""What a name may stand for that is no file, in words."""


@contextmanager
def new_folder(out: Path, *names: str) -> Iterator[Path]:
    """A folder to write into; its files move to ``out`` when the block succeeds, and vanish when it fails.

    Args:
        out: Final folder; made if missing, files of the same name are replaced, which is said.
        names: Of the files that will be written, as far as they are known beforehand.

    Raises:
        UsageError: At once, before any work, if nothing can be written there, or a name is taken by what is no file.
    """
    require_folder(out)
    for name in names:
        _place(out / name)
    with _beside(out if out.is_dir() else out.parent, out) as draft:
        yield draft
        places = {path: _place(out / path.name) for path in sorted(draft.iterdir())}  # all of them before any is moved
        out.mkdir(parents=True, exist_ok=True)
        _put(places)


@contextmanager
def new_file(out: Path, parameter: str = "out") -> Iterator[Path]:
    """A file to write; it moves to ``out`` when the block succeeds, and vanishes when it fails.

    Args:
        out: Final path; a file of that name is replaced, which is said; behind a symbolic link, the file it leads to.
        parameter: What the caller calls it.

    Raises:
        UsageError: At once, before any work, if nothing can be written there, or something is there that is no file.
    """
    place = _place(out, parameter)
    with _beside(place.parent, out, parameter) as draft:
        yield draft / out.name
        place = _place(out, parameter)
        place.parent.mkdir(parents=True, exist_ok=True)
        _put({draft / out.name: place})


def _place(out: Path, parameter: str = "out") -> Path:
    """Where a file of this name lies: links are followed, so that they are not replaced by what they lead to.

    Raises:
        UsageError: If something is there that is no file, such as a folder, a device or a pipe: renaming a file over a
            device would take it away from everybody.
    """
    require_name(out, parameter)
    place = Path(os.path.realpath(out))
    there = require_name(place, parameter)
    what = None if there is None else next((word for test, word in KINDS.items() if test(there.st_mode)), None)
    if what is None and out.is_symlink() and not place.parent.is_dir():
        what = "a symbolic link that leads nowhere"
    require(what is None, parameter, "a file", f"{str(out)!r}, which is {what}", "choose another name")
    return place


def _put(places: Mapping[Path, Path]) -> None:
    """Move files to their places; one line on stderr about the earlier results that were there."""
    replaced = [str(place) for place in places.values() if place.exists()]
    for path, place in places.items():
        _move(path, place)
    if replaced:
        print(f"replaced {', '.join(replaced)}".encode(errors="backslashreplace").decode(), file=sys.stderr)


def _move(draft: Path, place: Path) -> None:
    """Rename, by way of a copy where a link leads to another file system."""
    try:
        os.replace(draft, place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with _beside(place.parent, place) as beside:
            os.replace(shutil.copyfile(draft, beside / draft.name), place)


@contextmanager
def _beside(place: Path, out: Path, parameter: str = "out") -> Iterator[Path]:
    """A temporary folder on the file system of ``place`` (or of its nearest existing parent)."""
    place = place.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        draft = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    except OSError as error:
        raise UsageError(
            parameter,
            "a place that can be written",
            f"{str(out)!r} ({error.strerror})",
            "choose another place or change its permissions",
        ) from error
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def hint_na(currents_pa: Iterable[float], verb: str) -> None:
    """One line on stderr about a step of less than 1 pA, which no neuron feels: it may have been meant in nA.

    Args:
        currents_pa: Heights of the steps.
        verb: Who says so.
    """
    for current in currents_pa:
        if 0 < abs(current) < 1:
            print(f"noble-prob {verb}: {current:g} pA: if you mean nA, write {1000 * current:g}.", file=sys.stderr)
            return


def write_text(path: Path, text: str) -> None:
    """A text in UTF-8, in which a file name that is no text stands as escapes."""
    path.write_bytes(text.encode(errors="backslashreplace"))


def write_json(path: Path, values: Any) -> None:
    """Strict JSON: what is not a number is null."""
    write_text(path, dumps(values))


def tell(args: Namespace, text: str, values: Any) -> None:
    """Print the result: JSON where ``--json`` asks for it, else text.

    Args:
        args: Options of the verb.
        text: For people.
        values: For machines.
    """
    said = dumps(values) if args.json is True else text
    encoding = sys.stdout.encoding or "utf-8"
    try:
        said.encode(encoding)
    except UnicodeEncodeError:  # a file name that is no text, or a terminal that knows few letters
        said = (
            said.encode(encoding, "backslashreplace").decode(encoding) if said is text else json.dumps(json.loads(said))
        )
    show(args, said)


def show(args: Namespace, text: str) -> None:
    """Print the last words of a verb; what it has made is there, even where nobody can read them.

    Args:
        args: Options of the verb.
        text: To print.

    Raises:
        UnprintedError: If the text could not be printed, with the code of success where the result is in a file.
    """
    try:
        print(text, end="" if text.endswith("\n") or not text else "\n", flush=True)
    except OSError as error:
        with suppress(OSError, ValueError):  # or Python tries again at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        place = getattr(args, "out", None) or (args.json if args.json is not True else None)
        where = f"the result is in {str(place)!r}, but" if place else "the result"
        asked = args.json is True  # for what was printed
        raise UnprintedError(
            f"{where} could not be printed ({error.strerror})", 1 if asked or not place else 0
        ) from error


def write_report(report: Any, folder: Path) -> tuple[str, Any]:
    """Write ``report.html`` and ``report.json``; the report as text and as values.

    Args:
        report: A :class:`noble_prob.report.ReportData`.
        folder: Where they go.
    """
    from noble_prob.report import render

    values = render(report, "json")
    write_text(folder / "report.html", render(report, "html"))
    write_text(folder / "report.json", values)
    return render(report, "text"), json.loads(values)
