"""Draws of one batch by the method that was asked for: locate, then sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from typing import Any

import torch
from torch import Tensor

from noble_prob.inference import hmc, importance, nuts, refresh, svi
from noble_prob.inference.agreement import judged, settled
from noble_prob.inference.density import LogDensity
from noble_prob.inference.locate import columns, locate, locate_near
from noble_prob.inference.straight import white_coordinates
from noble_prob.inference.task import WEIGHTED, Method, Task
from noble_prob.inference.whiten import Affine
from noble_prob.noise import Evidence
from noble_prob.priors import derive, stream

SPREAD, LONGEST, MORE = 1.5, 8, 50
"""Starting points of chains in posterior SDs; chains that do not agree yet are continued by so many draws at a time,
up to so many times the draws asked for."""
PROPOSALS = {"importance": 3, "npe": 3}
"""Weighted draws per draw kept."""


@dataclass(frozen=True, kw_only=True)
class Draws:
    """Draws with their record.

    Attributes:
        flat: Unconstrained draws, shape ``(chain, draw, *recording, size)``.
        stats: The sampler's record per draw, each ``(chain, draw, *recording)``.
        record: Its record per recording.
    """

    flat: Tensor
    stats: Mapping[str, Tensor]
    record: Mapping[str, Any] = field(default_factory=dict)


def draw(task: Task, density: LogDensity, evidence: Evidence, rows: tuple[int, ...], seed: int) -> Draws:
    """Locate the posterior and sample it.

    Args:
        task: What to do.
        density: The conditioned program.
        evidence: Responses of the batch.
        rows: Recordings in the batch, ``()`` for one alone.
        seed: Seed of everything random.
    """
    if task.method == "npe":
        about = task.amortised.given(evidence)
        coordinates = locate_near(density, about, task.amortised.sites, rows, seed)
        whole = len(columns(density, task.amortised.sites)) == about.centre.shape[-1]
        return _weighted(task, density, coordinates, seed, about if whole else None)
    coordinates, modes = locate(density, rows, seed)
    if task.method in WEIGHTED:
        found = _weighted(task, density, coordinates, seed, None)
    elif task.method == "svi":
        found = Draws(**svi.sample(density, coordinates, n=task.chains * task.draws, seed=seed, progress=task.progress))
    else:
        found = _chains(task, task.method, density, coordinates, rows, seed)
    return replace(found, record={**found.record, "modes": modes})


def _weighted(
    task: Task, density: LogDensity, coordinates: Affine, seed: int, companion: importance.Companion | None
) -> Draws:
    """Weighted draws, resampled and moved."""
    n = task.chains * task.draws
    found = importance.sample(density, coordinates, draws=PROPOSALS[task.method] * n, seed=seed, companion=companion)
    at = found.resample(n, stream("resample", seed))
    moved = refresh.move(density, found, at, seed=seed)
    return Draws(
        flat=moved.flat[None],
        stats={"lp": moved.log_density[None]},
        record={"k_hat": found.k_hat, "effective": found.effective, "worth": moved.worth, "moved": moved.acceptance},
    )


def _chains(
    task: Task, method: Method, density: LogDensity, coordinates: Affine, rows: tuple[int, ...], seed: int
) -> Draws:
    """Chains, in coordinates that some weighted draws have fitted.

    For NUTS a batched run does the warm-up: it settles coordinates, step size and starting points.
    """
    seeds = (derive("adapt", seed, k) for k in count())
    proposal, _ = importance.adapted(density, coordinates, seeds)
    white = white_coordinates(proposal.coordinates, proposal.funnel)
    generator = stream("start", seed)
    start = SPREAD * torch.randn(task.chains, *rows, density.size, generator=generator, dtype=torch.float64)
    start = start.to(coordinates.centre.device)
    batched = partial(hmc.sample, density, white, start, warmup=task.warmup, seed=seed, progress=task.progress)
    chains = batched(draws=task.draws if method == "hmc" else 1)
    if method == "nuts":
        chains = _no_u_turns(task, density, chains, seed)
    return Draws(flat=chains.flat, stats=chains.stats(), record={"gradients": chains.gradients})


def _reported(task: Task, density: LogDensity, flat: Tensor) -> Tensor:
    """Latents and noise scales of draws, the very numbers that are judged when sampling is over."""
    values, _ = density.unpack(flat)
    latents = task.prior.space.unstandardise(values["z"])
    return judged(latents, {name: value for name, value in values.items() if name != "z"})


def _no_u_turns(task: Task, density: LogDensity, warm: hmc.Chains, seed: int) -> hmc.Chains:
    """NUTS from where the warm-up ended; goes on until the chains agree, if that is wanted."""
    run = partial(
        nuts.sample,
        nuts.Energy(density, warm.coordinates),
        step_size=1.15 * float(warm.step_size.min()),
        progress=task.progress,
    )
    chains = run(warm.coordinates.white(warm.flat[:, -1]), draws=task.draws, seed=seed)
    while task.until_converged and chains.flat.shape[1] < LONGEST * task.draws:
        if settled(_reported(task, density, chains.flat)):
            break
        again, title = (
            derive("continued", seed, chains.flat.shape[1]),
            f"nuts, extended beyond {chains.flat.shape[1]} draws",
        )
        more = run(warm.coordinates.white(chains.flat[:, -1]), draws=MORE, seed=again, title=title)
        chains = chains.followed_by(more)
    return chains
