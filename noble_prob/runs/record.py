"""A run on disk: whole at every moment, whenever it is killed.

    OUT/run.json              what is done to every recording
    OUT/NAME/                 a recording's result: posterior.nc and posterior.json, or refused.json
    OUT/summary.csv, .json    one row per recording, when the run has ended

The results of a batch are written into a hidden draft, which is renamed to ``.ready-*`` when all of them are on disk,
and moved from there one by one. A run that begins again throws drafts away, moves what is ready, and knows by the hash
of their content which recordings are done. So a batch is done or not, nothing is done twice, and a resumed run makes
the same batches, hence the same draws, as one that was never stopped.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from noble_prob.errors import UsageError, require
from noble_prob.population.store import write_atomically
from noble_prob.runs.sources import Source

Files = Mapping[str, bytes]
"""Content of the files of one recording's result, by name."""
POSTERIOR, REFUSED, PLAN = "posterior.json", "refused.json", "run.json"
DRAFT, READY, LOCK = ".draft-", ".ready-", ".lock"


class Record:
    """The folder of a run.

    Args:
        folder: Where; see :func:`opened`.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def result(self, name: str) -> dict[str, Any] | None:
        """What is on disk about a recording: its ``posterior.json`` or ``refused.json``, None if neither."""
        for file in (POSTERIOR, REFUSED):
            path = self.folder / name / file
            if path.is_file():
                values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
                return values
        return None

    def pending(self, sources: Sequence[Source]) -> list[Source]:
        """Recordings without a result of their present content, and those that failed for no fault of their own."""
        results = [(source, self.result(source.name)) for source in sources]
        return [s for s, found in results
                if found is None or found.get("sha256") != s.sha256 or found.get("again", False)]  # fmt: skip

    def commit(self, results: Mapping[str, Files]) -> None:
        """Keep the results of a batch: all of them or, if this process dies, none.

        Args:
            results: Files by name of recording.
        """
        label = f"{os.getpid()}-{min(results)}"
        draft = self.folder / f"{DRAFT}{label}"
        for name, files in results.items():
            (draft / name).mkdir(parents=True)
            for file, content in files.items():
                write_atomically(draft / name / file, content)
        ready = draft.rename(self.folder / f"{READY}{label}")
        self._move(ready)

    def recover(self) -> None:
        """Finish what a killed run had ready, forget what it had not."""
        for draft in self.folder.glob(f"{DRAFT}*"):
            shutil.rmtree(draft)
        for ready in sorted(self.folder.glob(f"{READY}*")):
            self._move(ready)

    def _move(self, ready: Path) -> None:
        """Put the results of a finished batch in their places."""
        for result in sorted(ready.iterdir()):
            place = self.folder / result.name
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
    require(folder.is_dir() or not folder.exists(), "out", "a folder", f"{str(folder)!r}, which is a file",
            "choose another name")  # fmt: skip
    wanted = json.loads(json.dumps(plan))
    _require_same(folder / PLAN, wanted)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    except OSError as error:
        raise UsageError("out", "a folder that can be written", f"{str(folder)!r} ({error.strerror})",
                         "choose another place or change its permissions") from error  # fmt: skip
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # falls with the process, however it ends
        except OSError as error:
            raise UsageError("out", "a folder in which nobody is at work", f"{folder.name!r}, which a running process "
                             "writes to", "wait for it, or choose another folder") from error  # fmt: skip
        write_atomically(folder / PLAN, (json.dumps(wanted, indent=1) + "\n").encode())
        record = Record(folder)
        record.recover()
        yield record


def _require_same(path: Path, wanted: Mapping[str, Any]) -> None:
    """Refuse to continue a run under another plan."""
    if not path.exists():
        return
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError("out", f"a folder with a readable {PLAN}", f"{path.parent.name!r}",
                         "choose another folder") from error  # fmt: skip
    for name in sorted({*there, *wanted}):
        require(there.get(name) == wanted.get(name), name.replace(".", "_"),
                f"{there.get(name)!r}, as in the run that {path.parent.name!r} holds", repr(wanted.get(name)),
                "go on with the same options, or choose another folder")  # fmt: skip
