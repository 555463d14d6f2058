"""Noise on a voltage: of the electrode, of the membrane, and of a rest that is another in every sweep.

The membrane's is an Ornstein-Uhlenbeck process, what a background current leaves behind the membrane's low pass. It
moves what is read off a sub-threshold response: with 0.25 mV and 20 ms, deflection and sag by the 0.3 mV and the time
constant by the 1.5 ms (at -110 pA, 3.3 at -50) that inference takes for usual (:data:`noble_prob.noise.scales.USUAL`),
and the rest by 0.22 of its 0.5 mV; the sweep's own shift does the other part.

Source of the recursion: Gillespie 1996, "Exact numerical simulation of the Ornstein-Uhlenbeck process and its
integral", Physical Review E 54, 2084.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from scipy.signal import lfilter
from torch import Tensor

from noble_prob.errors import require
from noble_prob.noise.scales import NoisePrior, usual_sd

PASSIVE_MV, PASSIVE_MS = 0.25, 20.0
"""Membrane noise that moves passive features as is usual."""
OF_THE_REST = 0.22
"""SD (mV) by which this noise alone moves a resting voltage, a mean over 12 ms."""
ELECTRODE_MV = 0.1


@dataclass(frozen=True, kw_only=True)
class TraceNoise:
    """What is added to the voltage of a sweep.

    Attributes:
        electrode_mv: SD of white noise (mV).
        membrane_mv: SD of noise with the memory of a membrane (mV).
        membrane_ms: Time over which it forgets (ms).
        shift_mv: SD of a shift of the whole sweep (mV).
    """

    electrode_mv: float = 0.0
    membrane_mv: float = 0.0
    membrane_ms: float = PASSIVE_MS
    shift_mv: float = 0.0

    def __post_init__(self) -> None:
        for name in ("electrode_mv", "membrane_mv", "shift_mv"):
            require(getattr(self, name) >= 0, name, "zero or positive", getattr(self, name), "give an SD in mV")
        require(self.membrane_ms > 0, "membrane_ms", "positive", self.membrane_ms, "give a time in ms")

    @classmethod
    def usual(cls, noise: NoisePrior) -> TraceNoise:
        """What moves rest and passive features by the medians of their scales.

        Args:
            noise: What inference believes.
        """
        passive, rest = noise.trial_passive.median, noise.trial_rest.median
        by_itself = OF_THE_REST * passive
        shift = max((rest * usual_sd("resting_voltage_mv")) ** 2 - by_itself**2, 0.0) ** 0.5
        return cls(electrode_mv=ELECTRODE_MV, membrane_mv=PASSIVE_MV * passive, shift_mv=shift)

    @property
    def sd_mv(self) -> float:
        """SD of one sample (mV)."""
        return math.hypot(self.electrode_mv, self.membrane_mv, self.shift_mv)

    def draw(self, samples: int, dt_ms: float, generator: torch.Generator) -> Float[Tensor, " time"]:
        """Noise of one sweep (mV), in double precision.

        Args:
            samples: Length of the sweep.
            dt_ms: Sampling interval (ms).
            generator: Source of randomness, on the CPU.
        """
        white, coloured = torch.randn(2, samples, generator=generator, dtype=torch.float64)
        shift = torch.randn((), generator=generator, dtype=torch.float64)
        found = self.electrode_mv * white + self.shift_mv * shift
        if self.membrane_mv == 0:
            return found
        kept = math.exp(-dt_ms / self.membrane_ms)
        coloured[1:] *= math.sqrt(1 - kept**2)  # the first sample has the SD of all
        return found + self.membrane_mv * torch.from_numpy(lfilter([1.0], [1.0, -kept], coloured.numpy()))
