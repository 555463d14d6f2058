"""Where the posterior is: climbs from draws of the prior, or of an amortised density, and white coordinates at the top.

Climbs from the prior ask nothing of anybody and see whether there are several tops. An amortised density has seen the
like of this recording before: its draws begin near the top, in coordinates of about the right scale, and a few strides
do, or for many recordings a few climbs of a few steps.
"""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from pyro import poutine
from torch import Tensor

from noble_prob.amortised import Conditional
from noble_prob.inference.density import LogDensity
from noble_prob.inference.newton import ascend
from noble_prob.inference.whiten import Affine, climb, laplace
from noble_prob.priors import derive, seeded

STARTS = 24
FINALISTS = 8
"""Climbs that are followed to the top, the highest; all are looked at when tops are counted, or many climbs to the best
top would hide another."""
CANDIDATES, NEAR, FEW = 64, 3, 4
"""Draws of an amortised density, how many of them are followed, and recordings up to which strides from the best one
are the faster way."""


def locate(density: LogDensity, rows: tuple[int, ...], seed: int) -> tuple[Affine, Tensor]:
    """White coordinates around the best of many climbs, and how many distinct modes the climbs ended in.

    A mode counts if a climb stands within five nats of the best and more than five posterior SDs (root mean square)
    from it.

    Args:
        density: The log density.
        rows: Recordings in the batch.
        seed: Seed of the starting points.
    """
    broad, starts = prior_coordinates(density, rows, seed)
    reached, height = climb(density, broad, broad.white(starts), steps=12)
    early = reached, height
    ahead = height.topk(FINALISTS, 0).indices[..., None].expand(FINALISTS, *reached.shape[1:])
    reached, height = climb(density, broad, reached.gather(0, ahead))
    best = height.argmax(0)[None, ..., None].expand(1, *reached.shape[1:])
    coordinates = laplace(density, broad, reached.gather(0, best)[0])
    reached, height = torch.cat([reached, early[0]]), torch.cat([height, early[1]])
    far = coordinates.white(broad(reached)).norm(dim=-1) > 5.0 * density.size**0.5
    return coordinates, 1 + (far & (height > height.amax(0) - 5.0)).any(0).to(torch.int64)


def prior_coordinates(density: LogDensity, rows: tuple[int, ...], seed: int) -> tuple[Affine, Tensor]:
    """Coordinates in which the prior has unit scale, and draws of the prior to start from.

    Args:
        density: The program's log density.
        rows: Recordings in the batch.
        seed: Seed of the prior draws.
    """
    n = max(STARTS, 1024 // prod(rows))
    with seeded(derive("locate", seed)), torch.no_grad():
        trace: Any = poutine.trace(density.program).get_trace(batch=(n, *rows))
    flat = density.pack({site.name: trace.nodes[site.name]["value"] for site in density.sites})
    pool = flat.reshape(-1, density.size)
    scale = torch.linalg.cholesky(
        torch.cov(pool.T) + 1e-9 * torch.eye(density.size, dtype=pool.dtype, device=pool.device)
    )
    return Affine(centre=pool.mean(0), scale=scale), flat[:STARTS]


def locate_near(
    density: LogDensity, about: Conditional, sites: tuple[tuple[str, int], ...], rows: tuple[int, ...], seed: int
) -> Affine:
    """The same coordinates, from the best of some draws of an amortised density; modes are not looked for.

    Args:
        density: The log density.
        about: The amortised density for these sweeps.
        sites: Sites it describes; those that the density lacks are left out.
        rows: Recordings in the batch.
        seed: Seed of the draws.
    """
    keep = columns(density, sites)
    flat = about.sample(CANDIDATES, seed=derive("locate", seed))[..., keep]
    centre, scale = about.moments
    covariance = (scale @ scale.transpose(-1, -2))[..., keep, :][..., keep]
    broad = Affine(centre=centre[..., keep], scale=torch.linalg.cholesky(covariance))
    with torch.no_grad():
        height = density(flat)
    height = torch.where(torch.isfinite(height), height, -torch.inf)
    best = height.topk(NEAR, 0).indices[..., None].expand(NEAR, *flat.shape[1:])
    if prod(rows) <= FEW:
        first = flat.gather(0, best[:1])[0]
        return ascend(density, Affine(centre=first, scale=broad.scale.expand(*first.shape, first.shape[-1])))
    reached, height = climb(density, broad, broad.white(flat.gather(0, best)), steps=25)
    top = height.argmax(0)[None, ..., None].expand(1, *reached.shape[1:])
    return laplace(density, broad, reached.gather(0, top)[0])


def columns(density: LogDensity, sites: tuple[tuple[str, int], ...]) -> Tensor:
    """Where the density's coordinates stand among those of the sites, in its order."""
    start, at = {}, 0
    for name, size in sites:
        start[name] = at
        at += size
    return torch.cat([start[s.name] + torch.arange(s.free_shape.numel()) for s in density.sites])
