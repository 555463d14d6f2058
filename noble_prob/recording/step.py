"""A square pulse of current."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from numbers import Real

from noble_prob.errors import require

SAME_PA, SAME_SHARE = 1.0, 0.01
"""Steps found in a recorded current have one height if they differ by no more than the larger (pA, share)."""


def same_height(a_pa: float, b_pa: float) -> bool:
    """Whether two steps are of one height, as far as a recorded current can tell.

    Args:
        a_pa: Height of the one (pA).
        b_pa: Height of the other (pA).
    """
    return abs(a_pa - b_pa) <= max(SAME_PA, SAME_SHARE * abs(a_pa))


def step_label(current_pa: float) -> str:
    """A step in words, to the nearest pA: ``+180 pA``, ``−110 pA``, ``0 pA``.

    Args:
        current_pa: Its height (pA).
    """
    rounded = round(current_pa)
    return f"{rounded:+d} pA".replace("-", "−") if rounded else "0 pA"


SHORTEST_STEP_MS = 100.0
"""Shortest step that is told from a pulse and says how a neuron fires (ms)."""

SETTLING_MS = (100.0, 50.0)
"""How long after a pulse a membrane is on its way back, and the least that will do (ms): at a time constant of 20 ms
0.7 and 8 % are left then."""
LEAST_REST_MS = 20.0
"""Shortest stretch beside a pulse that a resting voltage is averaged over (ms)."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A square pulse of current: the stimulus of one sweep.

    Attributes:
        onset_ms: First moment of the pulse, on the time axis of its protocol (ms).
        duration_ms: Length of the pulse (ms).
        amplitude_pa: Height above the holding current (pA).
        holding_pa: Current outside the pulse (pA).

    Raises:
        UsageError: If one is no finite number, or the pulse lasts no time.
    """

    onset_ms: float
    duration_ms: float
    amplitude_pa: float
    holding_pa: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            require(
                isinstance(value, Real) and isfinite(value),
                name,
                "a finite number in ms or pA",
                repr(value),
                "give ms and pA, or None in place of the step for a sweep that has none",
            )
        require(self.duration_ms > 0, "duration_ms", "a positive duration", self.duration_ms, "give its length in ms")

    @property
    def offset_ms(self) -> float:
        """End of the pulse (ms)."""
        return self.onset_ms + self.duration_ms
