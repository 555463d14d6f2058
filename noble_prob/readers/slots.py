"""Which of several pulses of a sweep is the stimulus, and how they are told to a user.

Unless one is named, of the pulses of 100 ms or more the first is kept whose height varies over the sweeps; where none
varies, as in repeats behind a test pulse, the largest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from noble_prob.errors import listed
from noble_prob.readers.cut import PulseChoice, count, lacking
from noble_prob.readers.pulses import Pulse
from noble_prob.recording.step import SHORTEST_STEP_MS

_VARIES_PA, _VARIES_SHARE, _LARGEST_SHARE = 5.0, 0.05, 0.95


@dataclass(frozen=True, kw_only=True)
class Slot:
    """What the pulses of one slot have in common.

    Attributes:
        number: Counted from 0.
        amplitude_pa: Their smallest and largest height (pA).
        duration_ms: Their usual length (ms).
    """

    number: int
    amplitude_pa: tuple[float, float]
    duration_ms: float

    @property
    def size_pa(self) -> float:
        """The larger of the heights in size (pA)."""
        return max(map(abs, self.amplitude_pa))

    @property
    def varies(self) -> bool:
        """Whether the heights are those of a family."""
        low, high = self.amplitude_pa
        return high - low > max(_VARIES_PA, _VARIES_SHARE * self.size_pa)

    def __str__(self) -> str:
        ends = dict.fromkeys(f"{edge:.0f}" for edge in self.amplitude_pa)
        return f"number {self.number} of {' to '.join(ends)} pA for {self.duration_ms:.0f} ms"


def slots(pulses: Sequence[tuple[Pulse, ...]]) -> list[Slot]:
    """The pulses that sweeps have, in time order.

    Args:
        pulses: Per sweep its pulses.
    """
    out = []
    for k in range(count(list(pulses))):
        steps = [p.step for row in pulses for p in row if p.slot == k]
        if steps:
            heights = [step.amplitude_pa for step in steps]
            length = float(np.median([step.duration_ms for step in steps]))
            out.append(Slot(number=k, amplitude_pa=(min(heights), max(heights)), duration_ms=length))
    return out


def usual(pulses: Sequence[tuple[Pulse, ...]]) -> int:
    """Number of the pulse that is kept where none is named.

    Args:
        pulses: Per sweep its pulses.
    """
    every = slots(pulses)
    long = [slot for slot in every if slot.duration_ms >= SHORTEST_STEP_MS - 1e-6] or every
    least = _LARGEST_SHARE * max((slot.size_pa for slot in long), default=0.0)
    fit = [slot for slot in long if slot.varies] or [slot for slot in long if slot.size_pa >= least]
    return fit[0].number if fit else 0


def told(pulses: list[tuple[Pulse, ...]], kept: PulseChoice) -> list[str]:
    """Which of several pulses were kept, and which sweeps have something else in their place, in sentences.

    Args:
        pulses: Per sweep its pulses.
        kept: Which one, or all of them.
    """
    every, absent = slots(pulses), listed(lacking(pulses, kept))
    if len(every) < 2:
        return []
    which = "all of them" if kept == "all" else f"number {kept}, counted from 0"
    lack = "These lack some of them" if kept == "all" else "Left out, since they lack that pulse"
    remarks = [f"Each sweep has {len(every)} pulses ({listed(map(str, every), 6)}); kept: {which} (see `pulse`)."]
    return [*remarks, f"{lack}: sweeps {absent}, counted from 0."] if absent else remarks
