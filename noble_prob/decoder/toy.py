"""A linear-Gaussian decoder whose posterior is known in closed form: oracle, docs example, fast tests.

Five latents, standardised to ``x``, and a step of ``I`` pA give

    log latency(x, I)      = 2.3 - 0.020 (I - 180) + B_1 x
    log interval(x, I)     = 2.7 - 0.006 (I - 180) + B_2 x
    resting potential      = rest of the neuron
    voltage deflection     = deflection at -110 pA * I / (-110)
    first peak             = peak of the neuron - 0.02 (I - 180)

so that for every current the vector (log latency, log interval, resting, deflection, peak) is linear in ``x``. The
train is regular: the k-th spike comes at ``latency + (k - 1) interval``. Under Gaussian noise on that vector and a
Gaussian prior the posterior is Gaussian (:func:`exact_posterior`). The toy is no neuron: its voltages are a step
response with bumps pasted on as spikes, good for the arithmetic of inference and for nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.decoder.base import DecoderError, Window
from noble_prob.errors import require
from noble_prob.latent import Latent, LatentSpace

LATENCY_SLOPE, INTERVAL_SLOPE, PEAK_SLOPE = -0.020, -0.006, -0.020
REFERENCE_PA, HYPERPOLARISING_PA = 180.0, -110.0
SPIKES, WIDTH_MS = 96, 0.35


def toy_space() -> LatentSpace:
    """The toy's five latents, with the centre and spread of an imaginary population."""
    low, high = HYPERPOLARISING_PA, REFERENCE_PA
    one, two = "at least one spike", "at least two spikes"
    rows = [  # name, unit, feature, current, log, defined when
        ("resting_voltage_mv", "mV", "resting_voltage_mv", low, False, "always"),
        ("voltage_deflection_mv", "mV", "voltage_deflection_mv", low, False, "no spike"),
        ("log_latency_180pa", "ln(ms)", "first_spike_latency_ms", high, True, one),
        ("log_mean_isi_180pa", "ln(ms)", "mean_isi_ms", high, True, two),
        ("ap1_peak_mv_180pa", "mV", "ap1_peak_mv", high, False, one),
    ]
    return LatentSpace(
        name="toy5",
        latents=tuple(
            Latent(name=name, unit=unit, feature=feature, current_pa=current, log=log, defined_when=when)
            for name, unit, feature, current, log, when in rows
        ),
        mean=torch.tensor([-71.0, -10.0, 2.3, 2.7, 20.0], dtype=torch.float64),
        sd=torch.tensor([2.0, 2.0, 0.35, 0.25, 6.0], dtype=torch.float64),
    )


def _window() -> Window:
    return Window(dt_ms=0.125, n_samples=4096, onset_ms=12.0, duration_ms=400.0, current_range_pa=(-110.0, 280.0))


def _error() -> DecoderError:
    return DecoderError(
        latency_log_sd=0.03,
        rate_log_sd=0.02,
        current_length_pa=80.0,
        residual_ms=0.02,
        summary_sd=torch.tensor([0.3, 0.4, 1.0], dtype=torch.float64),
        count_slack=0.2,
        summary_length_pa=80.0,
    )


@dataclass(frozen=True, kw_only=True)
class ToyDecoder:
    """The toy; see the module for its equations.

    Attributes:
        space: Its five latents.
        window: The stimulus it pretends to have been trained on.
        summary_names: Resting voltage, voltage deflection, first peak.
        error: How wrong it pretends to be; tests draw their "recordings" with exactly this error.
        identity: Of which cell it is, empty for none.
    """

    space: LatentSpace = field(default_factory=toy_space)
    window: Window = field(default_factory=_window)
    summary_names: tuple[str, ...] = ("resting_voltage_mv", "voltage_deflection_mv", "ap1_peak_mv")
    error: DecoderError = field(default_factory=_error)
    identity: Mapping[str, str] = field(default_factory=dict, repr=False)

    def linear(
        self, current_pa: Float[Tensor, "*batch"]
    ) -> tuple[Float[Tensor, "*batch 5"], Float[Tensor, "*batch 5 latent"]]:
        """Offset and matrix of (log latency, log interval, resting, deflection, peak) in the standardised latents.

        Args:
            current_pa: Steps (pA).
        """
        current = torch.as_tensor(current_pa, dtype=torch.float64)
        above, share = current - REFERENCE_PA, current / HYPERPOLARISING_PA
        (rest, deflection, latency, interval, peak), sd = self.space.mean, self.space.sd
        zero, one = torch.zeros_like(current), torch.ones_like(current)
        offset = torch.stack(
            [
                latency + LATENCY_SLOPE * above,
                interval + INTERVAL_SLOPE * above,
                rest * one,
                deflection * share,
                peak + PEAK_SLOPE * above,
            ],
            -1,
        )
        rows = [  # resting, deflection, latency, interval, peak: a depolarised, tight cell fires earlier and faster
            [-0.10 * one, 0.05 * one, sd[2] * one, zero, zero],
            [-0.05 * one, 0.03 * share, zero, sd[3] * one, zero],
            [sd[0] * one, zero, zero, zero, zero],
            [zero, sd[1] * share, zero, zero, zero],
            [zero, zero, zero, zero, sd[4] * one],
        ]
        return offset, torch.stack([torch.stack(row, -1) for row in rows], -2)

    def _features(self, latents: Tensor, current_pa: Tensor) -> Tensor:
        offset, matrix = self.linear(current_pa)
        x = self.space.standardise(latents.to(torch.float64))
        return offset + (matrix @ x.unsqueeze(-1)).squeeze(-1)

    def spike_times(
        self, latents: Float[Tensor, "*batch latent"], current_pa: Float[Tensor, "*batch"]
    ) -> Float[Tensor, "*batch spike"]:
        """A regular train: ``latency + (k - 1) interval`` (ms after onset), shape ``(*batch, 96)``."""
        f = self._features(latents, current_pa)
        k = torch.arange(SPIKES, dtype=f.dtype, device=f.device)
        return f[..., :1].exp() + k * f[..., 1:2].exp()

    def summary(
        self, latents: Float[Tensor, "*batch latent"], current_pa: Float[Tensor, "*batch"]
    ) -> Float[Tensor, "*batch feature"]:
        """Resting voltage, voltage deflection and first peak (mV), shape ``(*batch, 3)``."""
        return self._features(latents, current_pa)[..., 2:]

    def respond(
        self,
        latents: Float[Tensor, "*batch latent"],
        current_pa: Float[Tensor, "*batch"],
        *,
        times_ms: Float[Tensor, "*batch spike"] | None = None,
    ) -> Float[Tensor, "*batch time"]:
        """A crude voltage (mV): step response of the membrane with a bump at the spike times.

        Args:
            latents: Latents in their units.
            current_pa: Step current (pA).
            times_ms: Spike times to render instead of the predicted ones (ms after onset), for example jittered ones.
        """
        times_ms = self.spike_times(latents, current_pa) if times_ms is None else times_ms
        rest, rise, peak = (v.unsqueeze(-1) for v in self.summary(latents, current_pa).unbind(-1))
        t = self.window.time_ms - self.window.onset_ms
        on = (t >= 0) & (t < self.window.duration_ms)
        # the pedestal stays below threshold; what exceeds it is what spikes are for
        base = torch.where(on, rest + rise.clamp(max=25.0) * (1 - torch.exp(-t.clamp(min=0) / 8.0)), rest)
        far = torch.full_like(times_ms[..., :1], 1e9)
        happens = torch.where(times_ms < self.window.duration_ms, times_ms, 1e9)
        stamps = torch.cat([-far, happens, far], -1).contiguous()
        after = torch.searchsorted(stamps, t.to(stamps).expand(*stamps.shape[:-1], -1).contiguous()).clamp(min=1)
        nearest = torch.minimum(stamps.gather(-1, after) - t, t - stamps.gather(-1, after - 1))
        return base + on * torch.exp(-0.5 * (nearest / WIDTH_MS) ** 2) * (peak - base)

    def support(self, latents: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch"]:
        """Distance from the population's centre over the radius that holds its central 99 %."""
        radius = 3.884  # sqrt of the 0.99 quantile of chi-squared with 5 degrees of freedom
        return self.space.standardise(latents).norm(dim=-1) / radius


def exact_posterior(
    decoder: ToyDecoder,
    current_pa: Float[Tensor, " sweep"],
    observed: Float[Tensor, "sweep 5"],
    covariance: Float[Tensor, "row row"],
    *,
    prior_mean: Float[Tensor, " latent"],
    prior_covariance: Float[Tensor, "latent latent"],
) -> tuple[Float[Tensor, " latent"], Float[Tensor, "latent latent"]]:
    """Posterior mean and covariance of the standardised latents given noisy features of several sweeps.

    Args:
        decoder: The toy.
        current_pa: Step of every sweep (pA).
        observed: (log latency, log interval, resting, deflection, peak) of every sweep; NaN where missing.
        covariance: Noise covariance of ``observed`` flattened row by row, shape ``(5 sweep, 5 sweep)``.
        prior_mean: Mean of the standardised latents.
        prior_covariance: Their covariance.

    Raises:
        UsageError: If nothing is observed.
    """
    offset, matrix = decoder.linear(current_pa)
    keep = torch.isfinite(observed).flatten()
    require(bool(keep.any()), "observed", "at least one finite feature", "none", "give a sweep with a defined feature")
    y, a = (observed - offset).flatten()[keep], matrix.flatten(0, 1)[keep]
    precision = torch.linalg.inv(prior_covariance)
    weighted = torch.linalg.solve(covariance[keep][:, keep], a)
    posterior = torch.linalg.inv(precision + a.T @ weighted)
    return posterior @ (precision @ prior_mean + weighted.T @ y), posterior
