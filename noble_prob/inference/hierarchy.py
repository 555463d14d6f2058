r"""From many recordings to their population: partial pooling in two stages, and a check of the second.

A population has a mean, SDs and a correlation; each neuron is a draw of it; each recording was inferred alone, with one
and the same *reference* prior :math:`p_0`. Given the draws :math:`z_{rs}` of these posteriors, the likelihood of the
hyper-parameters :math:`\theta` is, up to a constant (Hogg, Myers, Bovy 2010),

.. math:: p(D \mid \theta) = \prod_r \frac{1}{S} \sum_s \frac{p(z_{rs} \mid \theta)}{p_0(z_{rs})} .

As it stands it is a noisy thing to sample. So the hyper-parameters are sampled with the likelihood of each recording
replaced by the Gaussian that its posterior's moments imply, neurons integrated out
(:func:`noble_prob.program.population_program`), and the draws are then weighted by the ratio of the two, smoothed by
Pareto's tail. Its shape k tells whether the weights can be believed; above 0.7 they are not used (NP120 tells). The
same ratios, averaged over :math:`\theta`, weigh each recording's draws: the neuron as seen by its own recording and by
the others.

Limits: a population far wider than the reference prior, or elsewhere, is where the draws are not: infer the recordings
with a wide reference prior then (:func:`~noble_prob.priors.widened`). A Gaussian population, one mode.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

import pyro
import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.errors import require, require_count, require_kind, require_seed
from noble_prob.inference import hmc
from noble_prob.inference.density import LogDensity
from noble_prob.inference.draw import SPREAD
from noble_prob.inference.importance import BELIEVABLE, pareto_smooth
from noble_prob.inference.locate import locate
from noble_prob.inference.population import Population
from noble_prob.inference.posterior import Posterior
from noble_prob.latent import Neurons
from noble_prob.priors import HyperPrior, Prior, factor_correlation, single_thread, undisturbed
from noble_prob.priors.base import require_prior
from noble_prob.program import population_program

FEWEST, MOST_DRAWS, CHECKED = 5, 1000, 1000
"""Recordings; draws per recording and of the hyper-parameters that enter the ratio."""
SHORTEST = 4
"""Draws, and steps of warm-up, per chain: fewer have no R-hat over split chains."""
WIDEST = 30.0
"""SD (in units of the reference prior's) beyond which a recording is taken to say nothing."""


@undisturbed()
def infer_population(
    posteriors: Sequence[Posterior], *, prior: Prior, hyper: HyperPrior | None = None, labels: Sequence[str] = (),
    seed: int = 0, chains: int = 4, warmup: int = 300, draws: int = 500, progress: bool = False,
) -> Population:  # fmt: skip
    """Mean, SDs and correlation of the population that recorded neurons come from, and each neuron in its light.

    Args:
        posteriors: Of many neurons, each from its own recording.
        prior: The prior that all of them were inferred with.
        hyper: Priors of the hyper-parameters (standardised units); by default means of SD 2, SDs of log SD 0.75, an LKJ
            correlation.
        labels: Names of the recordings.
        seed: Seed of everything random.
        chains: Chains of the hyper-parameters.
        warmup: Draws thrown away per chain.
        draws: Draws kept per chain.
        progress: Show a bar on stderr.

    Returns:
        Draws of the hyper-parameters with the check of their weights, and the neurons.

    Raises:
        UsageError: If there are fewer than five posteriors, or something else; if one was inferred with another prior
            or other latents; if chains, warm-up or draws are too few.
    """
    began = time.perf_counter()
    seed = require_seed(seed)
    _require_length(chains, warmup, draws)
    _check(posteriors, prior, labels)
    hyper = hyper or HyperPrior(loc_sd=2.0, scale_log_sd=0.75)
    generator = torch.Generator().manual_seed(seed)
    points = torch.stack([_some(p, generator) for p in posteriors])
    seen, blur = implied_likelihoods(points, prior)
    values, stats = sample_hyper_parameters(seen, blur, hyper, seed=seed, chains=chains, warmup=warmup, draws=draws,
                                            progress=progress)  # fmt: skip
    loc, tril = values["loc"], values["scale"][..., None] * values["corr"]
    pick = torch.randperm(loc[..., 0].numel(), generator=generator)[:CHECKED]
    weight, shares, k_hat = reweigh(loc.flatten(0, 1)[pick], tril.flatten(0, 1)[pick], points, prior, seen, blur)
    believed = bool(k_hat <= BELIEVABLE)
    whole = torch.zeros(loc[..., 0].numel(), dtype=loc.dtype).index_put((pick,), weight) if believed else None
    smooth, k_each = pareto_smooth(shares.T.clamp(min=1e-300).log())
    kept = (k_each <= BELIEVABLE)[:, None]  # weights that can not be believed are not used
    each = torch.where(kept, torch.softmax(smooth, 0).T, 1.0 / points.shape[1])
    space = prior.space
    return Population(
        space=space, loc=space.unstandardise(loc), sd=values["scale"] * space.sd,
        correlation=values["corr"] @ values["corr"].transpose(-1, -2),
        weights=None if whole is None else whole.unflatten(0, loc.shape[:2]), stats=stats,
        neurons=tuple(Neurons(space=space, value=space.unstandardise(z), axis="draw", weight=w)
                      for z, w in zip(points, each, strict=True)),
        labels=tuple(labels) or tuple(str(k) for k in range(len(posteriors))), k_hat=float(k_hat), k_hat_each=k_each,
        hyper=hyper, seed=seed, wall_s=time.perf_counter() - began,
    )  # fmt: skip


def implied_likelihoods(
    points: Float[Tensor, "recording draw latent"], prior: Prior
) -> tuple[Float[Tensor, "recording latent"], Float[Tensor, "recording latent latent"]]:
    """Gaussian likelihoods that turn the prior's moments into those of each posterior.

    Where the reference prior is a standard normal, a direction that the posterior does not know better than the prior
    gets the SD :data:`WIDEST`.

    Args:
        points: Draws of the standardised latents.
        prior: The reference prior.

    Returns:
        Centres and covariances.
    """
    mean, covariance = prior.moments
    root = torch.linalg.cholesky(covariance)
    white = torch.linalg.solve_triangular(root, (points - mean).transpose(-1, -2), upper=False).transpose(-1, -2)
    centre = white.mean(-2)
    off = white - centre[..., None, :]
    value, vector = torch.linalg.eigh(off.transpose(-1, -2) @ off / (points.shape[-2] - 1))
    along = (vector.transpose(-1, -2) @ centre[..., None])[..., 0]
    moved = (0.5 * along).square().clamp(max=0.9)  # what moved a mean must be strong enough: no more than two SDs off
    precision = (1 / value.clamp(min=1e-12) - 1).clamp(min=WIDEST**-2).maximum(moved / (1 - moved))
    there = along * (1 + precision) / precision  # posterior mean = likelihood's centre, shrunk
    scale = root @ vector
    return mean + (scale @ there[..., None])[..., 0], (scale / precision[..., None, :]) @ scale.transpose(-1, -2)


def sample_hyper_parameters(
    seen: Tensor, blur: Tensor, hyper: HyperPrior, *, seed: int, chains: int, warmup: int, draws: int,
    progress: bool = False,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:  # fmt: skip
    """Draws of ``loc``, ``scale`` and ``corr``, each ``(chain, draw, *rows, ...)``, and the sampler's record.

    Args:
        seen: Centres, ``(*rows, neuron, latent)``; rows are independent populations, sampled side by side.
        blur: Covariances.
        hyper: Priors.
        seed: Seed of the chains.
        chains: Chains.
        warmup: Draws thrown away.
        draws: Draws kept.
        progress: Show a bar.
    """
    rows = tuple(seen.shape[:-2])
    density = LogDensity(partial(population_program, seen, blur, hyper=hyper))
    with single_thread(), pyro.validation_enabled(False):
        coordinates, _ = locate(density, rows, seed)
        generator = torch.Generator().manual_seed(seed)
        start = SPREAD * torch.randn(chains, *rows, density.size, generator=generator, dtype=torch.float64)
        result = hmc.sample(density, coordinates, start, warmup=warmup, draws=draws, seed=seed, progress=progress)
        values = density.unpack(result.flat)[0]
    if "loadings" in values:
        values["corr"] = factor_correlation(values.pop("loadings"))
    values.setdefault("corr", torch.ones_like(values["scale"])[..., None])  # of a single latent
    return values, result.stats()


def reweigh(
    loc: Float[Tensor, "theta latent"], tril: Float[Tensor, "theta latent latent"],
    points: Float[Tensor, "recording draw latent"], prior: Prior, seen: Tensor, blur: Tensor,
) -> tuple[Float[Tensor, " theta"], Float[Tensor, "recording draw"], Tensor]:  # fmt: skip
    """Weights of hyper-parameters, of each recording's draws, and the Pareto shape of the former.

    Args:
        loc: Draws of the mean.
        tril: Draws of the covariance's Cholesky factor.
        points: Draws of each recording.
        prior: The reference prior.
        seen: Centres of the Gaussian likelihoods that the draws were made with.
        blur: Their covariances.
    """
    before = prior.log_prob(points)
    covariance = tril @ tril.transpose(-1, -2)
    root_inverse = torch.linalg.inv(tril)
    ratio, per_theta = torch.zeros(len(loc), dtype=loc.dtype), []
    for r in range(len(points)):
        white = (points[r][None] - loc[:, None]) @ root_inverse.transpose(-1, -2)
        log = -0.5 * white.square().sum(-1) + root_inverse.diagonal(dim1=-2, dim2=-1).log().sum(-1)[:, None] - before[r]
        ratio = ratio + torch.logsumexp(log, -1) - _normal(seen[r] - loc, covariance + blur[r])
        per_theta.append(torch.softmax(log, -1))
    smooth, k_hat = pareto_smooth(ratio[:, None])
    weight = torch.softmax(smooth[:, 0], 0) if float(k_hat[0]) <= BELIEVABLE else torch.full_like(ratio, 1 / len(ratio))
    shares = [weight @ share for share in per_theta]
    return weight, torch.stack(shares), k_hat[0]


def _normal(off: Tensor, covariance: Tensor) -> Tensor:
    """Log density of a centred normal, without its constant."""
    root = torch.linalg.cholesky(covariance)
    white = torch.linalg.solve_triangular(root, off[..., None], upper=False)[..., 0]
    return -0.5 * white.square().sum(-1) - root.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def _some(posterior: Posterior, generator: torch.Generator) -> Tensor:
    """As many standardised draws of every posterior."""
    every = posterior.standardised.flatten(0, 1)
    return every[torch.randperm(len(every), generator=generator)[torch.arange(MOST_DRAWS) % len(every)]]


def _require_length(chains: int, warmup: int, draws: int) -> None:
    """Refuse chains that no diagnostic can judge."""
    require_count(chains, "chains", "chains, for R-hat compares them", 2)
    require_count(warmup, "warmup", "draws per chain", SHORTEST)
    require_count(draws, "draws", "draws per chain", SHORTEST)


def _check(posteriors: Sequence[Posterior], prior: Prior, labels: Sequence[str]) -> None:
    """Refuse what can not be pooled."""
    require_prior(prior)
    require(isinstance(posteriors, Sequence), "posteriors", "a list of posteriors", f"a {type(posteriors).__name__}",
            "infer several recordings: infer gives a list for a list")  # fmt: skip
    for k, p in enumerate(posteriors):
        require_kind(p, Posterior, f"posteriors[{k}]", "pass what infer gives for a list of recordings")
    require(len(posteriors) >= FEWEST, "posteriors", f"at least {FEWEST}, for a population has several neurons",
            len(posteriors), "infer more recordings")  # fmt: skip
    require(not labels or len(labels) == len(posteriors), "labels", "one per posterior", len(labels), "name every one")
    for k, p in enumerate(posteriors):
        require(p.space.names == prior.space.names, f"posteriors[{k}]", f"over the latents {prior.space.names}",
                p.space.names, "infer all recordings with one cell")  # fmt: skip
        known = p.stats.get("log_prior")
        same = known is None or torch.allclose(known, prior.log_prob(p.standardised), atol=1e-4)
        require(same, "prior", "the prior that the recordings were inferred with", f"another for posterior {k}",
                "pass the prior that was given to infer")  # fmt: skip
