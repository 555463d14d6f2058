"""What to inject when a population is made: the standard protocol and random pulses around it.

The first columns are the *standard protocol*, the same for every model: latents are measured on it. The others are
random: half of them near the threshold, where a small change of current decides between silence and firing and where a
decoder is most easily wrong, the rest anywhere in the range. They lie half-way between whole picoamperes, so that a
decoder can be judged at whole ones and has seen none of them. Many models with few currents each teach more than few
models with many. Optionally some of the random pulses get a random duration.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noble_prob.errors import require
from noble_prob.population.latents import CLOSE_CURRENTS_PA, STANDARD_CURRENTS_PA
from noble_prob.recording import Step

MOST_SAMPLES = 10**7
"""Samples of the longest trace: ten minutes at 0.06 ms."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """Currents of one model of a population.

    Attributes:
        standard_pa: Pulse heights of the standard protocol (pA).
        n_random: Number of random pulses.
        range_pa: Lowest and highest random current (pA).
        near_pa: Range of currents near threshold (pA).
        near_share: Share of random pulses that fall there.
        onset_ms: Onset of every pulse (ms).
        duration_ms: Duration of the standard pulses (ms).
        total_ms: Length of a trace (ms).
        sample_ms: Sampling interval (ms).
        random_duration_ms: Shortest and longest random duration (ms), log-uniform; None for the standard one.
        random_duration_share: Share of *models* whose random pulses have random durations.
    """

    standard_pa: tuple[float, ...] = (-110.0, 50.0, 180.0, 280.0)
    n_random: int = 4
    range_pa: tuple[float, float] = (-110.0, 280.0)
    near_pa: tuple[float, float] = (0.0, 60.0)
    near_share: float = 0.5
    onset_ms: float = 12.0
    duration_ms: float = 400.0
    total_ms: float = 512.0
    sample_ms: float = 0.0625
    random_duration_ms: tuple[float, float] | None = None
    random_duration_share: float = 1.0

    def __post_init__(self) -> None:
        require(0.0 <= self.near_share <= 1.0, "near_share", "a share from 0 to 1", self.near_share, "give a share")
        share = self.random_duration_share
        require(0.0 <= share <= 1.0, "random_duration_share", "a share from 0 to 1", share, "give a share")
        shortest, _ = self.random_duration_ms or (1.0, 1.0)
        require(shortest > 0, "random_duration_ms", "positive", self.random_duration_ms, "use 100,2000")
        longest = max(self.duration_ms, *(self.random_duration_ms or (0.0,)))
        expected = f"more than onset and longest pulse together, {self.onset_ms + longest} ms"
        require(self.onset_ms + longest < self.total_ms, "total_ms", expected, self.total_ms, "lengthen the traces")
        require(
            self.total_ms / self.sample_ms <= MOST_SAMPLES,
            "total_ms",
            f"at most {MOST_SAMPLES * self.sample_ms:g} ms",
            self.total_ms,
            "shorten the traces",
        )

    @property
    def n_samples(self) -> int:
        """Samples per trace."""
        return round(self.total_ms / self.sample_ms)

    def standard(self) -> list[Step]:
        """The pulses of the standard protocol."""
        return [self._step(a, self.duration_ms) for a in self.standard_pa]

    def random(self, rng: np.random.Generator) -> list[Step]:
        """Random pulses, heights at half picoamperes and durations rounded to 1 ms.

        Args:
            rng: Source of randomness.
        """
        varied = self.random_duration_ms is not None and rng.random() < self.random_duration_share
        return [
            self._step(self._height(rng), self._duration(rng) if varied else self.duration_ms)
            for _ in range(self.n_random)
        ]

    def _height(self, rng: np.random.Generator) -> float:
        low, high = self.near_pa if rng.random() < self.near_share else self.range_pa
        return float(np.floor(rng.uniform(low, high)) + 0.5)

    def _duration(self, rng: np.random.Generator) -> float:
        assert self.random_duration_ms is not None
        low, high = np.log(self.random_duration_ms)
        return float(np.round(np.exp(rng.uniform(low, high))))

    def _step(self, amplitude_pa: float, duration_ms: float) -> Step:
        return Step(onset_ms=self.onset_ms, duration_ms=duration_ms, amplitude_pa=amplitude_pa)


DESIGNS = {
    "builtin": Design(),
    "pvalb": Design(standard_pa=STANDARD_CURRENTS_PA),
    "vip": Design(standard_pa=STANDARD_CURRENTS_PA, range_pa=(-110.0, 200.0)),
    "vip-close": Design(standard_pa=CLOSE_CURRENTS_PA, range_pa=(-110.0, 200.0)),
}
