"""What inference believes about the size of trial noise before it sees a recording.

Every scale is log-normal: it can not vanish by accident, and its logarithm is what samplers move in. A median of zero
switches an effect off, which is how noiseless simulations are treated.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A log-normal prior of a noise scale; a median of zero switches the effect off.

    Attributes:
        median: Median of the scale, in its unit.
        log_sd: SD of its logarithm.
    """

    median: float
    log_sd: float = 0.7


@dataclass(frozen=True, kw_only=True)
class NoisePrior:
    """What inference believes about trial noise before it sees a recording.

    Attributes:
        phase_diffusion: SD of the phase's random walk (spikes per square root of a second).
        trial_timing: SD over repeats of the log first-spike latency and of the log rate (pure numbers).
        trial_summary: SD over repeats of each summary feature, in units of the decoder's error of that feature.
        timing_ms: SD of the measured time of a single spike (ms), fixed.
    """

    phase_diffusion: Scale = field(default_factory=lambda: Scale(median=0.15, log_sd=1.0))
    trial_timing: Scale = field(default_factory=lambda: Scale(median=0.02, log_sd=0.7))
    trial_summary: Scale = field(default_factory=lambda: Scale(median=0.5, log_sd=0.7))
    timing_ms: float = 0.05

    @classmethod
    def simulated(cls) -> NoisePrior:
        """For noiseless simulations: nothing varies between repeats, only the decoder errs."""
        none = Scale(median=0.0)
        return cls(phase_diffusion=none, trial_timing=none, trial_summary=none, timing_ms=0.02)
