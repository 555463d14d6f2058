"""Whether chains agree and how much their draws are worth: R-hat and effective sample sizes (Vehtari et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping

import arviz as az
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.noise.chains import SETTLED

R_HAT, ESS = SETTLED, 400.0
"""Largest R-hat and smallest effective sample size (bulk and tail) of chains that agree."""


def judged(
    latents: Float[Tensor, "chain draw latent"], scales: Mapping[str, Tensor]
) -> Float[Tensor, "chain draw quantity"]:
    """What is judged of a posterior: latents in their units, then noise scales."""
    return torch.cat([latents, *(value[..., None] for value in scales.values())], -1).cpu()


def record(draws: Float[Tensor, "chain draw quantity"]) -> list[dict[str, float]]:
    """Of every quantity its rank-normalised split R-hat (``r_hat``), ``ess_bulk`` and ``ess_tail``.

    Args:
        draws: Of two chains or more. R-hat also compares distances from the median, so the scale counts a little, and
            the rounding of the middle draws.
    """
    x = draws.numpy()
    numbers = (az.rhat(x), az.ess(x, method="bulk"), az.ess(x, method="tail", prob=(0.05, 0.95)))
    names = ("r_hat", "ess_bulk", "ess_tail")
    return [dict(zip(names, map(float, row), strict=True)) for row in zip(*numbers, strict=True)]


def settled(draws: Float[Tensor, "chain draw quantity"]) -> bool:
    """Whether chains agree in every quantity and are long enough.

    Args:
        draws: Of two chains or more.
    """
    return all(r["r_hat"] <= R_HAT and min(r["ess_bulk"], r["ess_tail"]) >= ESS for r in record(draws))


def effective(draws: Float[Tensor, "chain draw quantity"]) -> float:
    """How many independent draws the moments are worth: the distinct draws, or fewer in slow chains.

    Args:
        draws: Of one chain or more.
    """
    distinct = float(len(torch.unique(draws.flatten(0, 1), dim=0)))
    if draws.shape[0] < 2:
        return distinct
    return min(distinct, float(np.median(az.ess(draws.numpy(), method="bulk"))))
