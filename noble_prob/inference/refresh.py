"""Draws that were resampled by weight, set apart again by one Hamiltonian move each.

Resampling repeats the draws that weigh most: of 200 taken from 1,600 weighted ones of a cell's posterior about 150 are
distinct. Margins hardly suffer, joint distances do: copies lie closer to each other than draws of the posterior would,
and the truth looks too far from them all (:func:`noble_prob.calibration.joint.joint_test` sees it in 500 recordings). A
move that leaves the posterior as it is (resample-move, Gilks and Berzuini 2001) gives every copy a place of its own; in
white coordinates a trajectory of length near ``pi / 2`` forgets where it began, so that one is enough, and the draws
are worth more than the weights alone. Each recording has its own step size, from a trial with a few of its draws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.inference.density import LogDensity
from noble_prob.inference.hmc import trajectory
from noble_prob.inference.importance import PART, Weighted
from noble_prob.inference.whiten import Affine

LEAPS, LENGTH, JITTER = 2, math.pi / 2, 0.15
"""Leapfrog steps of a trajectory, its length where nothing speaks against, and by how much step sizes differ."""
TRIAL, ENOUGH, HALVINGS = 24, 0.5, 2
"""Draws of a trial, the acceptance it must reach, and how often the step is halved to reach it."""


@dataclass(frozen=True, kw_only=True)
class Moved:
    """Draws after the move.

    Attributes:
        flat: Unconstrained draws, shape ``(draw, *recording, size)``.
        log_density: Log density at each, shape ``(draw, *recording)``.
        acceptance: Mean acceptance of each recording, shape ``(*recording,)``.
    """

    flat: Float[Tensor, "draw *recording size"]
    log_density: Tensor
    acceptance: Float[Tensor, "*recording"]


def move(density: LogDensity, found: Weighted, flat: Float[Tensor, "draw *recording size"], *, seed: int) -> Moved:
    """One trajectory of every draw.

    Args:
        density: Log density.
        found: The weighted draws, with the white coordinates of their proposal: coordinates made from the draws
            themselves would follow the heaviest of them, and the move would no longer leave the posterior as it is.
        flat: Draws resampled from them, in random order.
        seed: Of momenta, step sizes and acceptances.
    """
    generator = torch.Generator().manual_seed(seed)
    coordinates = found.coordinates
    rows = max(1, PART // (2 * max(1, flat[0].numel() // flat.shape[-1])))
    step = torch.full_like(found.k_hat, LENGTH / LEAPS)
    for _ in range(HALVINGS):
        accepted = _one_move(density, coordinates, flat[: min(TRIAL, rows)], step, generator)[2].mean(0)
        if bool((accepted >= ENOUGH).all()):
            break
        step = torch.where(accepted < ENOUGH, 0.5 * step, step)
    parts = [_one_move(density, coordinates, part, step, generator) for part in flat.split(rows)]
    moved, value, acceptance = (torch.cat([p[k] for p in parts]) for k in range(3))
    return Moved(flat=moved, log_density=value, acceptance=acceptance.mean(0))


def _one_move(
    density: LogDensity, coordinates: Affine, flat: Tensor, step: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Draws after one trajectory, their log densities, and the acceptance probabilities."""
    w = coordinates.white(flat)
    state = (w, *coordinates.pull_back(density, w))
    spread = 2 * torch.rand(flat.shape[:-1], generator=generator, dtype=flat.dtype).to(flat.device) - 1
    (w, value, _), accepted, _ = trajectory(density, coordinates, state, step * (1 + JITTER * spread), LEAPS, generator)
    return coordinates(w), value, accepted
