"""Sweeps as rows of numbers: what a network is told about each.

A row holds the current, how long the step was looked at, the number of spikes, logarithms of latency, first, second,
middle, last and mean interval and of the time left after the last spike, and the summary features in units of their
spread. What a sweep does not have is zero, with a mask beside it that says so; a sweep that only pads a batch is marked
as a whole.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from noble_prob.decoder.spike_map import current_features
from noble_prob.noise import Evidence

PADDING_MS = 1.0
"""Steps that end before this are padding."""


def tokens(
    evidence: Evidence, centre: Float[Tensor, " feature"], scale: Float[Tensor, " feature"]
) -> tuple[Float[Tensor, "*batch sweep token"], Bool[Tensor, "*batch sweep"]]:
    """Rows of all sweeps, and which of them are real.

    Args:
        evidence: Sweeps of one recording, or of a batch.
        centre: Usual value of each summary feature.
        scale: Usual spread of each.
    """
    design, t = evidence.design, evidence.times_ms
    count = torch.isfinite(t).sum(-1)
    spikes, known = _intervals(t, count, design.end_ms)
    summary = (evidence.summary - centre.to(t)) / scale.to(t)
    has = torch.isfinite(summary)
    logs = torch.where(known, spikes.clamp(min=1e-3).log() - 3, 0)
    rows = torch.cat(
        [
            current_features(design.current_pa),
            (design.end_ms / 400.0).log()[..., None].clamp(min=-3.0),
            (count / 20.0)[..., None],
            torch.log1p(count)[..., None],
            logs,
            known.to(t),
            torch.where(has, summary, 0.0).clamp(-10, 10),
            has.to(t),
        ],
        -1,
    )
    return rows.to(torch.float32), design.end_ms > PADDING_MS


def size(n_features: int) -> int:
    """Length of a row.

    Args:
        n_features: Summary features.
    """
    return 4 + 3 + 2 * 7 + 2 * n_features


def _intervals(t: Tensor, count: Tensor, end_ms: Tensor) -> tuple[Tensor, Tensor]:
    """Latency, five intervals and the time left (ms), with what exists of them, each ``(*batch, sweep, 7)``."""
    padded = torch.where(torch.isfinite(t), t, 0.0)
    if padded.shape[-1] < 3:
        padded = torch.nn.functional.pad(padded, (0, 3 - padded.shape[-1]))

    def at(k: Tensor) -> Tensor:
        return padded.gather(-1, k.clamp(min=0, max=padded.shape[-1] - 1)[..., None])[..., 0]

    last, middle = at(count - 1), torch.div(count, 2, rounding_mode="floor")
    values = torch.stack(
        [
            padded[..., 0],
            padded[..., 1] - padded[..., 0],
            padded[..., 2] - padded[..., 1],
            at(middle) - at(middle - 1),
            last - at(count - 2),
            (last - padded[..., 0]) / (count - 1).clamp(min=1),
            end_ms - torch.where(count > 0, last, 0.0),
        ],
        -1,
    )
    needs = torch.tensor([1, 2, 3, 2, 2, 2, 0], device=t.device)
    return values, count[..., None] >= needs
