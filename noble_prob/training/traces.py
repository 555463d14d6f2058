"""All sweeps of one split, flat and on the device of training, and random batches of them."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from noble_prob.decoder.noble import NobleDecoder
from noble_prob.latent import LatentSpace
from noble_prob.training.data import TrainingData
from noble_prob.training.responses import MV_OFFSET, MV_PER_COUNT

CHUNK = 4096
"""Traces whose spike times are predicted at once."""


class Traces:
    """The sweeps of one split, one row each; a sweep that stands in several rows of the data is taken once.

    Args:
        data: Where they come from.
        split: Which models (see :mod:`noble_prob.training.data`).
        space: Standardises the latents.
        device: Where the rows live.
        voltage: Whether voltages are needed (2 bytes per sample).

    Attributes:
        latents: In their units, shape ``(row, latent)``.
        x: Standardised latents, shape ``(row, latent)``.
        current: Step currents (pA), shape ``(row,)``.
        spikes: Spike times (ms after onset), NaN padded, shape ``(row, spike)``.
        n: Spikes during the step, shape ``(row,)``.
        summary: Summary features, NaN where undefined, shape ``(row, feature)``.
        published: Rows of the published models.
        share: Share of a random batch that is drawn from these alone.
    """

    def __init__(
        self, data: TrainingData, split: int, space: LatentSpace, device: torch.device, *, voltage: bool = False
    ):
        index = data.where(split)
        current = data.responses.current_pa[index]
        latents = data.latents[index].repeat_interleave(current.shape[1], 0)
        once = distinct(latents, current.flatten())
        self.latents = latents[once].float().to(device)
        self.x = space.standardise(latents[once]).float().to(device)
        self.current = current.flatten()[once].float().to(device)
        self.spikes = data.spikes_ms[index].flatten(0, 1)[once].float().to(device)
        self.n = data.n_spikes[index].flatten()[once].to(device)
        self.summary = data.summary[index].flatten(0, 1)[once].to(device)
        published = (data.responses.model[index] >= 0).repeat_interleave(current.shape[1], 0)[once]
        self.published = torch.nonzero(published).flatten().to(device)
        self.share = data.published if len(self.published) else 0.0
        self.counts = data.responses.counts[index].flatten(0, 1)[once].to(device) if voltage else None

    def __len__(self) -> int:
        return len(self.x)

    def random(self, batch: int, generator: torch.Generator) -> Int[Tensor, " batch"]:
        """Positions of a random batch."""
        device = self.x.device
        rows = torch.randint(0, len(self), (batch,), generator=generator, device=device)
        if not self.share:
            return rows
        known = torch.randint(0, len(self.published), (batch,), generator=generator, device=device)
        alone = torch.rand(batch, generator=generator, device=device) < self.share
        return torch.where(alone, self.published[known], rows)

    def voltage(self, index: Int[Tensor, " batch"]) -> Float[Tensor, "batch time"]:
        """Voltage of some rows (mV)."""
        assert self.counts is not None
        return self.counts[index].float() * MV_PER_COUNT + MV_OFFSET


def distinct(latents: Float[Tensor, "row latent"], current_pa: Float[Tensor, " row"]) -> Int[Tensor, " kept"]:
    """Positions of the first of each pair of latents and current: folding repeats the protocol of some models."""
    pairs = torch.cat([latents, current_pa[:, None]], 1).float().numpy()
    return torch.from_numpy(np.sort(np.unique(pairs, axis=0, return_index=True)[1]))


@torch.no_grad()
def all_teacher_times(decoder: NobleDecoder, traces: Traces) -> Float[Tensor, "row spike"]:
    """:func:`teacher_times` of every row."""
    chunks = torch.arange(len(traces), device=traces.x.device).split(CHUNK)
    return torch.cat(
        [teacher_times(decoder, traces.x[i], traces.current[i], traces.spikes[i], traces.n[i]) for i in chunks]
    )


def teacher_times(
    decoder: NobleDecoder,
    x: Float[Tensor, "batch latent"],
    current_pa: Float[Tensor, " batch"],
    spikes_ms: Float[Tensor, "batch spike"],
    n: Int[Tensor, " batch"],
) -> Float[Tensor, "batch spike"]:
    """True spike times during the step, continued past its end by the predicted intervals.

    Args:
        decoder: Whose spike map continues them.
        x: Standardised latents.
        current_pa: Step currents (pA).
        spikes_ms: True spike times (ms after onset), NaN padded.
        n: Number of true spikes during the step.
    """
    predicted = decoder.spike_map.mean_times(x, current_pa)
    k = torch.arange(predicted.shape[1], device=n.device)
    last = (n - 1).clamp(min=0)[:, None].clamp(max=predicted.shape[1] - 1)
    shift = torch.where(n[:, None] > 0, spikes_ms.gather(1, last) - predicted.gather(1, last), 0.0)
    after = decoder.window.duration_ms + 0.05 * (1 + k - n[:, None])
    later = torch.maximum(predicted + shift.nan_to_num(0.0), after)
    return torch.where(k < n[:, None], spikes_ms[:, : len(k)], later)
