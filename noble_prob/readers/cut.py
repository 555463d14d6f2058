"""Several pulses in one sweep become several sweeps, all of one length and cut around their onset.

A piece reaches back to the beginning of its sweep, or, where all pulses are kept, to where the membrane settled after
the previous one, and forward to whatever comes next: no piece holds another piece's stimulus. Pieces of one recording
share their length: the shortest reach on each side.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from noble_prob.errors import require
from noble_prob.readers.pulses import Pulse
from noble_prob.recording import Step
from noble_prob.recording.step import LEAST_REST_MS, SETTLING_MS

PulseChoice = int | Literal["all"]
"""Number of a pulse, or all of them."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A stretch of a file's sweep that becomes a sweep of the recording.

    Attributes:
        sweep: Index of the sweep it is cut from.
        pulse: Which of the family's pulses it holds; None where the sweep is kept as a waveform.
        start: First sample.
        stop: One past the last sample.
        step: The pulse, timed from ``start``; None for a waveform.
        from_pa: Level that the pulse departs from (pA).
    """

    sweep: int
    pulse: int | None
    start: int
    stop: int
    step: Step | None
    from_pa: float | None = None


def require_choice(pulse: object, most: int) -> None:
    """Refuse a pulse that no sweep has.

    Args:
        pulse: Number of the pulse, or ``"all"``.
        most: Pulses of the sweep with most.

    Raises:
        UsageError: If it is neither, or too large.
    """
    known = pulse == "all" or (isinstance(pulse, int) and not isinstance(pulse, bool) and 0 <= pulse < max(most, 1))
    require(
        known,
        "pulse",
        f"'all' or a number below {max(most, 1)}, the pulses per sweep",
        repr(pulse),
        "choose one of these",
    )


def cut(pulses: list[tuple[Pulse, ...]], n: int, dt_ms: float, pulse: PulseChoice) -> list[Piece]:
    """Choose pulses and cut sweeps around them; where no sweep has more than one, all are kept whole.

    Sweeps without the chosen pulse are left out, see :func:`lacking`.

    Args:
        pulses: Per sweep its pulses.
        n: Samples of a sweep.
        dt_ms: Sampling interval (ms).
        pulse: Slot of the pulse to keep, counted from 0, or ``"all"``.

    Raises:
        UsageError: If no sweep has that pulse.
    """
    most = count(pulses)
    require_choice(pulse, most)
    if most <= 1:
        return [_whole(i, p, n) for i, p in enumerate(pulses)]
    chosen = [(i, p) for i, row in enumerate(pulses) for p in row if pulse in ("all", p.slot)]
    back = min(p.start - (_settled(p, dt_ms) if pulse == "all" else 0) for _, p in chosen)
    ahead = min(p.free_to - p.start for _, p in chosen)
    return [
        Piece(
            sweep=i,
            pulse=p.slot,
            start=p.start - back,
            stop=p.start + ahead,
            from_pa=p.from_pa,
            step=replace(p.step, onset_ms=round(back * dt_ms, 9)),
        )
        for i, p in chosen
    ]


def _settled(pulse: Pulse, dt_ms: float) -> int:
    """First sample at rest after the previous pulse; the end of that pulse where no rest of 20 ms is left."""
    gap_ms = (pulse.start - pulse.free_from) * dt_ms if pulse.free_from else 0.0
    settling = next((ms for ms in SETTLING_MS if gap_ms >= ms + LEAST_REST_MS - 1e-6), 0.0)
    return pulse.free_from + round(settling / dt_ms)


def crowded(pulses: list[tuple[Pulse, ...]], dt_ms: float) -> int:
    """How many pulses follow another one so closely that their neuron is not at rest before them.

    Args:
        pulses: Per sweep its pulses.
        dt_ms: Sampling interval (ms).
    """
    return sum(0 < p.free_from == _settled(p, dt_ms) for row in pulses for p in row)


def count(pulses: list[tuple[Pulse, ...]]) -> int:
    """How many pulses the sweeps of a family have.

    Args:
        pulses: Per sweep its pulses.
    """
    return 1 + max((p.slot for row in pulses for p in row), default=-1)


def lacking(pulses: list[tuple[Pulse, ...]], pulse: PulseChoice) -> list[int]:
    """Sweeps that do something else at the chosen pulse, or at one of them.

    Args:
        pulses: Per sweep its pulses.
        pulse: As for :func:`cut`.
    """
    wanted = set(range(count(pulses))) if pulse == "all" else {pulse}
    return [i for i, row in enumerate(pulses) if not wanted <= {p.slot for p in row}]


def _whole(sweep: int, pulses: tuple[Pulse, ...], n: int) -> Piece:
    if not pulses:
        return Piece(sweep=sweep, pulse=None, start=0, stop=n, step=None)
    return Piece(sweep=sweep, pulse=0, start=0, stop=n, step=pulses[0].step, from_pa=pulses[0].from_pa)
