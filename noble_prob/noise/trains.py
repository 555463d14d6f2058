"""The density of spike trains around predicted ones, with the smooth errors integrated out.

Let ``s_1 < s_2 < ...`` be the predicted times of a sweep (ms after onset) and ``x_1 = t_1``, ``x_k = t_k - t_(k-1)``
the observed latency and intervals. In logarithms the errors of :class:`~noble_prob.decoder.base.DecoderError` add up:

    log x_1 = log s_1             + a + noise_1
    log x_k = log (s_k - s_(k-1)) + b + noise_k,      k = 2, 3, ...

``a`` and ``b``, one pair per sweep, are Gaussian with covariance ``sd^2 exp(-|I - I'| / length)`` over the sweeps of
a neuron (the decoder's error: the same neuron is wrong in the same way at similar currents) plus ``trial^2`` on the
diagonal (the neuron's own change between sweeps; that of the latency and that of the rate differ). All grow towards
threshold, where a train answers strongest to whatever changes: the decoder's errors by
:meth:`~noble_prob.decoder.base.DecoderError.slowness` of the predicted interval, the latency's change by its root, the
rate's, which spans two orders of magnitude, by the power 1.75 (:mod:`noble_prob.noise.scales`). ``noise_k`` has
variance ``sigma^2 x_k`` from phase diffusion (first passage: coefficient of variation ``sigma sqrt(x)``) plus that of
two timing errors, ``2 e^2 / x_k^2``, which neighbours share with opposite sign. So the residuals are jointly Gaussian:
tridiagonal (:mod:`noble_prob.noise.intervals`) plus low rank. Woodbury's identity leaves a system of size ``2
sweeps``; the posterior of (a, b) falls out of it and is what the censored interval needs: no further spike before the
end means ``log x_(n+1) > log (end - t_n)``, a Gaussian tail.

Nothing here is a Student t: a scale common to all spikes of a recording would shrink the errors of a lucky one, whose
single spikes fit well, and make its posterior too narrow. What a real cell does worse than the decoder believes goes
into ``sigma`` and ``trial``, which can only add.

Variances belong to the predicted latency or interval ``s``, and grow no further where that is long
(:func:`~noble_prob.noise.scales.saturated`): the predicted latency of a silent neuron is minutes, and a law extended to
minutes would make hyperpolarised neurons fire. The latency's diffusion is taken there: what the basis of the observed
train lacks of it is added to the variance of ``a``. Those of intervals are taken at the observed one. Diffusion's then
gives short intervals, which are as often short by chance, too much weight, and ``sigma^2 x_k`` added to a residual
makes up for it; timing errors' gives them too little, and ``e^2 / x_k^2`` taken away does (half of it from the latency,
which has one error): the slope of the density over the rate then has mean zero at the truth.

Limits: small errors (with a diffusion of 1, noise scales are taken for larger than they are, by 0.15 posterior SDs);
the censored intervals of several sweeps are taken as independent given the observed ones. Whether one more spike comes
before the end is judged with a slack (``count_slack``, a millisecond) that nothing drawn has: a decoder may be wrong
about the last spike by more than its usual error. Where a spike is predicted within that of the end, probabilities of
all outcomes add up to as much as 1.2; a few milliseconds before and after it, to 1.
"""

from __future__ import annotations

import math
from typing import Any

import pyro.distributions as dist
import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import constraints

from noble_prob.decoder.base import DecoderError
from noble_prob.noise.design import Design
from noble_prob.noise.intervals import FIRST, TINY_MS, Intervals, diagonalise
from noble_prob.noise.linear import cholesky
from noble_prob.noise.scales import latency_looseness, rate_looseness, saturated

TINY_VARIANCE = 1e-12
"""Keeps the slope of an SD finite where nothing varies."""
LOGISTIC_SD = math.pi / math.sqrt(3.0)


class SpikeTrains(dist.TorchDistribution):
    """Spike times of several sweeps of one neuron.

    Values have shape ``(sweep, spike)``: times in ms after onset, infinity behind the last spike before the end.

    Args:
        predicted_ms: Predicted times, shape ``(*batch, sweep, spike)``.
        design: Currents and ends of the sweeps.
        error: Size and correlation of the decoder's errors.
        scale: Factor on the decoder's errors for this neuron, shape ``(*batch,)``.
        phase_diffusion: ``sigma`` (spikes per square root of a second), shape ``(*batch,)``.
        trial_timing: SD of log latency over repeats, for a first spike at 10 ms, shape ``(*batch,)``.
        trial_rate: SD of log rate over repeats, for firing at 50 Hz, shape ``(*batch,)``.
        timing_ms: SD of a measured spike time (ms).
        intervals: The observed times, diagonalised beforehand; done on the spot if not given.
    """

    arg_constraints = {}  # noqa: RUF012
    support = constraints.independent(constraints.positive, 2)

    def __init__(
        self,
        predicted_ms: Float[Tensor, "*batch sweep spike"],
        design: Design,
        error: DecoderError,
        *,
        scale: Tensor,
        phase_diffusion: Tensor,
        trial_timing: Tensor,
        trial_rate: Tensor,
        timing_ms: float,
        intervals: Intervals | None = None,
    ):
        self.predicted_ms, self.design, self.error = predicted_ms, design, error
        self.scale, self.phase_diffusion, self.trial_timing = scale, phase_diffusion, trial_timing
        self.trial_rate = trial_rate
        self.timing_ms, self.intervals = timing_ms, intervals
        self.step_ms = torch.diff(predicted_ms, dim=-1, prepend=torch.zeros_like(predicted_ms[..., :1])).clamp(TINY_MS)
        self.felt_ms = saturated(self.step_ms)
        super().__init__(predicted_ms.shape[:-2], predicted_ms.shape[-2:], validate_args=False)

    def _per_ms(self) -> Tensor:
        """Variance of the phase per ms, shape ``(*batch, 1, 1)``."""
        return (self.phase_diffusion**2 / 1000.0)[..., None, None]

    def _effects(self, first_ms: Tensor | None = None) -> Float[Tensor, "*batch two_sweeps two_sweeps"]:
        """Covariance of all latency errors, then all rate errors.

        Args:
            first_ms: Observed latencies, 0 where there is none: the diffusion that :class:`Intervals` do not hold then
                counts among the latencies' errors.
        """
        latency = self.trial_timing[..., None] * latency_looseness(self.step_ms[..., 0])
        if first_ms is not None:
            lacking = (self.felt_ms[..., 0] - FIRST * first_ms).clamp(min=TINY_MS)
            latency = (latency.square() + self._per_ms()[..., 0] * lacking + TINY_VARIANCE).sqrt()
        rate = self.trial_rate[..., None] * rate_looseness(self.step_ms[..., 1])
        slow = self.scale[..., None, None] * self.error.slowness(self.step_ms[..., :2])
        sds = (self.error.latency_log_sd * slow[..., 0], self.error.rate_log_sd * slow[..., 1])
        return smooth_covariance(self.design.current_pa, self.error, (latency, rate), sds)

    def take(self, sweeps: Tensor) -> SpikeTrains:
        """Some of the sweeps of the same neuron: the others are integrated out."""
        seen = self.intervals.take(sweeps) if self.intervals is not None else None
        return SpikeTrains(
            self.predicted_ms[..., sweeps, :],
            self.design.take(sweeps),
            self.error,
            scale=self.scale,
            phase_diffusion=self.phase_diffusion,
            trial_timing=self.trial_timing,
            trial_rate=self.trial_rate,
            timing_ms=self.timing_ms,
            intervals=seen,
        )

    def expand(self, batch_shape: Any, _instance: Any = None) -> SpikeTrains:
        """The same trains for every element of a batch."""
        shape = torch.Size(batch_shape)
        return SpikeTrains(
            self.predicted_ms.expand(*shape, *self.event_shape),
            self.design,
            self.error,
            scale=self.scale.expand(shape),
            phase_diffusion=self.phase_diffusion.expand(shape),
            trial_timing=self.trial_timing.expand(shape),
            trial_rate=self.trial_rate.expand(shape),
            timing_ms=self.timing_ms,
            intervals=self.intervals,
        )

    def log_prob(self, value: Float[Tensor, "*batch sweep spike"]) -> Float[Tensor, " *batch"]:
        """Log density of the spikes before the ends, times the probability of none after them (times in ms)."""
        seen = self.intervals
        if seen is None or seen.times_ms is not value:
            seen = diagonalise(value, self.error_ms, self.step_ms.shape[-1])
        later_ms = torch.where(torch.arange(seen.width, device=value.device) > 0, seen.log_ms.exp(), 0.0)
        residual = seen.log_ms - self.step_ms[..., : seen.width].log() + self._per_ms() * later_ms - seen.lean
        residual = torch.where(seen.seen, residual, 0.0)
        energy, log_det, mean, cov = self._woodbury(residual, seen)
        density = -0.5 * (energy + log_det + seen.count * math.log(2 * math.pi))
        jacobian = -seen.log_ms.sum((-1, -2))
        return density + jacobian + self._no_more(value, mean, cov).sum(-1)

    def _woodbury(self, r: Tensor, seen: Intervals) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Quadratic form and log determinant of the residuals; posterior mean and variance of the effects."""
        sigma2 = (self.phase_diffusion**2)[..., None, None]
        u = seen.rotate(r)
        precision = 1.0 / (sigma2 + seen.eigen)
        energy = (precision * u**2).sum((-1, -2))
        first, later = seen.basis.unbind(-1)
        pull = torch.cat([(precision * u * first).sum(-1), (precision * u * later).sum(-1)], -1)
        aa, ab, bb = ((precision * p).sum(-1) for p in (first**2, first * later, later**2))
        aa, ab, bb = (torch.diag_embed(v) for v in (aa, ab, bb))
        weight = torch.cat([torch.cat([aa, ab], -1), torch.cat([ab, bb], -1)], -2)
        first_ms = torch.where(seen.seen[..., :1], seen.log_ms[..., :1].exp(), 0.0).sum(-1)
        root = cholesky(self._effects(first_ms))
        eye = torch.eye(root.shape[-1], dtype=r.dtype, device=r.device)
        inner = cholesky(eye + root.transpose(-1, -2) @ weight @ root)
        half = torch.linalg.solve_triangular(inner, root.transpose(-1, -2), upper=False)  # cov = half^T half
        score = (half @ pull.unsqueeze(-1)).squeeze(-1)
        mean = (half.transpose(-1, -2) @ score.unsqueeze(-1)).squeeze(-1)
        log_det = seen.log_variances(sigma2) + 2 * inner.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return energy - score.square().sum(-1), log_det, mean, half.square().sum(-2)

    @property
    def error_ms(self) -> float:
        """SD of a single spike's time, decoder and measurement together (ms)."""
        return (self.error.residual_ms**2 + self.timing_ms**2) ** 0.5

    def _no_more(self, value: Tensor, mean: Tensor, cov: Tensor) -> Float[Tensor, "*batch sweep"]:
        """Log probability, per sweep, that the next spike falls behind the end."""
        n = torch.isfinite(value).sum(-1, keepdim=True).expand(*self.step_ms.shape[:-1], 1)
        last = torch.where(torch.isfinite(value), value, 0.0).amax(-1)
        left = (self.design.end_ms - last).clamp(min=TINY_MS)
        step = self.step_ms.gather(-1, n.clamp(max=self.step_ms.shape[-1] - 1)).squeeze(-1)
        early, late = mean.unflatten(-1, (2, -1)).unbind(-2)
        early_var, late_var = cov.unflatten(-1, (2, -1)).unbind(-2)
        silent = n.squeeze(-1) == 0
        shift, spread = torch.where(silent, early, late), torch.where(silent, early_var, late_var)
        slack = 2 * self.error.residual_ms**2 + self.timing_ms**2 + (LOGISTIC_SD * self.error.count_slack) ** 2
        felt = torch.where(silent, 0.0, saturated(step * shift.exp()))  # a latency's is among its errors already
        variance = spread + self._per_ms()[..., 0] * felt + slack / step**2
        tail = torch.special.log_ndtr((step.log() + shift - left.log()) / variance.sqrt())
        judged = (n.squeeze(-1) < self.step_ms.shape[-1]) & (self.design.end_ms > TINY_MS)  # not a sweep of padding
        return torch.where(judged, tail, 0.0)

    def sample(self, sample_shape: Any = torch.Size()) -> Float[Tensor, "*sample_batch sweep spike"]:  # noqa: B008
        """Draw spike trains from torch's global generator (Pyro seeds it)."""
        shape = torch.Size(sample_shape) + self.batch_shape
        with torch.no_grad():
            step = self.step_ms.expand(*shape, *self.event_shape)
            root = cholesky(self._effects())
            effects = (root @ torch.randn(*shape, root.shape[-1], 1, dtype=step.dtype, device=step.device)).squeeze(-1)
            early, late = effects.unflatten(-1, (2, -1)).unbind(-2)
            shift = torch.cat([early[..., None], late[..., None].expand(*step.shape[:-1], step.shape[-1] - 1)], -1)
            diffused = torch.cat([self.felt_ms.expand_as(step)[..., :1], saturated(step * shift.exp())[..., 1:]], -1)
            noise = torch.randn_like(step) * (self._per_ms() * diffused).sqrt()
            times = (step.log() + shift + noise).exp().cumsum(-1)
            times = times + self.error_ms * torch.randn_like(times)
            times = times.clamp(min=TINY_MS).cummax(-1).values
            return torch.where(times < self.design.end_ms[..., None], times, torch.inf)


def smooth_covariance(
    current_pa: Tensor, error: DecoderError, trial: tuple[Tensor, ...], sds: tuple[float | Tensor, ...]
) -> Float[Tensor, "*batch size size"]:
    """Block-diagonal covariance of errors that are smooth in the current, with ``trial^2`` added on the diagonal.

    Args:
        current_pa: Steps (pA), shape ``(..., sweep)``.
        error: Gives the correlation length.
        trial: SD over repeats of each block, one or one per sweep, shape ``(*batch, sweep)``.
        sds: One SD per block, or one per sweep of it, shape ``(*batch, sweep)``.
    """
    gap = (current_pa[..., :, None] - current_pa[..., None, :]).abs()
    kernel = torch.exp(-gap / error.current_length_pa)
    extra = [torch.diag_embed((sd * torch.ones_like(current_pa)) ** 2 + 1e-10) for sd in trial]
    per_sweep = [sd * torch.ones_like(current_pa) for sd in sds]
    blocks = [sd[..., :, None] * sd[..., None, :] * kernel + own for sd, own in zip(per_sweep, extra, strict=True)]
    zero = torch.zeros_like(blocks[0])
    rows = [torch.cat([block if i == j else zero for j in range(len(blocks))], -1) for i, block in enumerate(blocks)]
    return torch.cat(rows, -2)
