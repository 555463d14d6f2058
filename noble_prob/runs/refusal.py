"""Recordings without a posterior: the sentence, and whether the next run tries again."""

from __future__ import annotations

import errno
from typing import Any

from noble_prob.errors import UsageError
from noble_prob.jobs.attempt import Outcome
from noble_prob.runs.record import REFUSED, Files
from noble_prob.runs.sources import Source
from noble_prob.strict_json import dumps


class ChangedError(UsageError):
    """A recording is no longer what was hashed; the next run takes it as it then is."""


def refusal(source: Source, error: Exception) -> Files:
    """Why there is no posterior: a sentence about the recording, which stays, or what broke, which is tried again.

    Args:
        source: The recording.
        error: What went wrong.
    """
    why = str(error) if isinstance(error, UsageError) else f"failed: {type(error).__name__}: {error}"
    values = {"file": source.path.name, "sha256": source.sha256, "refused": " ".join(why.split())}
    return {REFUSED: as_json(values if _lasting(error) else {**values, "again": True})}


def _lasting(error: BaseException | None) -> bool:
    """Whether the recording is at fault, and neither memory nor disk nor network behind the sentence about it."""
    lasting = isinstance(error, UsageError) and not isinstance(error, ChangedError)
    while error is not None and lasting:
        lasting = not isinstance(error, MemoryError) and getattr(error, "errno", None) in (None, errno.EINVAL)
        error = error.__cause__
    return lasting


def died(source: Source, outcome: Outcome) -> dict[str, Files]:
    """A recording whose process died; the next run tries again.

    Args:
        source: The recording.
        outcome: With the reason.
    """
    values = {"file": source.path.name, "sha256": source.sha256, "refused": outcome.error, "again": True}
    return {source.name: {REFUSED: as_json(values)}}


def as_json(values: Any) -> bytes:
    """Values as the content of a file."""
    return dumps(values).encode(errors="backslashreplace")  # a file name that is no text
