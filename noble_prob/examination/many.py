"""Many files, one after the other: a broken one is told and left out, the rest goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from noble_prob.cells import Cell
from noble_prob.errors import UsageError
from noble_prob.examination.one import Examination, examine
from noble_prob.readers import read
from noble_prob.recording import Recording


@dataclass(frozen=True, kw_only=True)
class Session:
    """What came of a list of files.

    Attributes:
        examinations: By file name, in the order given.
        refused: File name to the sentence that says why it could not be used.
    """

    examinations: dict[str, Examination]
    refused: dict[str, str]


def examine_files(
    paths: Sequence[str | Path],
    cell: Cell,
    *,
    reader: Callable[[Path], Recording] = read,
    progress: bool = False,
    **settings: Any,
) -> Session:
    """Examine files one by one.

    Args:
        paths: Recordings.
        cell: The kind of neuron they are believed to be.
        reader: Turns a path into a recording.
        progress: Show bars on stderr.
        settings: Further arguments of :func:`~noble_prob.examination.one.examine`.

    Returns:
        Examinations and refusals.

    Raises:
        UsageError: If there is one file and it can not be used, or if none of several can.
    """
    done: dict[str, Examination] = {}
    refused: dict[str, str] = {}
    for path in tqdm([Path(p) for p in paths], desc="files", unit="file", disable=not progress or len(paths) < 2):
        name = path.name if path.name not in {*done, *refused} else str(path)
        try:
            done[name] = examine(reader(path), cell, progress=progress, **settings)
        except UsageError as error:
            if len(paths) == 1:
                raise
            refused[name] = str(error)
    if not done:
        name, why = next(iter(refused.items()))
        raise UsageError("files", "at least one that can be used", f"{len(refused)} that can not (first {name}: {why})",
                         "check the files one by one")  # fmt: skip
    return Session(examinations=done, refused=refused)
