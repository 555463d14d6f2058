"""Batched Hamiltonian Monte Carlo: all chains, and all recordings, take their steps together.

In white coordinates the posterior is close to a standard normal, for which a trajectory of length ``t`` leaves
autocorrelation ``cos(t)``. With ``t`` drawn uniformly up to ``pi`` it averages to nothing, so two or three leapfrog
steps a draw do what a tree of many does elsewhere, and one pass through the decoder serves every chain. Warm-up
adapts the step size by dual averaging (Hoffman and Gelman 2014), each recording its own, and refreshes the white
coordinates twice from the pooled draws of its chains, the later two thirds of all so far. Divergences are counted as
Stan does, by an energy error above 1000.

Limits: strongly curved or multimodal posteriors need NUTS or more; R-hat over chains started apart tells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from noble_prob.inference.density import LogDensity
from noble_prob.inference.straight import Coordinates
from noble_prob.jobs.bars import bar
from noble_prob.priors import stream

TARGET_ACCEPTANCE = 0.85
DIVERGENCE = 1000.0


@dataclass(frozen=True, kw_only=True)
class Chains:
    """Draws of several chains, unconstrained, with the sampler's record.

    Attributes:
        flat: Draws, shape ``(chain, draw, *recording, size)``.
        log_density: Their log densities, shape ``(chain, draw, *recording)``.
        acceptance: Acceptance probability of each proposal, same shape.
        diverging: Whether the trajectory diverged, same shape.
        step_size: Last step size in white coordinates, shape ``(chain, *recording)``.
        gradients: Passes through the decoder's gradient, all chains together.
        n_steps: Leapfrog steps of each draw, shape ``(chain, draw, *recording)``.
        coordinates: White coordinates the draws were made in.
    """

    flat: Float[Tensor, "chain draw *recording size"]
    log_density: Float[Tensor, "chain draw *recording"]
    acceptance: Float[Tensor, "chain draw *recording"]
    diverging: Bool[Tensor, "chain draw *recording"]
    step_size: Tensor
    gradients: int
    n_steps: Tensor
    coordinates: Coordinates

    def stats(self) -> dict[str, Tensor]:
        """The record by name, each of shape ``(chain, draw, *recording)``."""
        step = self.step_size[:, None].expand(self.log_density.shape)
        return {
            "lp": self.log_density,
            "acceptance_rate": self.acceptance,
            "diverging": self.diverging,
            "n_steps": self.n_steps,
            "step_size": step,
        }

    def followed_by(self, more: Chains) -> Chains:
        """These draws, then those."""
        joined = {
            name: torch.cat([getattr(self, name), getattr(more, name)], 1)
            for name in ("flat", "log_density", "acceptance", "diverging", "n_steps")
        }
        return Chains(
            **joined, gradients=self.gradients + more.gradients, step_size=more.step_size, coordinates=self.coordinates
        )


class _DualAveraging:
    """Step size of every recording, shared by its chains."""

    def __init__(self, like: Tensor, start: float = 0.5):
        self.mu = torch.full_like(like, math.log(10 * start))
        self.log_step, self.average, self.error, self.t = torch.full_like(like, math.log(start)), 0 * like, 0 * like, 0

    def update(self, acceptance: Tensor) -> None:
        self.t += 1
        weight = 1.0 / (self.t + 10)
        self.error = (1 - weight) * self.error + weight * (TARGET_ACCEPTANCE - acceptance)
        self.log_step = self.mu - self.error * self.t**0.5 / 0.05
        self.log_step = self.log_step.clamp(math.log(1e-4), math.log(1.5))
        keep = self.t**-0.75
        self.average = keep * self.log_step + (1 - keep) * self.average


def sample(
    density: LogDensity,
    coordinates: Coordinates,
    start: Float[Tensor, "chain *recording size"],
    *,
    warmup: int,
    draws: int,
    seed: int,
    progress: bool = False,
) -> Chains:
    """Run the chains.

    Args:
        density: Log density on ``(chain, *recording, size)``.
        coordinates: White coordinates.
        start: Starting points in them, spread wider than the posterior.
        warmup: Draws thrown away while adapting.
        draws: Draws kept per chain.
        seed: Seed of momenta, lengths and acceptances.
        progress: Show a bar on stderr.
    """
    generator = stream("hmc", seed)
    w = start.clone()
    state = (w, *coordinates.pull_back(density, w))
    rate = _DualAveraging(state[1][0])
    kept: list[tuple[Any, ...]] = []
    pool: list[Tensor] = []
    refresh = {k for k in (int(warmup * share) for share in (0.4, 0.75)) if k < warmup - 1}  # step sizes adapt after it
    gradients = 1
    for k in bar(range(warmup + draws), desc="hmc", unit="draw", leave=None, show=progress):
        step = (rate.log_step if k < warmup else rate.average).exp()
        state, acceptance, diverging, n = _move(density, coordinates, state, step, generator)
        gradients += n
        if k < warmup:
            rate.update(acceptance.mean(0))
            pool.append(coordinates(state[0]))
            if k in refresh:
                coordinates, state = _refresh(density, coordinates, state, torch.stack(pool[len(pool) // 3 :]))
                rate = _DualAveraging(state[1][0], 0.6)
        else:
            kept.append((coordinates(state[0]), state[1], acceptance, diverging, n))
    return _chains(kept, rate, gradients, coordinates)


def _chains(kept: list[tuple[Any, ...]], rate: _DualAveraging, gradients: int, coordinates: Coordinates) -> Chains:
    """The draws that are kept, one behind the other."""
    flat, value, acceptance, diverging = (torch.stack([row[i] for row in kept], 1) for i in range(4))
    counts = torch.tensor([row[-1] for row in kept]).reshape(1, -1, *[1] * (value.ndim - 2)).expand(value.shape)
    return Chains(
        flat=flat,
        log_density=value,
        acceptance=acceptance,
        diverging=diverging,
        gradients=gradients,
        step_size=rate.average.exp().expand(value[:, 0].shape),
        n_steps=counts,
        coordinates=coordinates,
    )


def _move(
    density: LogDensity,
    coordinates: Coordinates,
    state: tuple[Tensor, Tensor, Tensor],
    step: Tensor,
    generator: torch.Generator,
) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor, Tensor, int]:
    """One trajectory of every chain, of a length drawn anew."""
    length = math.pi * float(torch.rand((), generator=generator)) * 0.9 + 0.1
    n = max(1, min(64, round(length / float(step.median()))))
    return *trajectory(density, coordinates, state, step, n, generator), n


def trajectory(
    density: LogDensity,
    coordinates: Coordinates,
    state: tuple[Tensor, Tensor, Tensor],
    step: Tensor,
    n: int,
    generator: torch.Generator,
) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor, Tensor]:
    """Move every chain by ``n`` leapfrog steps with a momentum of its own, and accept or stay.

    Args:
        density: Log density.
        coordinates: White coordinates.
        state: Points in them, shape ``(chain, *recording, size)``, with log densities and their gradients.
        step: Step sizes, broadcast to ``(chain, *recording)``.
        n: Leapfrog steps.
        generator: Source of momenta and acceptances.

    Returns:
        The new state, the acceptance probabilities, and which trajectories diverged.
    """
    w, value, slope = state
    p = torch.randn(w.shape, generator=generator, dtype=w.dtype).to(w.device)
    eps = step[..., None]
    x, g, v = w, slope, value
    q = p + 0.5 * eps * g
    for k in range(n):
        x = x + eps * q
        v, g = coordinates.pull_back(density, x)
        q = q + (eps if k < n - 1 else 0.5 * eps) * g
    change = (v - 0.5 * q.square().sum(-1)) - (value - 0.5 * p.square().sum(-1))
    change = torch.where(torch.isfinite(change), change, -torch.inf)
    accept = torch.rand(value.shape, generator=generator, dtype=w.dtype).to(w.device).log() < change
    here = (
        torch.where(accept[..., None], x, w),
        torch.where(accept, v, value),
        torch.where(accept[..., None], g, slope),
    )
    return here, change.clamp(max=0.0).exp(), change < -DIVERGENCE


def _refresh(
    density: LogDensity, coordinates: Coordinates, state: tuple[Tensor, Tensor, Tensor], pool: Tensor
) -> tuple[Coordinates, tuple[Tensor, Tensor, Tensor]]:
    """White coordinates from the pooled draws of a recording's chains, and the state in them."""
    fresh = coordinates.refitted(pool.flatten(0, 1))
    w = fresh.white(coordinates(state[0]))
    return fresh, (w, *fresh.pull_back(density, w))
