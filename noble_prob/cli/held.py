"""Sweeps of a recording that an inference is to do without."""

from __future__ import annotations

from typing import TYPE_CHECKING

from noble_prob.errors import listed, require

if TYPE_CHECKING:
    from noble_prob.recording import Recording


def part(recording: Recording, sweeps: str | None, leave_out: str | None) -> tuple[Recording, Recording | None]:
    """The sweeps to infer from, and those to predict.

    Args:
        recording: As it was read.
        sweeps: ``--sweeps``: which sweeps of the file it holds, all if None.
        leave_out: ``--leave-out``: which of these to hold back, in the numbers of ``--sweeps``; none if None.

    Raises:
        UsageError: If a sweep is named that is not there, or none would be left.
    """
    from noble_prob.population.hof import parse_keys

    if leave_out is None:
        return recording, None
    own = list(range(recording.n_sweeps)) if sweeps is None else list(parse_keys(sweeps, "sweeps"))
    held = list(parse_keys(leave_out, "leave-out"))
    strange = [k for k in held if k not in own]
    require(
        not strange, "leave-out", f"sweeps among {listed(own, 8)}", listed(strange, 8), "name sweeps that are there"
    )
    kept = [own.index(k) for k in own if k not in held]
    require(bool(kept), "leave-out", "some of the sweeps", "all of them", "leave some to infer from")
    return recording.select(kept), recording.select([own.index(k) for k in held])
