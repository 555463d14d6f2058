"""Many files: a broken one is told and left out, the rest goes on, sampled side by side where the method can."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noble_prob.cells import Cell
from noble_prob.errors import UsageError, require_seed
from noble_prob.examination.one import Examination, completed
from noble_prob.inference import Observation, Posterior, infer_evidence
from noble_prob.inference.looked import observe_steps
from noble_prob.inference.task import ONE_BY_ONE
from noble_prob.inference.together import one_by_one_if_broken
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
        settings: Further arguments of :func:`noble_prob.inference.infer`: method, chains, draws, seed, ...; the
            estimator is the cell's if none is given.

    Returns:
        Examinations and refusals.

    Raises:
        UsageError: If a setting is out of range, if there is one file and it can not be used, or if none of several
            can.
    """
    seed = require_seed(settings.get("seed", 0))
    given = {"decoder": cell.decoder, "prior": cell.prior, "estimator": cell.estimator, "progress": progress}

    def run(observations: Sequence[Observation]) -> list[Posterior]:
        return infer_evidence(observations, **{**given, **settings})

    run([])  # a wrong setting is said before any work
    usable: dict[str, tuple[Recording, Observation]] = {}
    done: dict[str, Examination] = {}
    refused: dict[str, str] = {}
    for path in [Path(p) for p in paths]:
        name = path.name if path.name not in {*usable, *refused} else str(path)
        with _refusing(refused, name, alone=len(paths) == 1):
            recording = reader(path)
            usable[name] = (recording, observe_steps(recording, cell.decoder))
    found = _posteriors(run, [seen for _, seen in usable.values()], apart=settings.get("method", "nuts") in ONE_BY_ONE)
    shown = bar(usable.items(), desc="files", unit="file", show=progress and len(usable) > 1)
    for (name, (recording, _)), posterior in zip(shown, found, strict=True):
        with _refusing(refused, name, alone=len(paths) == 1):
            if isinstance(posterior, Exception):
                raise posterior
            done[name] = completed(posterior, cell, recording, seed=seed)
    _require_some(done, refused)
    return Session(examinations=done, refused=refused)


def _require_some(done: Mapping[str, Examination], refused: Mapping[str, str]) -> None:
    """Refuse files of which none could be used."""
    if not done:
        name, why = next(iter(refused.items()))
        raise UsageError(
            "files",
            "at least one that can be used",
            f"{len(refused)} that can not (first {name}: {why})",
            "check the files one by one",
        )


@contextmanager
def _refusing(refused: dict[str, str], name: str, *, alone: bool) -> Iterator[None]:
    """Keep what went wrong with a file as its refusal, unless it is the only one."""
    try:
        yield
    except Exception as error:
        if alone:
            raise
        refused[name] = str(error) if isinstance(error, UsageError) else f"failed: {type(error).__name__}: {error}"


def _posteriors(
    run: Callable[[Sequence[Observation]], list[Posterior]], observations: Sequence[Observation], *, apart: bool
) -> Iterator[Posterior | Exception]:
    """What came of every recording, side by side unless the method takes one at a time."""
    for batch in [[one] for one in observations] if apart else [observations]:
        yield from one_by_one_if_broken(run, batch)
