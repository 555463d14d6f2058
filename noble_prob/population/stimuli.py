"""Currents to inject: protocols beyond the square step, and a noisy background current.

Steps of any onset and duration come from :meth:`noble_prob.recording.Protocol.step_family` and :func:`steps`; here are
also ramps and arbitrary waveforms. The background is an Ornstein-Uhlenbeck current,

    dI = -I / tau dt + sd sqrt(2 / tau) dW,

sampled exactly, ``I[n+1] = a I[n] + sd sqrt(1 - a^2) xi`` with ``a = exp(-dt / tau)``: its standard deviation is ``sd``
at every moment, whatever the sampling interval. It stands for what an experimenter does not control; it is therefore
not part of the protocol of the recording. Repeats of one stimulus under different seeds differ from trial to trial.

References: Destexhe, Rudolph, Fellous, Sejnowski (2001) Neuroscience 107, 13-24; Gillespie (1996) Physical Review E 54,
2084-2091.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.errors import require, require_seed
from noble_prob.recording import Protocol, Step


@dataclass(frozen=True, kw_only=True)
class OUNoise:
    """A background current.

    Attributes:
        sd_pa: Standard deviation (pA).
        tau_ms: Correlation time (ms).
        seed: Seed; model, stimulus and repeat are mixed in, so that no two traces share their noise.
    """

    sd_pa: float
    tau_ms: float = 3.0
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", require_seed(self.seed))
        require(self.sd_pa >= 0, "sd_pa", "zero or positive", self.sd_pa, "give the standard deviation in pA")
        require(self.tau_ms > 0, "tau_ms", "positive", self.tau_ms, "give the correlation time in ms")

    def draw(self, *, n: int, dt_ms: float, stream: tuple[int, ...]) -> np.ndarray:
        """One realisation of ``n`` samples (pA), stationary from the first.

        Args:
            n: Number of samples.
            dt_ms: Sampling interval (ms).
            stream: Numbers that name the trace, for example (neuron, trial).
        """
        white = np.random.default_rng([self.seed, *stream]).standard_normal(n)
        a = np.exp(-dt_ms / self.tau_ms)
        gain = np.sqrt(1 - a * a)
        current = np.empty(n)
        current[0] = white[0]
        for i in range(1, n):
            current[i] = a * current[i - 1] + gain * white[i]
        return self.sd_pa * current


def steps(pulses: Sequence[Step], *, total_ms: float = 512.0, dt_ms: float = 0.0625) -> Protocol:
    """One sweep per pulse; pulses may differ in onset, duration and height.

    Args:
        pulses: The pulses.
        total_ms: Length of every sweep (ms).
        dt_ms: Sampling interval (ms).

    Raises:
        UsageError: If a pulse does not fit into its sweep.
    """
    late = [p for p in pulses if p.onset_ms < 0 or p.duration_ms <= 0 or p.offset_ms > total_ms]
    require(
        bool(pulses) and not late,
        "pulses",
        f"positive pulses that end within {total_ms} ms",
        late or "none",
        "shorten the pulse or lengthen `total_ms`",
    )
    time = torch.arange(round(total_ms / dt_ms), dtype=torch.float64) * dt_ms
    rows = [p.holding_pa + p.amplitude_pa * ((time >= p.onset_ms - 1e-9) & (time < p.offset_ms - 1e-9)) for p in pulses]
    return Protocol(time_ms=time, current_pa=torch.stack(rows), steps=tuple(pulses))


def ramp(
    peaks_pa: Sequence[float], *, onset_ms: float, duration_ms: float, total_ms: float, dt_ms: float = 0.0625
) -> Protocol:
    """Currents that rise linearly from zero to a peak and then stop, one sweep per peak.

    Args:
        peaks_pa: Current at the end of the rise (pA).
        onset_ms: Start of the rise (ms).
        duration_ms: Length of the rise (ms).
        total_ms: Length of every sweep (ms).
        dt_ms: Sampling interval (ms).

    Raises:
        UsageError: If the ramp does not fit into the sweep.
    """
    require(
        onset_ms >= 0 and duration_ms > 0 and onset_ms + duration_ms <= total_ms,
        "duration_ms",
        f"positive and over within {total_ms} ms",
        duration_ms,
        "shorten the ramp",
    )
    time = torch.arange(round(total_ms / dt_ms), dtype=torch.float64) * dt_ms
    rise = (time - onset_ms) / duration_ms
    shape = torch.where((rise >= 0) & (rise < 1), rise, torch.zeros_like(rise))
    return waveform(shape[None] * torch.as_tensor(peaks_pa, dtype=torch.float64)[:, None], dt_ms=dt_ms)


def waveform(current_pa: Float[Tensor, "sweep time"], *, dt_ms: float) -> Protocol:
    """Any current: sampled every ``dt_ms``, linear between the samples.

    Args:
        current_pa: Current (pA), shape ``(sweep, time)``.
        dt_ms: Sampling interval (ms).
    """
    current = torch.as_tensor(current_pa, dtype=torch.float64)
    time = torch.arange(current.shape[1], dtype=torch.float64) * dt_ms
    return Protocol(time_ms=time, current_pa=current, steps=(None,) * len(current))
