"""Clouds of latents for a pair plot: names as people say them, logarithms in their own unit on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from noble_prob.findings.words import with_step
from noble_prob.latent import LatentSpace
from noble_prob.report.estimates import is_log, plain_unit
from noble_prob.report.panels import PairPlot

ALIKE = 0.9
"""Correlation (absolute) from which on two latents show the same twice."""


def latent_pairs(space: LatentSpace, index: Sequence[int], *, posterior: ArrayLike, **others: Any) -> PairPlot:
    """A pair plot of some latents.

    Args:
        space: Names and units of all.
        index: Which are shown.
        posterior: Draws of all latents in the units of the space, shape ``(draw, latent)``.
        others: ``prior`` and ``population`` of the same form and ``truth``, shape ``(latent,)``, each may be None; and
            what else a :class:`PairPlot` has.
    """
    latents = [space.latents[k] for k in index]
    log = np.array([is_log(latent.unit) for latent in latents])

    def shown(value: ArrayLike | None) -> NDArray[np.float64] | None:
        if value is None:
            return None
        part = np.asarray(value, dtype=float)[..., list(index)]
        return np.where(log, np.exp(np.where(log, part, 0.0)), part)

    for name in ("prior", "population", "truth"):
        others[name] = shown(others.get(name))
    return PairPlot(
        names=[with_step(latent.name, latent.current_pa) for latent in latents],
        log=log.tolist(),
        units=[plain_unit(latent.unit) for latent in latents],
        posterior=np.asarray(shown(posterior)),
        **others,
    )


def told_apart(draws: NDArray[np.float64], order: Sequence[int], most: int) -> list[int]:
    """The first latents of an order, without those that correlate with an earlier one above :data:`ALIKE`.

    Args:
        draws: Shape ``(draw, latent)``.
        order: Latents, the most telling first.
        most: How many are wanted.

    Returns:
        Their indices in ascending order.
    """
    centred = draws - draws.mean(0)
    size = np.sqrt((centred**2).sum(0))
    alike = np.abs(centred.T @ centred) > ALIKE * np.outer(size, size)
    chosen: list[int] = []
    for k in order:
        if len(chosen) < most and not any(alike[k, j] for j in chosen):
            chosen.append(k)
    return sorted(chosen)
