"""Latents that others give exactly: of such a population no density exists, and no fit finds one."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

EXACT = 1e-5
"""Share of the largest SD along the axes of the correlation below which none is left (a condition number of 1e10)."""
INVOLVED = 1e-3
"""Part in a direction without spread above which a latent belongs to it."""


def dependent(x: Float[Tensor, "n latent"]) -> Bool[Tensor, " latent"]:
    """Which latents are given exactly by others, beyond what few neurons force.

    ``n`` different neurons span ``n - 1`` directions at most, so of ``n <= latents`` neurons every latent is a
    combination of the others, and some may be equal by chance (first and mean interval of neurons that all fire twice).
    The priors' shrinkage bridges that, and nothing is said of them.

    Args:
        x: Latents of the neurons, each of which varies.
    """
    off = x - x.mean(0)
    if len(torch.unique(x, dim=0)) <= x.shape[1]:
        return torch.zeros(x.shape[1], dtype=torch.bool)
    _, size, direction = torch.linalg.svd(off / off.square().mean(0).sqrt(), full_matrices=False)
    return (direction[size < EXACT * size[0]].abs() > INVOLVED).any(0)
