"""Artefacts appear whole or not at all: written beside their place under another name, then renamed."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from noble_prob.errors import UsageError, require
from noble_prob.population.place import require_folder, require_name
from noble_prob.strict_json import dumps

PREFIX = ".noble-prob-"


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to write into; its files move to ``out`` when the block succeeds, and vanish when it fails.

    Args:
        out: Final folder; made if missing, files of the same name are replaced, which is said.

    Raises:
        UsageError: At once, before any work, if nothing can be written there.
    """
    require_folder(out)
    with _beside(out if out.is_dir() else out.parent, out) as draft:
        yield draft
        out.mkdir(parents=True, exist_ok=True)
        _put([(path, out / path.name) for path in sorted(draft.iterdir())])


@contextmanager
def new_file(out: Path) -> Iterator[Path]:
    """A file to write; it moves to ``out`` when the block succeeds, and vanishes when it fails.

    Args:
        out: Final path; replaced if it exists, which is said.

    Raises:
        UsageError: At once, before any work, if nothing can be written there.
    """
    require_name(out)
    require(not out.is_dir(), "out", "a file", f"{str(out)!r}, which is a folder", "add a file name")
    with _beside(out.parent, out) as draft:
        yield draft / out.name
        out.parent.mkdir(parents=True, exist_ok=True)
        _put([(draft / out.name, out)])


def _put(moves: Sequence[tuple[Path, Path]]) -> None:
    """Move files to their places; one line on stderr about the earlier results that were there."""
    replaced = [str(place) for _, place in moves if place.exists()]
    for path, place in moves:
        os.replace(path, place)
    if replaced:
        print(f"replaced {', '.join(replaced)}", file=sys.stderr)


@contextmanager
def _beside(place: Path, out: Path) -> Iterator[Path]:
    """A temporary folder on the file system of ``place`` (or of its nearest existing parent)."""
    place = place.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        draft = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    except OSError as error:
        raise UsageError("out", "a place that can be written", f"{str(out)!r} ({error.strerror})",
                         "choose another place or change its permissions") from error  # fmt: skip
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_json(path: Path, values: Any) -> None:
    """Strict JSON: what is not a number is null."""
    path.write_text(dumps(values), encoding="utf-8")


def tell(args: Namespace, text: str, values: Any) -> None:
    """Print the result: JSON where ``--json`` asks for it, else text.

    Args:
        args: Options of the verb.
        text: For people.
        values: For machines.
    """
    said = dumps(values) if args.json is True else text
    print(said, end="" if said.endswith("\n") or not said else "\n")


def write_report(report: Any, folder: Path) -> tuple[str, Any]:
    """Write ``report.html`` and ``report.json``; the report as text and as values.

    Args:
        report: A :class:`noble_prob.report.ReportData`.
        folder: Where they go.
    """
    from noble_prob.report import render

    values = render(report, "json")
    (folder / "report.html").write_text(render(report, "html"), encoding="utf-8")
    (folder / "report.json").write_text(values, encoding="utf-8")
    return render(report, "text"), json.loads(values)
