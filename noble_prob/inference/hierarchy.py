r"""From many recordings to their population: partial pooling in two stages, and a check of the second.

A population has a mean, SDs and a correlation; each neuron is a draw of it; each recording was inferred alone, with one
and the same *reference* prior. The hyper-parameters are sampled with the likelihood of each recording replaced by the
Gaussian that its posterior's moments imply (:mod:`noble_prob.inference.standin`, which has the coordinates, too),
neurons integrated out (:func:`noble_prob.program.population_program`), and the draws are then weighted by what the
recordings' own draws say (:mod:`noble_prob.inference.reweigh`), where that can be believed. Each neuron is seen by its
own recording and by the others: its draws are weighted likewise, or, where these weights can not be believed, drawn
anew from its stand-in and the population. With twenty latents the weights of the hyper-parameters fail as a rule, for
draws of one density lie thinly in another. NP120 tells.

Limits: a population far wider than the reference prior, or elsewhere, is where the draws are not: infer the recordings
with a wide reference prior then (:func:`~noble_prob.priors.widened`). A Gaussian population, one mode.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pyro
import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.errors import require_seed
from noble_prob.inference import hmc
from noble_prob.inference.agreement import effective, settled
from noble_prob.inference.density import LogDensity
from noble_prob.inference.draw import SPREAD
from noble_prob.inference.importance import BELIEVABLE, pareto_smooth
from noble_prob.inference.locate import locate
from noble_prob.inference.poolable import require_poolable
from noble_prob.inference.population import Population
from noble_prob.inference.posterior import Posterior
from noble_prob.inference.reweigh import Reweighed, reweigh
from noble_prob.inference.standin import Frame, conditional_draws, implied_likelihoods
from noble_prob.inference.task import require_length
from noble_prob.latent import Neurons
from noble_prob.priors import HyperPrior, Prior, derive, factor_correlation, single_thread, stream, undisturbed
from noble_prob.program import population_program

MOST_DRAWS, CHECKED = 1000, 4000
"""Draws per recording and of the hyper-parameters that enter the weights."""
ROUNDS = 3
"""How often chains that have not settled are run, each time with twice the warm-up and draws."""


@undisturbed()
def infer_population(
    posteriors: Sequence[Posterior],
    *,
    prior: Prior,
    hyper: HyperPrior | None = None,
    labels: Sequence[str] = (),
    seed: int = 0,
    chains: int = 4,
    warmup: int = 300,
    draws: int = 500,
    progress: bool = False,
) -> Population:
    """Mean, SDs and correlation of the population that recorded neurons come from, and each neuron in its light.

    Two stages: the draws of posteriors that were inferred one by one are reweighted to the population (Hogg, Myers and
    Bovy 2010); its hyper-parameters are sampled with Gaussian stand-ins for the recordings' likelihoods, and the
    weights that correct these are judged by the shape of their Pareto tail (Vehtari et al. 2024).

    Args:
        posteriors: Of many neurons, each from its own recording.
        prior: The prior that all of them were inferred with.
        hyper: Priors of the hyper-parameters in the reference prior's frame (its principal directions, in units of its
            SDs there, so that a scale of one and no correlation is that prior); by default means of SD 2, SDs of log SD
            0.75, an LKJ correlation.
        labels: Names of the recordings.
        seed: Seed of everything random.
        chains: Chains of the hyper-parameters.
        warmup: Draws thrown away per chain.
        draws: Draws kept per chain; both are doubled, twice at most, while R-hat is above 1.01 or an effective sample
            size below 400.
        progress: Show a bar on stderr.

    Returns:
        Draws of the hyper-parameters with the check of their weights, and the neurons.

    Raises:
        UsageError: If there are fewer than five posteriors, or something else; if one was inferred with another prior
            or other latents; if chains, warm-up or draws are too few.
    """
    began = time.perf_counter()
    seed = require_seed(seed)
    require_length(chains, warmup, draws)
    require_poolable(posteriors, prior, labels)
    hyper = hyper or HyperPrior(loc_sd=2.0, scale_log_sd=0.75)
    generator = stream("population", seed)
    frame, points = Frame.of(prior), torch.stack([_some(p, generator) for p in posteriors])
    worth = torch.tensor([effective(p.standardised) for p in posteriors], dtype=torch.float64)
    stand_ins = implied_likelihoods([frame.white(p.standardised.flatten(0, 1)) for p in posteriors], worth)
    values, stats = _settled(
        *stand_ins, hyper, frame, seed=seed, chains=chains, warmup=warmup, draws=draws, progress=progress
    )
    mean, sd, correlation = _in_latents(values, frame)
    return Population(
        space=prior.space,
        loc=prior.space.unstandardise(mean),
        sd=sd * prior.space.sd,
        correlation=correlation,
        stats=stats,
        labels=tuple(labels) or tuple(str(k) for k in range(len(posteriors))),
        hyper=hyper,
        seed=seed,
        provenance=prior.carried,
        **_by_own_draws(values, points, frame, prior, stand_ins, generator),
        wall_s=time.perf_counter() - began,
    )


def _by_own_draws(
    values: Mapping[str, Tensor],
    points: Float[Tensor, "recording draw latent"],
    frame: Frame,
    prior: Prior,
    stand_ins: tuple[Tensor, Tensor],
    generator: torch.Generator,
) -> dict[str, Any]:
    """What the recordings' own draws say of hyper-parameters, and the neurons in that light: fields of the result."""
    loc, tril = values["loc"].flatten(0, 1), (values["scale"][..., None] * values["corr"]).flatten(0, 1)
    pick = torch.randperm(len(loc), generator=generator)[:CHECKED]
    white = frame.white(points)
    found = reweigh(loc[pick], tril[pick], white, prior.log_prob(points), *stand_ins)
    whole = torch.zeros(len(loc), dtype=loc.dtype).index_put((pick,), found.weight)
    again = pick[torch.multinomial(found.weight, MOST_DRAWS, replacement=True, generator=generator)]
    drawn, weights, k_each = _neurons(white, found, (loc[again], tril[again]), stand_ins, generator)
    space = prior.space
    return {
        "weights": whole.unflatten(0, values["loc"].shape[:2]) if found.believed else None,
        "neurons": tuple(
            Neurons(space=space, value=space.unstandardise(frame.back(y)), axis="draw", weight=w)
            for y, w in zip(drawn, weights, strict=True)
        ),
        "k_hat": found.k_hat,
        "weight_noise": found.noise,
        "k_hat_each": k_each,
    }


def _in_latents(values: Mapping[str, Tensor], frame: Frame) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, SDs and correlation of the standardised latents, from those in the prior's frame."""
    root = frame.root @ (values["scale"][..., None] * values["corr"])
    covariance = root @ root.transpose(-1, -2)
    sd = covariance.diagonal(dim1=-2, dim2=-1).sqrt()
    return frame.back(values["loc"]), sd, covariance / (sd[..., None] * sd[..., None, :])


def _neurons(
    points: Tensor,
    found: Reweighed,
    theta: tuple[Tensor, Tensor],
    stand_ins: tuple[Tensor, Tensor],
    generator: torch.Generator,
) -> tuple[list[Tensor], list[Tensor], Float[Tensor, " recording"]]:
    """Draws and weights of every neuron in the light of the others, and the Pareto shape of its own draws' weights."""
    smooth, k_each = pareto_smooth(found.shares.T.clamp(min=1e-300).log())
    drawn, weights = list(points), list(torch.softmax(smooth, 0).T)
    for r, k in enumerate(k_each.tolist()):
        if not k <= BELIEVABLE:
            drawn[r] = conditional_draws(*theta, stand_ins[0][r], stand_ins[1][r], generator)
            weights[r] = torch.full((len(drawn[r]),), 1.0 / len(drawn[r]), dtype=points.dtype)
    return drawn, weights, k_each


def _settled(
    seen: Tensor,
    blur: Tensor,
    hyper: HyperPrior,
    frame: Frame,
    *,
    seed: int,
    chains: int,
    warmup: int,
    draws: int,
    progress: bool,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """:func:`sample_hyper_parameters`, with longer chains while they have not settled."""
    for k in range(ROUNDS):
        values, stats = sample_hyper_parameters(
            seen,
            blur,
            hyper,
            seed=derive("hyper-parameters", seed, k),
            chains=chains,
            warmup=warmup << k,
            draws=draws << k,
            progress=progress,
        )
        mean, sd, _ = _in_latents(values, frame)
        if settled(torch.cat([mean, sd.log()], -1)):
            break
    return values, stats


def sample_hyper_parameters(
    seen: Tensor,
    blur: Tensor,
    hyper: HyperPrior,
    *,
    seed: int,
    chains: int,
    warmup: int,
    draws: int,
    progress: bool = False,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
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
        generator = stream("start", seed)
        start = SPREAD * torch.randn(chains, *rows, density.size, generator=generator, dtype=torch.float64)
        result = hmc.sample(density, coordinates, start, warmup=warmup, draws=draws, seed=seed, progress=progress)
        values = density.unpack(result.flat)[0]
    if "loadings" in values:
        values["corr"] = factor_correlation(values.pop("loadings"))
    values.setdefault("corr", torch.ones_like(values["scale"])[..., None])  # of a single latent
    return values, result.stats()


def _some(posterior: Posterior, generator: torch.Generator) -> Tensor:
    """As many standardised draws of every posterior."""
    every = posterior.standardised.flatten(0, 1)
    return every[torch.randperm(len(every), generator=generator)[torch.arange(MOST_DRAWS) % len(every)]]
