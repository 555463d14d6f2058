"""What inference believes about the size of trial noise before it sees a recording.

Every scale is log-normal: it can not vanish by accident, and its logarithm is what samplers move in. One without width
is known; a median of zero switches an effect off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A log-normal prior of a noise scale; a median of zero switches the effect off.

    Attributes:
        median: Median of the scale, in its unit.
        log_sd: SD of its logarithm; zero if the scale is known.
    """

    median: float
    log_sd: float = 0.7


@dataclass(frozen=True, kw_only=True)
class NoisePrior:
    """What inference believes about trial noise before it sees a recording.

    Attributes:
        decoder_excess: By how much the decoder's errors on this neuron exceed its errors on validation neurons (a
            factor of one plus this), shared by timing and features. It can only widen: a factor free to shrink learns
            from the best decoded feature to trust the worst.
        phase_diffusion: SD of the phase's random walk (spikes per square root of a second).
        trial_timing: SD over repeats of the log latency of a first spike at 10 ms (:func:`latency_looseness`).
        trial_rate: SD over repeats of the log rate in firing at 50 Hz (:func:`rate_looseness`); current noise moves the
            first spike by some per cent and a brisk rate hardly at all, so the two are not one number.
        trial_rest: SD over repeats of the resting and the steady voltage, in units of what is usual (:data:`USUAL`).
        trial_passive: The same of what is read off the course of a sub-threshold response: deflection, sag, time
            constant. Every sweep has a rest and few have a sag, and background current blurs the one a third as much as
            the other: with one number for both, six rests say how well a single sag is known, and say it wrongly.
        trial_shape: The same of each feature of the spike's shape, which background current hardly moves.
        timing_ms: SD of the measured time of a single spike (ms), fixed.
    """

    decoder_excess: Scale = field(default_factory=lambda: Scale(median=0.3, log_sd=1.0))
    phase_diffusion: Scale = field(default_factory=lambda: Scale(median=0.15, log_sd=1.0))
    trial_timing: Scale = field(default_factory=lambda: Scale(median=0.03, log_sd=1.0))
    trial_rate: Scale = field(default_factory=lambda: Scale(median=0.005, log_sd=1.0))
    trial_rest: Scale = field(default_factory=lambda: Scale(median=1.0, log_sd=0.7))
    trial_passive: Scale = field(default_factory=lambda: Scale(median=1.0, log_sd=0.7))
    trial_shape: Scale = field(default_factory=lambda: Scale(median=1.0, log_sd=0.7))
    timing_ms: float = 0.05

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> NoisePrior:
        """From the plain values that :func:`dataclasses.asdict` makes of one.

        Raises:
            TypeError: If an entry is not one of its scales.
        """
        values: dict[str, Any] = {k: Scale(**v) if isinstance(v, Mapping) else v for k, v in data.items()}
        return cls(**values)

    @classmethod
    def exact(cls) -> NoisePrior:
        """For data drawn from a decoder whose error is exactly what it states: no scale is left to be found."""
        none = Scale(median=0.0)
        return cls(
            decoder_excess=none,
            phase_diffusion=none,
            trial_timing=none,
            trial_rate=none,
            trial_rest=none,
            trial_passive=none,
            trial_shape=none,
            timing_ms=0.02,
        )

    @classmethod
    def simulated(cls) -> NoisePrior:
        """For noiseless simulations: nothing varies between repeats, the decoder errs, and so does the simulator.

        Time steps and compartments move a model's latency (at 10 ms) and rate (at 50 Hz) by some tenths of a per cent,
        more where it fires slowly, as noise does (:data:`NUMERICAL_RATE`; a step of 0.025 ms in place of 0.02 moves the
        last spike by 1.3 of 400 ms, ``analyses/simulation_convergence.py``), and its features a little
        (:data:`NUMERICAL`, a choice, not a measurement). A posterior that takes them for exact is pinned to some
        microvolts by whichever feature the decoder knows best.
        """
        some, rate = Scale(median=NUMERICAL, log_sd=0.0), Scale(median=NUMERICAL_RATE, log_sd=0.0)
        return replace(
            cls.exact(),
            decoder_excess=cls().decoder_excess,
            trial_timing=rate,
            trial_rate=rate,
            trial_rest=some,
            trial_passive=some,
            trial_shape=some,
        )


NUMERICAL, NUMERICAL_RATE = 0.1, 0.003
"""Differences between two simulations of one model: of its features in units of what is usual between sweeps, and of
the logarithms of latency and rate."""
USUAL = {
    "resting_voltage_mv": 0.5,
    "voltage_deflection_mv": 0.3,
    "steady_state_voltage_mv": 0.7,
    "sag_mv": 0.3,
    "sag_ratio": 0.03,
    "membrane_time_constant_ms": 1.5,
    "input_resistance_mohm": 5.0,
    "ap1_peak_mv": 1.0,
    "ap1_amplitude_mv": 1.0,
    "mean_ap_amplitude_mv": 1.0,
    "ap1_trough_mv": 0.7,
    "ap1_begin_mv": 0.7,
    "ahp_depth_abs_mv": 0.7,
    "ap1_width_ms": 0.02,
}
"""Usual SD of a feature between sweeps of one patch-clamped cell, minutes apart, in its unit, at :data:`STRONG_PA`
where it depends on the current. Orders of magnitude from experience with whole-cell recordings; the sites
``trial_rest``, ``trial_passive`` and ``trial_shape`` learn a factor each. Deflection, sag and time constant stand to
each other as in biophysical models under an Ornstein-Uhlenbeck current (3 ms, 5 pA), where their factor is about one
(and that of the rest 0.3): ``analyses/inference_usual_noise.py``."""
STRONG_PA, WEAKEST_PA = 110.0, 20.0
"""Size of the step at which :data:`USUAL` holds; steps weaker than the second are treated like it."""
FITTED = ("membrane_time_constant_ms", "input_resistance_mohm")
"""Features that divide by the response, blurred in inverse proportion to the step."""
LIFT = {"sag_mv": 0.9, "sag_ratio": 0.9}
"""Features that pick the extreme of a noisy trace are larger than without noise, by so many SDs between sweeps: the sag
holds the depth of the noise's minimum."""


EARLY_MS, BRISK_MS = 10.0, 20.0
"""Latency at which ``trial_timing`` holds, and interval at which ``trial_rate`` does (ms)."""
LATENCY_POWER, RATE_POWER, MOST = 0.5, 1.75, 100.0
"""How their effects grow with latency and interval, and the factor at which growth ends (at 1 it takes a hundredth)."""

LONGEST_MS = 400.0
"""Latency and interval above which noise grows no further."""


def saturated(interval_ms: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """What noise sees of a latency or interval: itself up to 200 ms, within 0.1 %, and :data:`LONGEST_MS` at most.

    A silent neuron is one whose predicted latency lies far behind the step, at times minutes. How far is of no
    account: a law of growth, measured up to 100 ms and extended to minutes, would let hyperpolarised neurons fire.

    Args:
        interval_ms: Predicted latency or interval (ms).
    """
    ratio = (interval_ms / LONGEST_MS).clamp(max=1e4)
    return LONGEST_MS * ratio * (1 + ratio**8) ** -0.125


def latency_looseness(latency_ms: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Factor on the SD of a sweep's log latency when it is this long: 1 at 10 ms, growing with its root.

    A first spike comes when a noisy voltage has climbed to threshold. Under a background current biophysical models'
    latencies differ by 3 % at 5 ms and 16 % at 96 ms; those of a pyramidal cell by 6 % at 7 ms and 24 % at 52 ms. The
    root is the likeliest power (``analyses/inference_usual_spikes.py``).

    Args:
        latency_ms: Predicted latency (ms).
    """
    return _grown(saturated(latency_ms) / EARLY_MS, LATENCY_POWER)


def rate_looseness(interval_ms: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Factor on the SD of a sweep's log rate when its intervals are this long: 1 at 50 Hz.

    What differs between sweeps acts like a little more or less current, ``d log f = (d log f / dI) dI``, and the slower
    a neuron fires, the steeper its log rate rises. Two series of steps in one pyramidal cell differ by 0.03 in log rate
    at 18 Hz and by 0.81 at 3 Hz; biophysical models under a background current by 0.2 % at 13 ms and by 11 % at 131.
    Powers from 1.5 to 2 are alike likely, a constant is not (``analyses/inference_usual_spikes.py``).

    Args:
        interval_ms: Predicted interval (ms).
    """
    return _grown(saturated(interval_ms) / BRISK_MS, RATE_POWER)


def _grown(ratio: Float[Tensor, "*batch"], power: float) -> Float[Tensor, "*batch"]:
    grown = ratio.clamp(1e-3, 1e3) ** power
    return grown / (1 + grown / MOST)


def of_rest(name: str) -> bool:
    """Whether a feature is a level that a slow drift moves: the resting or the steady voltage."""
    return name in ("resting_voltage_mv", "steady_state_voltage_mv")


def of_shape(name: str) -> bool:
    """Whether a feature describes a spike."""
    return name.startswith(("ap1_", "mean_ap_", "ahp_"))


def usual_sd(name: str) -> float:
    """Usual SD of a feature between sweeps; by its unit where it is not listed."""
    return USUAL.get(name, 0.7 if name.endswith("_mv") else 1.0)


def usual_sd_at(
    names: tuple[str, ...], current_pa: Float[Tensor, "*batch sweep"]
) -> Float[Tensor, "*batch feature sweep"]:
    """Usual SD of features between sweeps, at the step's current.

    Args:
        names: Features.
        current_pa: Steps (pA).
    """
    sd = torch.tensor([usual_sd(name) for name in names], dtype=current_pa.dtype, device=current_pa.device)
    weaker = STRONG_PA / current_pa.abs().clamp(min=WEAKEST_PA)
    fitted = torch.tensor([name in FITTED for name in names], device=current_pa.device)
    return sd[:, None] * torch.where(fitted[:, None], weaker[..., None, :], 1.0)


def lift(names: tuple[str, ...], like: Tensor) -> Float[Tensor, " feature"]:
    """By how many SDs between sweeps noise raises each feature (:data:`LIFT`)."""
    return torch.tensor([LIFT.get(name, 0.0) for name in names], dtype=like.dtype, device=like.device)
