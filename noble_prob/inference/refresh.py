"""Draws that were resampled by weight, set apart again by one Hamiltonian move each.

Resampling repeats the draws that weigh most: of 200 taken from 1,600 weighted ones of a cell's posterior about 150 are
distinct. Margins hardly suffer, joint distances do: copies lie closer to each other than draws of the posterior would,
and the truth looks too far from them all (:func:`noble_prob.calibration.joint.joint_test` sees it in 500 recordings). A
move that leaves the posterior as it is (resample-move, Gilks and Berzuini 2001) gives every copy a place of its own,
and the draws are worth more than the weights alone.

In white coordinates the posterior is nearly a standard normal, on which a trajectory is a rotation, known exactly. So
the trajectory turns by ``pi / 2``, after which nothing is left of where it began, and is kicked three times on the way
by the slope of what the posterior has beyond that normal (splitting, Shahbaba et al. 2014; the kicks stand in the
middle of each third, so that neither end needs a slope). Leapfrog steps, as many slopes, have to approximate the
rotation too: they moved draws half as far and were refused three times as often. Each recording has its own angle, from
a trial with a few of its draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from noble_prob.inference.density import LogDensity
from noble_prob.inference.importance import PART, Weighted
from noble_prob.inference.whiten import Affine
from noble_prob.priors import stream

KICKS, ANGLE, JITTER = 3, math.pi / 2, 0.15
"""Kicks of a trajectory, the angle it turns by where nothing speaks against, and by how much angles differ."""
TRIAL, ENOUGH, HALVINGS = 24, 0.5, 2
"""Draws of a trial, the acceptance it must reach, and how often the angle is halved to reach it."""


@dataclass(frozen=True, kw_only=True)
class Moved:
    """Draws after the move.

    Attributes:
        flat: Unconstrained draws, shape ``(draw, *recording, size)``.
        log_density: Log density at each, shape ``(draw, *recording)``.
        acceptance: Mean acceptance of each recording, shape ``(*recording,)``.
        worth: Independent draws whose means would be as exact, see :func:`worth`, shape ``(*recording,)``.
    """

    flat: Float[Tensor, "draw *recording size"]
    log_density: Tensor
    acceptance: Float[Tensor, "*recording"]
    worth: Float[Tensor, "*recording"]


def move(density: LogDensity, found: Weighted, at: Int[Tensor, " draw *recording"], *, seed: int) -> Moved:
    """One trajectory of every draw.

    Args:
        density: Log density.
        found: The weighted draws, with the white coordinates of their proposal: coordinates made from the draws
            themselves would follow the heaviest of them, and the move would no longer leave the posterior as it is.
        at: Which of them were resampled, in random order.
        seed: Of momenta, angles and acceptances.
    """
    generator = stream("move", seed)
    value = found.log_density.gather(0, at)
    flat = found.flat.gather(0, at[..., None].expand(*at.shape, found.flat.shape[-1]))
    rows = max(1, PART // (2 * max(1, at[0].numel())))
    angle = torch.full_like(found.k_hat, ANGLE)
    for _ in range(HALVINGS):
        few = slice(min(TRIAL, rows))
        accepted = _one_move(density, found.coordinates, flat[few], value[few], angle, generator)[2].mean(0)
        if bool((accepted >= ENOUGH).all()):
            break
        angle = torch.where(accepted < ENOUGH, 0.5 * angle, angle)
    parts = [
        _one_move(density, found.coordinates, *part, angle, generator)
        for part in zip(flat.split(rows), value.split(rows), strict=True)
    ]
    moved, value, acceptance = (torch.cat([p[k] for p in parts]) for k in range(3))
    return Moved(
        flat=moved, log_density=value, acceptance=acceptance.mean(0), worth=worth(flat, moved, found.effective)
    )


def worth(before: Float[Tensor, "draw *recording size"], after: Tensor, effective: Tensor) -> Tensor:
    """How many independent draws the moved ones are worth.

    A draw keeps the correlation ``r`` with where it began, and what began together was worth ``effective`` draws; the
    rest of it is new. So the variance of a mean is ``r^2 / effective + (1 - r^2) / draws`` of the posterior's. The
    largest ``r`` of any dimension counts, of ranks and of ranks of distances from the median (as bulk and folded
    R-hat, Vehtari et al. 2021), for a few far draws decide a plain correlation.

    Args:
        before: Resampled draws.
        after: The same, moved.
        effective: What the weights were worth, shape ``(*recording,)``.

    Returns:
        Shape ``(*recording,)``.
    """
    folded = [(x - x.median(0).values).abs() for x in (before, after)]
    kept = torch.stack([_rank_correlation(before, after), _rank_correlation(*folded)]).square().amax((0, -1))
    return 1 / (kept / effective + (1 - kept) / len(after))


def _rank_correlation(x: Tensor, y: Tensor) -> Tensor:
    """Spearman's correlation over draws."""
    off = [z.argsort(0).argsort(0).to(z) - 0.5 * (len(z) - 1) for z in (x, y)]
    return (off[0] * off[1]).mean(0) / off[0].square().mean(0)


def _one_move(
    density: LogDensity, coordinates: Affine, flat: Tensor, value: Tensor, angle: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Draws after one trajectory, their log densities, and the acceptance probabilities."""

    def drawn(draw: Callable[..., Tensor], like: Tensor) -> Tensor:
        return draw(like.shape, generator=generator, dtype=like.dtype).to(like.device)

    x = coordinates.white(flat)
    q = drawn(torch.randn, x)
    before = value - 0.5 * q.square().sum(-1)
    turn = (angle * (1 + JITTER * (2 * drawn(torch.rand, value) - 1)) / KICKS)[..., None]
    for k in range(KICKS):
        x, q = _rotated(x, q, 0.5 * turn if k == 0 else turn)
        q = q + turn * (coordinates.pull_back(density, x)[1] + x)
    x, q = _rotated(x, q, 0.5 * turn)
    reached = coordinates(x)
    with torch.no_grad():
        height = density(reached)
    change = height - 0.5 * q.square().sum(-1) - before
    change = torch.where(torch.isfinite(change), change, -torch.inf)
    accept = drawn(torch.rand, value).log() < change
    flat = torch.where(accept[..., None], reached, flat)
    return flat, torch.where(accept, height, value), change.clamp(max=0.0).exp()


def _rotated(x: Tensor, q: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Places and momenta after moving on a standard normal."""
    return x * angle.cos() + q * angle.sin(), q * angle.cos() - x * angle.sin()
