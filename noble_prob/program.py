"""The probabilistic program: population, neuron, trials, sweeps, observation. The only one.

    population    fitted beforehand: the prior over standardised latents
    neuron        z               ~ prior
    noise         decoder_excess, phase_diffusion, trial_timing, trial_rate, trial_rest, trial_passive,
                  trial_shape ~ LogNormal
    sweeps        spikes          ~ SpikeTrains(decoder.spike_times(z, I)), smooth errors and trials integrated out
                  summary         ~ Summaries(decoder.summary(z, I)), likewise

Everything else is a handler on it: the prior predictive runs it without evidence, inference conditions it, the
posterior predictive replays it with drawn latents, the export reads its log densities, calibration does all of these.
The trial's own latents never appear as sites: to first order they shift a sweep's log latency, log rate and summary
features, and Gaussian shifts integrate in closed form, so that samplers move in some thirty dimensions and not
in hundreds.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import pyro
import pyro.distributions as dist
import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.decoder.base import Decoder
from noble_prob.noise import Design, Evidence, NoisePrior, Scale, SpikeTrains, Summaries
from noble_prob.priors import Prior
from noble_prob.priors.gaussian import HyperPrior, hyper_parameters

ROBUST_DF = 4.0
"""Degrees of freedom of the robust likelihood."""


def program(
    decoder: Decoder,
    prior: Prior,
    design: Design,
    evidence: Evidence | None = None,
    *,
    noise: NoisePrior,
    robust: bool = False,
    batch: Sequence[int] = (),
) -> tuple[SpikeTrains, Summaries]:
    """Sample sites ``z``, seven noise scales (:data:`SCALES`), ``spikes`` and ``summary``.

    Args:
        decoder: Predicts spike times and summary features.
        prior: Density of the standardised latents.
        design: Sweeps.
        evidence: Their responses; None to draw them.
        noise: Priors of the noise scales; one that is known, or switched off, has no site.
        robust: Student-t likelihood (four degrees of freedom) of the summary features in place of the Gaussian.
        batch: Independent copies run side by side, for example ``(chains,)``; the last one is the outermost plate.

    Returns:
        The two observation distributions at the sampled latents.
    """
    df = ROBUST_DF if robust else None
    with ExitStack() as plates:
        for k, size in enumerate(reversed(list(batch))):
            plates.enter_context(pyro.plate(f"batch{k}", size, dim=-1 - k))
        z = pyro.sample("z", prior.distribution)
        scales = {name: _scale(name, getattr(noise, name), z) for name in SCALES}
        latents = prior.space.unstandardise(z)[..., None, :]
        times = decoder.spike_times(latents, design.current_pa).to(z)
        summary = decoder.summary(latents, design.current_pa).to(z)
        error_ms = (decoder.error.residual_ms**2 + noise.timing_ms**2) ** 0.5
        trains = SpikeTrains(
            times,
            design,
            decoder.error,
            scale=1 + scales["decoder_excess"],
            phase_diffusion=scales["phase_diffusion"],
            trial_timing=scales["trial_timing"],
            trial_rate=scales["trial_rate"],
            timing_ms=noise.timing_ms,
            intervals=None if evidence is None else evidence.intervals(error_ms, times.shape[-1]),
        )
        between = scales["trial_rest"], scales["trial_passive"], scales["trial_shape"]
        features = Summaries(summary, design, decoder.error, scale=1 + scales["decoder_excess"], between=between, df=df)
        pyro.sample("spikes", trains, obs=None if evidence is None else evidence.times_ms)
        pyro.sample("summary", features, obs=None if evidence is None else evidence.summary)
    return trains, features


SCALES = (
    "decoder_excess",
    "phase_diffusion",
    "trial_timing",
    "trial_rate",
    "trial_rest",
    "trial_passive",
    "trial_shape",
)
"""Names of the noise scales, fields of :class:`~noble_prob.noise.NoisePrior`."""


def _scale(name: str, scale: Scale, like: Tensor) -> Tensor:
    """A log-normal site, or its median where it is known: zero where the effect is switched off."""
    centre = torch.tensor(scale.median, dtype=like.dtype, device=like.device)
    if scale.median == 0 or scale.log_sd == 0:
        return centre.expand(like.shape[:-1])
    width = torch.tensor(scale.log_sd, dtype=like.dtype, device=like.device)
    return pyro.sample(name, dist.LogNormal(centre.log(), width))


def population_program(
    seen: Float[Tensor, "*rows neuron latent"],
    blur: Float[Tensor, "*rows neuron latent latent"],
    *,
    hyper: HyperPrior,
    batch: Sequence[int] = (),
) -> None:
    """The outermost level when it is not fitted beforehand: hyper-parameters, and neurons seen through recordings.

    ``loc``, ``scale`` and ``corr`` (or ``loadings``) as in :mod:`noble_prob.priors.gaussian`; site ``seen``: a neuron's
    latents are Gaussian around ``loc``, what its recording says about them is Gaussian around the latents, and the
    latents are integrated out.

    Args:
        seen: Centre of each recording's likelihood over the standardised latents.
        blur: Its covariance.
        hyper: Priors of the hyper-parameters.
        batch: Independent copies run side by side, the last axes being ``rows``.
    """
    with ExitStack() as plates:
        for k, size in enumerate(reversed(list(batch))):
            plates.enter_context(pyro.plate(f"batch{k}", size, dim=-1 - k))
        loc, scale, corr = hyper_parameters(seen.shape[-1], hyper)
        tril = scale[..., None] * corr
        root, failed = torch.linalg.cholesky_ex((tril @ tril.transpose(-1, -2))[..., None, :, :] + blur)
        root = torch.where(
            failed[..., None, None] == 0, root, torch.nan
        )  # a sampler's wild step, refused by its density
        pyro.sample("seen", dist.MultivariateNormal(loc[..., None, :], scale_tril=root).to_event(1), obs=seen)
