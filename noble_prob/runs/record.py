"""A run on disk: whole at every moment, whenever it is killed.

    OUT/run.json              what is done to every recording
    OUT/NAME/                 a recording's result: posterior.nc and posterior.json, or refused.json
    OUT/summary.csv, .json    one row per recording, when the run has ended

The results of a batch are written into a hidden draft, which is renamed to ``.ready-*`` when all of them are on disk,
and moved from there one by one. A run that begins again throws drafts away, moves what is ready, and knows by the hash
of their content which recordings are done. So a batch is done or not, nothing is done twice, and a resumed run makes
the same batches, hence the same draws, as one that was never stopped. What is damaged is done again; what is not ours
is never deleted, nor is a whole result whose recording can not be read any more.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from noble_prob.errors import UsageError, listed, require
from noble_prob.jobs.place import LOCK, locked, require_folder
from noble_prob.jobs.whole import write_atomically
from noble_prob.runs.sources import Source

Files = Mapping[str, bytes]
"""Content of the files of one recording's result, by name."""
POSTERIOR, REFUSED, TREE, PLAN = "posterior.json", "refused.json", "posterior.nc", "run.json"
TREE_HASH = "posterior_nc_sha256"
"""Entry of ``posterior.json`` that tells a damaged ``posterior.nc``."""
PARTS = {"decoder_sha256": "decoder", "belongs_to": "prior", "estimator": "estimator"}
"""Entries of a plan that people know under another name: their values are hashes, which tell nobody anything."""
DRAFT, READY = ".draft-", ".ready-"


class Record:
    """The folder of a run.

    Args:
        folder: Where; see :func:`opened`.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def result(self, name: str) -> dict[str, Any] | None:
        """What is on disk about a recording: its ``posterior.json`` or ``refused.json``, None if none is readable."""
        for file in (POSTERIOR, REFUSED):
            path = self.folder / name / file
            if path.is_file():
                return _values(path)
        return None

    def pending(self, sources: Sequence[Source]) -> list[Source]:
        """Recordings without a whole result of their present content, and those that failed for no fault of their own.

        Args:
            sources: What the run is to do.

        Raises:
            UsageError: If the place of a result is taken by something else.
        """
        left = [source for source in sources if not self._done(source)]
        for source in left:
            _require_ours(self.folder / source.name)
        return left

    def _done(self, source: Source) -> bool:
        found = self.result(source.name)
        if found is None:
            return False
        tree = self.folder / source.name / TREE
        whole = tree.is_file() and found.get(TREE_HASH) == sha256(tree.read_bytes())
        if not source.sha256:  # a drive that is not there now is no reason to throw its results away
            return whole
        return found.get("sha256") == source.sha256 and not found.get("again", False) and ("refused" in found or whole)

    def commit(self, results: Mapping[str, Files]) -> None:
        """Keep the results of a batch: all of them or, if this process dies or the disk is full, none.

        Args:
            results: Files by name of recording.
        """
        label = f"{os.getpid()}-{sha256(min(results).encode(errors='replace'))[:16]}"
        draft = self.folder / f"{DRAFT}{label}"
        try:
            for name, files in results.items():
                (draft / name).mkdir(parents=True)
                for file, content in files.items():
                    write_atomically(draft / name / file, content)
            ready = draft.rename(self.folder / f"{READY}{label}")
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        self._move(ready)

    def recover(self) -> None:
        """Finish what a killed run had ready, forget what it had not."""
        for draft in _folders(self.folder, DRAFT):
            shutil.rmtree(draft)
        for ready in _folders(self.folder, READY):
            self._move(ready)

    def _move(self, ready: Path) -> None:
        """Put the results of a finished batch in their places."""
        for result in sorted(ready.iterdir()):
            place = self.folder / result.name
            _require_ours(place)
            if place.exists():
                shutil.rmtree(place)
            result.rename(place)
        ready.rmdir()


@contextmanager
def opened(folder: Path, plan: Mapping[str, Any]) -> Iterator[Record]:
    """The record of a run in this folder: a new one, or the one that the same plan began.

    Args:
        folder: Where; made if missing.
        plan: JSON values that determine every result.

    Raises:
        UsageError: If the folder belongs to a run of another plan, holds other files, can not be written, or another
            process is at work in it.
    """
    require_folder(folder)
    wanted = json.loads(json.dumps(plan))
    _require_same(folder, wanted)
    with locked(folder):
        _require_same(folder, wanted)  # somebody may have begun another run meanwhile
        write_atomically(folder / PLAN, (json.dumps(wanted, indent=1) + "\n").encode())
        record = Record(folder)
        record.recover()
        yield record


def sha256(content: bytes) -> str:
    """Hash of a content, as hexadecimal text."""
    return hashlib.sha256(content).hexdigest()


def _values(path: Path) -> dict[str, Any] | None:
    """The JSON object of a file; None if it holds none."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:  # truncated, or no text
        return None
    return values if isinstance(values, dict) else None


def _folders(folder: Path, prefix: str) -> list[Path]:
    return sorted(p for p in folder.glob(f"{prefix}*") if p.is_dir() and not p.is_symlink())


def _require_ours(place: Path) -> None:
    """Refuse to replace anything but a result: it may be somebody's recordings."""
    if not (place.exists() or place.is_symlink()):
        return
    ours = {POSTERIOR, REFUSED, TREE}
    others = sorted(p.name for p in place.iterdir() if p.name not in ours or p.is_dir()) if place.is_dir() else ["it"]
    require(
        not others and not place.is_symlink(),
        "out",
        "a folder whose results hold nothing else",
        f"{place.name!r} in {place.parent.name!r}, where {listed(others, 2)} is no result",
        "move it away, or choose another folder",
    )


def _require_same(folder: Path, wanted: Mapping[str, Any]) -> None:
    """Refuse a folder that is neither empty nor of a run of the same plan."""
    path = folder / PLAN
    if not path.exists():
        _require_empty(folder)
        return
    old = _values(path) if path.is_file() else None
    if old is None:
        raise UsageError(
            "out",
            f"a folder with a readable {PLAN}",
            f"{folder.name!r}",
            "choose another folder, or delete this one if nothing in it is needed",
        )
    for name in sorted({*old, *wanted} - set(PARTS)):
        require(
            old.get(name) == wanted.get(name),
            name.replace(".", "_"),
            f"{old.get(name)!r}, as in the run that {folder.name!r} holds",
            repr(wanted.get(name)),
            "go on with the same options, or choose another folder",
        )
    for name, part in PARTS.items():
        require(
            old.get(name) == wanted.get(name),
            "cell",
            f"one with the {part} of the run that {folder.name!r} holds",
            f"another {part}",
            "restore it, or choose another folder",
        )


def _require_empty(folder: Path) -> None:
    """Refuse a folder that holds something and no plan."""
    begun = (LOCK, f".{PLAN}.")  # all that a run leaves that was killed before it wrote its plan
    there = sorted(p.name for p in folder.iterdir() if not p.name.startswith(begun)) if folder.is_dir() else []
    require(
        not there,
        "out",
        f"a new folder, or one whose {PLAN} says how its results were made",
        f"{folder.name!r}, which holds {listed(there, 2)} and no {PLAN}",
        "choose another folder, or delete this one if nothing in it is needed",
    )
