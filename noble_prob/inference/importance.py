"""Importance sampling from a proposal that already looks like the posterior, judged by its own tail.

Draws ``u`` of a proposal ``q`` weigh ``p(u) / q(u)``. Where ``q`` lacks a tail of ``p`` a few weights carry
everything; the shape k of a generalised Pareto distribution fitted to the largest weights (Zhang and Stephens 2009)
tells: below 0.7 the smoothed weights can be believed, above they can not, however good the rest looks (Vehtari et al.
2024). The proposal here (:mod:`noble_prob.inference.proposal`) is a Student t in coordinates that widen with the noise,
refitted twice to its own weighted draws, which takes a second where chains take a minute. Alone it finds one mode, and
nothing that it does not reach; an amortised density mixed into it (Owen and Zhou 2000) reaches what that density knows
of.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.inference.density import LogDensity
from noble_prob.inference.funnel import measure
from noble_prob.inference.proposal import Proposal, around
from noble_prob.inference.whiten import Affine
from noble_prob.priors import derive

SHARE, PLAIN = 0.05, 0.1
"""Shares of draws that a companion makes, and a t in coordinates that do not widen, where the others do."""
PILOT = 2_000
"""Draws of each earlier round, whose weights fit the proposal of the next: few fit it badly, and weights fail."""
PART = 32_000
"""Points of all recordings together that are evaluated at once."""
BELIEVABLE = 0.7
"""Pareto shape up to which weights are believed."""


@dataclass(frozen=True, kw_only=True)
class Weighted:
    """Draws of a proposal with smoothed weights, for every recording of a batch.

    Attributes:
        flat: Draws, unconstrained, shape ``(draw, *recording, size)``.
        weight: Smoothed weights summing to one over draws, shape ``(draw, *recording)``.
        log_density: Log density at the draws, same shape.
        k_hat: Pareto shape of the raw weights, shape ``(*recording,)``.
        coordinates: White coordinates of the posterior, made from earlier draws than these.
    """

    flat: Float[Tensor, "draw *recording size"]
    weight: Tensor
    log_density: Tensor
    k_hat: Float[Tensor, "*recording"]
    coordinates: Affine

    @property
    def effective(self) -> Float[Tensor, "*recording"]:
        """Kish's effective sample size."""
        return 1.0 / self.weight.square().sum(0)

    def resample(self, n: int, generator: torch.Generator) -> Tensor:
        """Indices of ``n`` draws per recording, by weight, shape ``(n, *recording)``."""
        return resampled(self.weight, n, generator)


def resampled(weight: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Positions of draws, each as often as its weight says (systematic resampling), shuffled; shape ``(n, *row)``.

    Args:
        weight: Weights that sum to one over draws, shape ``(draw, *row)``.
        n: How many.
        generator: Source of randomness, on the CPU.
    """
    rows = weight.flatten(1).T.contiguous() if weight.ndim > 1 else weight[None]
    points = (torch.arange(n) + torch.rand(len(rows), 1, generator=generator)).to(rows) / n
    at = torch.searchsorted(rows.cumsum(-1), points.contiguous()).clamp(max=rows.shape[1] - 1)
    shuffle = torch.randperm(n, generator=generator).to(at.device)
    return at[:, shuffle].T.reshape(n, *weight.shape[1:])


class Companion(Protocol):
    """Another density over the same coordinates, mixed into the proposal."""

    def sample(self, n: int, *, seed: int) -> Tensor:
        """Draws ``(n, *recording, size)``."""
        ...

    def log_prob(self, flat: Tensor) -> Tensor:
        """Log densities of draws ``(n, *recording, size)``."""
        ...


def sample(
    density: LogDensity,
    coordinates: Affine,
    *,
    draws: int,
    seed: int,
    rounds: int = 2,
    pilot: int = PILOT,
    companion: Companion | None = None,
) -> Weighted:
    """Adaptive importance sampling around a mode.

    Args:
        density: Log density.
        coordinates: White coordinates around the mode.
        draws: Draws of the last round.
        seed: Seed of the draws.
        rounds: Times the proposal is refitted.
        pilot: Draws of each earlier round.
        companion: Mixed into the proposal of the last round, a twentieth of its draws.
    """
    seeds = (derive("importance", seed, k) for k in count())
    proposal, plain = adapted(density, coordinates, seeds, rounds=rounds, pilot=pilot)
    parts: list[tuple[float, Companion]] = [(PLAIN, plain)] if proposal.funnel else []
    parts += [(SHARE, companion)] if companion else []
    parts = [(1 - sum(share for share, _ in parts), proposal), *parts]
    flat, height = _mixed(parts, draws, seeds)
    value = _value(density, flat)
    smooth, k_hat = pareto_smooth(value - height)
    return Weighted(
        flat=flat, weight=torch.softmax(smooth, 0), log_density=value, k_hat=k_hat, coordinates=plain.coordinates
    )


def adapted(
    density: LogDensity, coordinates: Affine, seeds: Iterator[int], *, rounds: int = 2, pilot: int = PILOT
) -> tuple[Proposal, Proposal]:
    """Proposals fitted to the density: one that widens with the noise, if there is any, and one that does not.

    Args:
        density: Log density.
        coordinates: White coordinates around the mode.
        seeds: Of the draws of each round.
        rounds: Times they are refitted.
        pilot: Draws of each round.
    """
    proposal, plain = around(coordinates, measure(density, coordinates) if rounds else None), around(coordinates)
    for _ in range(rounds):
        flat = proposal.sample(pilot, seed=next(seeds))
        log_weight = _value(density, flat) - proposal.log_prob(flat)
        proposal, plain = proposal.refit(flat, log_weight), plain.refit(flat, log_weight)
    return proposal, plain


def _mixed(parts: list[tuple[float, Companion]], draws: int, seeds: Iterator[int]) -> tuple[Tensor, Tensor]:
    """Draws of a mixture, as many of each part as its share says, and the mixture's log density at them."""
    counts = [round(share * draws) for share, _ in parts[1:]]
    each = zip([draws - sum(counts), *counts], (part for _, part in parts), strict=True)
    flat = torch.cat([part.sample(n, seed=next(seeds)) for n, part in each])
    return flat, torch.logsumexp(torch.stack([math.log(share) + part.log_prob(flat) for share, part in parts]), 0)


def _value(density: LogDensity, flat: Tensor) -> Tensor:
    """Log density, minus infinity where it is not finite; a batch of many recordings in parts."""
    rows = max(1, PART // max(1, flat[0].numel() // flat.shape[-1]))
    with torch.no_grad():
        value = torch.cat([density(part) for part in flat.split(rows)])
    return torch.where(torch.isfinite(value), value, -torch.inf)


def pareto_smooth(log_weight: Tensor) -> tuple[Tensor, Tensor]:
    """Replace the largest weights by the order statistics of a Pareto tail fitted to them.

    The numbers are those of ``psislw`` of arviz_stats, which takes one recording at a time and NumPy arrays only; here
    the weights of a whole batch stay where they are, on a graphics card too.

    Args:
        log_weight: Raw log weights, shape ``(draw, *batch)``.

    Returns:
        Smoothed log weights (largest raw weight as ceiling) and the Pareto shape of each column, ``(*batch,)``.
    """
    n = log_weight.shape[0]
    tail = min(n // 5, int(3 * n**0.5))
    columns = log_weight.reshape(n, -1).T - log_weight.amax(0).reshape(-1, 1)
    value, order = columns.sort(-1)
    cut = value[:, -tail - 1 : -tail].exp()
    excess = (value[:, -tail:].exp() - cut).clamp(min=1e-300)
    k, sigma = _pareto(excess)
    p = (torch.arange(tail, dtype=value.dtype, device=value.device) + 0.5) / tail
    quantile = torch.where(
        k.abs()[:, None] < 1e-8,
        -sigma[:, None] * torch.log1p(-p),
        sigma[:, None] / k[:, None] * torch.expm1(-k[:, None] * torch.log1p(-p)),
    )
    value[:, -tail:] = (cut + quantile).clamp(max=1.0).log()
    smooth = torch.empty_like(value).scatter_(1, order, value)
    return smooth.T.reshape(log_weight.shape), k.reshape(log_weight.shape[1:])


def _pareto(x: Float[Tensor, "row tail"]) -> tuple[Float[Tensor, " row"], Float[Tensor, " row"]]:
    """Shape and scale of a generalised Pareto distribution: Zhang and Stephens's estimate with a weak prior on shape.

    Args:
        x: Excesses in ascending order.
    """
    n = x.shape[1]
    m = 30 + int(n**0.5)
    quartile = x[:, int(n / 4 + 0.5) - 1 : int(n / 4 + 0.5)]
    grid = torch.arange(1, m + 1, dtype=x.dtype, device=x.device) - 0.5
    theta = 1 / x[:, -1:] + (1 - (m / grid).sqrt()) / (3 * quartile)
    k = torch.log1p(-theta[..., None] * x[:, None]).mean(-1)
    profile = n * ((-theta / k).log() - k - 1)
    weight = torch.softmax(torch.where(torch.isfinite(profile), profile, -torch.inf), -1)
    best = (weight * theta).sum(-1)
    shape = torch.log1p(-best[:, None] * x).mean(-1)
    sigma = -shape / best
    return (n * shape + 10 * 0.5) / (n + 10), sigma
