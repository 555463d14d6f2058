"""One recording that is always the same: what an estimator is asked about to see whether it is told what it was.

Its sweeps differ in everything that a row of numbers tells (:mod:`noble_prob.amortised.tokens`): from no spike to a
dozen, whole steps and a short one, features that are usual, far off or missing, and a sweep that only pads.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.noise import Design, Evidence

CURRENT_PA = (-100.0, 40.0, 70.0, 110.0, 150.0, 180.0, 0.0)
END_MS = (400.0, 400.0, 400.0, 400.0, 150.0, 400.0, 1e-9)
COUNTS = (0, 1, 2, 3, 5, 12, 0)
FAR = 12.0
"""Usual spreads by which one feature of each spiking sweep is off."""


def known_recording(
    names: Sequence[str], centre: Float[Tensor, " feature"], scale: Float[Tensor, " feature"]
) -> Evidence:
    """The recording; its features lie around the usual ones.

    Args:
        names: Of the summary features.
        centre: Usual value of each.
        scale: Usual spread of each.
    """
    sweep, n = torch.arange(len(COUNTS), dtype=torch.float64)[:, None], len(names)
    k = torch.arange(max(COUNTS), dtype=torch.float64)
    times = 11.0 + 17.0 * k + 0.4 * k**2 + (1 + 0.5 * sweep) * torch.cos(k + sweep)
    times = torch.where(k < torch.tensor(COUNTS)[:, None], times, torch.inf)
    off = 1.5 * torch.cos(torch.arange(len(COUNTS) * n, dtype=torch.float64)).reshape(-1, n)
    at = torch.arange(n)
    off = torch.where((at == sweep % n) & (sweep % 2 == 1), FAR, off)
    off = torch.where((at + sweep) % 4 == 1, torch.nan, off)
    off[-1] = torch.nan
    design = Design(
        current_pa=torch.tensor(CURRENT_PA).double(), end_ms=torch.tensor(END_MS).double(), summary_names=tuple(names)
    )
    return Evidence(design=design, times_ms=times, summary=centre.double().cpu() + off * scale.double().cpu())
