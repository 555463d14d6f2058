"""Many files: a broken one is told and left out, the rest goes on, sampled side by side where the method can."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noble_prob.cells import Cell
from noble_prob.errors import UsageError
from noble_prob.examination.one import Examination, examine, examine_posterior
from noble_prob.inference import Posterior, infer, observe
from noble_prob.inference.task import ONE_BY_ONE
from noble_prob.jobs.bars import bar
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
    """Examine files; whatever happens to one, the others are examined.

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
    usable: dict[str, Recording] = {}
    done: dict[str, Examination] = {}
    refused: dict[str, str] = {}
    for path in [Path(p) for p in paths]:
        name = path.name if path.name not in {*usable, *refused} else str(path)
        with _refusing(refused, name, alone=len(paths) == 1):
            recording = reader(path)
            observe(recording, cell.decoder)
            usable[name] = recording
    together = _together(usable, cell, progress=progress, **settings)
    for name in bar(usable, desc="files", unit="file", show=progress and len(usable) > 1):
        with _refusing(refused, name, alone=len(paths) == 1):
            if name in together:
                done[name] = examine_posterior(together[name], cell, usable[name], seed=settings.get("seed", 0))
            else:
                done[name] = examine(usable[name], cell, progress=progress, **settings)
    if not done:
        name, why = next(iter(refused.items()))
        raise UsageError(
            "files",
            "at least one that can be used",
            f"{len(refused)} that can not (first {name}: {why})",
            "check the files one by one",
        )
    return Session(examinations=done, refused=refused)


@contextmanager
def _refusing(refused: dict[str, str], name: str, *, alone: bool) -> Iterator[None]:
    """Keep what went wrong with a file as its refusal, unless it is the only one."""
    try:
        yield
    except Exception as error:
        if alone:
            raise
        refused[name] = str(error) if isinstance(error, UsageError) else f"failed: {type(error).__name__}: {error}"


def _together(recordings: Mapping[str, Recording], cell: Cell, **settings: Any) -> dict[str, Posterior]:
    """Posteriors of all recordings in batches; none where the method takes one at a time, or where a batch breaks."""
    if len(recordings) < 2 or settings.get("method", "nuts") in ONE_BY_ONE:
        return {}
    try:
        found = infer(list(recordings.values()), decoder=cell.decoder, prior=cell.prior, **settings)
    except UsageError:
        raise  # a setting: every recording was found usable
    except Exception:
        return {}  # one by one, then
    return dict(zip(recordings, found, strict=True))
