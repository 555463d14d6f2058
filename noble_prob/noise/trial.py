"""Repeats of one stimulus in one neuron, drawn.

The state varies between repeats, ``z_r ~ Normal(z, Sigma_trial)``, latency and rate vary by a share each
(:mod:`noble_prob.noise.timing`), and the phase diffuses within one: ``phi_r(t) = phi(t; z_r, I) + sigma W(t)``. Spike
``k`` comes when the phase reaches ``k``, so an interval of mean ``mu`` is a first passage, inverse Gaussian with
variance ``sigma^2 mu^3`` (Gerstein and Mandelbrot 1964): jitter grows along the train. Over minutes the state drifts
too, as a random walk from sweep to sweep. Noise comes on top of the voltage (:mod:`noble_prob.noise.traces`). What
repeats can tell of it is fitted by :mod:`noble_prob.noise.repeats` and :mod:`noble_prob.noise.state`; without repeats,
:meth:`TrialModel.usual` is what inference expects. How neurons differ from each other is the prior's business,
:mod:`noble_prob.priors`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.errors import require
from noble_prob.latent import LatentSpace, Neurons
from noble_prob.noise.scales import NoisePrior, of_shape, saturated, usual_sd
from noble_prob.noise.timing import TimingByInterval, TimingScatter
from noble_prob.noise.traces import TraceNoise

REFERENCE_MS = 20.0
"""Interval at which ``phase_diffusion`` holds, where it changes with the interval."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TrialModel:
    """How repeats of one stimulus differ within one neuron.

    Attributes:
        latent_tril: A factor of ``Sigma_trial`` in standardised latent units, shape ``(latent, latent)``.
        timing: How latency and rate vary, by current or by interval; None for only as the latents do.
        phase_diffusion: ``sigma`` (spikes per square root of a second); 0.3 jitters a 70 Hz train by 3.6 % an interval.
        diffusion_slope: How it changes with the interval: ``sigma (interval / 20 ms)^slope``.
        trace: Noise on the voltage.
        drift: SD of the slow walk per square root of a minute, standardised latent units, shape ``(latent,)``; None
            for none.
        minutes_apart: Time from one sweep to the next (minutes).
        provenance: What it was fitted to.
    """

    latent_tril: Float[Tensor, "latent latent"]
    timing: TimingScatter | TimingByInterval | None = None
    phase_diffusion: float = 0.0
    diffusion_slope: float = 0.0
    trace: TraceNoise = field(default_factory=TraceNoise)
    drift: Float[Tensor, " latent"] | None = None
    minutes_apart: float = 0.0
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require(self.minutes_apart >= 0, "minutes_apart", "zero or positive", self.minutes_apart, "give minutes")
        require(self.phase_diffusion >= 0, "phase_diffusion", "zero or positive", self.phase_diffusion, "give an SD")

    def to_dict(self) -> dict[str, Any]:
        """Its numbers and what it was fitted to, as plain values."""

        def plain(values: object) -> dict[str, Any]:
            return {k: v.tolist() if isinstance(v, Tensor) else v for k, v in vars(values).items()}

        timing = None if self.timing is None else plain(self.timing)
        return {
            **plain(self),
            "timing": timing,
            "trace": plain(self.trace),
            "provenance": dict(self.provenance),
        }

    def __repr__(self) -> str:
        """One line for people."""
        spread = self.latent_tril.square().sum(-1).mean().sqrt()
        by = "current" if isinstance(self.timing, TimingScatter) else "interval"
        timing = "" if self.timing is None else f", latency and rate by {by}"
        return (
            f"TrialModel({len(self.latent_tril)} latents by {float(spread):.3g} of their spread{timing}, "
            f"phase diffusion {self.phase_diffusion:.3g} spikes/sqrt(s), electrode {self.trace.electrode_mv:.3g} mV"
            f"{'' if self.drift is None else ', drift'})"
        )

    @property
    def moves_spikes(self) -> bool:
        """Whether spike times scatter beyond what the latents do."""
        return self.timing is not None or self.phase_diffusion > 0

    @classmethod
    def usual(cls, space: LatentSpace, *, noise: NoisePrior | None = None) -> TrialModel:
        """What inference expects of repeats before it has seen any: medians of its noise scales.

        Spikes come as the program draws them. What is read off the sub-threshold course varies because the trace is
        noisy (:meth:`TraceNoise.usual`). So do peak and trough of the first spike; the rest of the variation of its
        shape is one of the latents.

        Args:
            space: The latents.
            noise: What inference believes; as usual if not given.
        """
        believed = noise or NoisePrior()
        trace = TraceNoise.usual(believed)
        wanted = [believed.trial_shape.median * usual_sd(i.feature) * of_shape(i.feature) for i in space.latents]
        there = [trace.sd_mv if i.unit == "mV" else 0.0 for i in space.latents]
        shape = [max(a**2 - b**2, 0.0) ** 0.5 for a, b in zip(wanted, there, strict=True)]
        timing = TimingByInterval(latency=believed.trial_timing.median, rate=believed.trial_rate.median)
        return cls(
            latent_tril=torch.diag(torch.tensor(shape, dtype=torch.float64) / space.sd.double()),
            timing=timing,
            phase_diffusion=believed.phase_diffusion.median,
            trace=trace,
            provenance={"fitted_to": "nothing: medians of the noise scales that inference believes in"},
        )

    def scatter(
        self, times_ms: Float[Tensor, "row spike"], current_pa: Float[Tensor, " row"], generator: torch.Generator
    ) -> Float[Tensor, "row spike"]:
        """Spike times (ms after onset) of other repeats.

        How latency varies was either fitted (:class:`TimingScatter` holds all of it) or has the diffusing phase in it,
        too: with a fitted one that would count the same scatter twice.

        Args:
            times_ms: Times of the noiseless response, increasing.
            current_pa: Step of each row (pA).
            generator: Source of randomness, on the CPU.
        """
        moved = times_ms if self.timing is None else self.timing.move(times_ms, current_pa, generator)
        if not isinstance(self.timing, TimingScatter):
            return diffuse(moved, self.phase_diffusion, generator, slope=self.diffusion_slope)
        first, train = moved[..., :1], moved[..., 1:] - moved[..., :1]
        behind = diffuse(train, self.phase_diffusion, generator, slope=self.diffusion_slope)
        return torch.cat([first, torch.where(torch.isfinite(moved[..., 1:]), first + behind, torch.inf)], -1)

    def latents(
        self, neurons: Neurons, trials: int, generator: torch.Generator
    ) -> Float[Tensor, "neuron trial latent"]:
        """Latents of every sweep of every neuron (coordinate units), in order of time.

        Args:
            neurons: The neurons.
            trials: Sweeps of each.
            generator: Source of randomness.
        """
        x = neurons.space.standardise(neurons.value.to(torch.float64))
        noise = torch.randn(len(neurons), trials, x.shape[1], generator=generator, dtype=x.dtype)
        moved = x[:, None] + noise @ self.latent_tril.to(x).T
        if self.drift is not None and self.minutes_apart > 0:
            step = torch.randn(noise.shape, generator=generator, dtype=x.dtype) * self.minutes_apart**0.5
            step[:, 0] = 0.0
            moved = moved + (step * self.drift.to(x)).cumsum(1)
        return neurons.space.unstandardise(moved)


def diffuse(
    times_ms: Float[Tensor, "*batch spike"], phase_diffusion: float, generator: torch.Generator, *, slope: float = 0.0
) -> Float[Tensor, "*batch spike"]:
    """Spike times under phase diffusion: every interval is replaced by a first-passage time of the same mean.

    Inverse Gaussian draws by the method of Michael, Schucany and Haas (1976); mean ``mu``, variance ``sigma^2 mu^3``,
    relative to the mean no larger than at 400 ms (:func:`~noble_prob.noise.scales.saturated`): the phase of a neuron
    that is held silent has no drift, and a free random walk would make it fire.

    Args:
        times_ms: Spike times of the noiseless response (ms after onset), increasing, shape ``(*batch, spike)``.
        phase_diffusion: ``sigma`` (spikes per square root of a second).
        generator: Source of randomness, on the CPU.
        slope: Exponent of ``sigma`` over the interval in units of :data:`REFERENCE_MS`.
    """
    if phase_diffusion == 0:
        return times_ms
    mu = torch.diff(times_ms, dim=-1, prepend=torch.zeros_like(times_ms[..., :1])).clamp(min=1e-6)
    sigma = phase_diffusion * (mu / REFERENCE_MS).clamp(0.05, 20.0) ** slope
    shape = 1000.0 / sigma**2 * mu / saturated(mu)  # ms: lambda of the inverse Gaussian, threshold 1 and drift 1 / mu
    chi = torch.randn(mu.shape, generator=generator, dtype=mu.dtype).to(mu.device).square()
    half = mu * chi / (2 * shape)
    low = mu / (1 + half + (half * (half + 2)).sqrt())  # the smaller root, written without cancellation
    first = torch.rand(mu.shape, generator=generator, dtype=mu.dtype).to(mu.device) <= mu / (mu + low)
    return torch.where(first, low, mu * (mu / low)).cumsum(-1)
