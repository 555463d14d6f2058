"""The sampling rate of a recording: measured on the decoder's grid, and what a coarse one does not resolve.

Latents and summary features are defined on the decoder's grid. The highest of few samples lies below a spike's peak, so
at another rate the same spike is lower and wider, or higher and narrower; and at a high rate noise crosses a spike's
threshold more than once. So every recording is brought to the decoder's interval before anything is measured.

What lies between coarse samples can not be brought back. Of six held-out biophysical models (spikes of 0.42 to 0.54 ms)
peaks are off by 0.6 to 0.9 mV (SD 2) and widths by 0.02 ms at 8 kHz, by 5 mV and 0.05 ms at 5 kHz; at 10 kHz by 0.0 to
0.3 mV and 0.001 to 0.003 ms, so from there on the shape is used.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.decoder.base import Decoder
from noble_prob.features.registry import of_spike
from noble_prob.recording import Recording
from noble_prob.resample import resample

RESOLVED_MS = 0.1
"""Longest sampling interval at which the shape of a spike is told (ms)."""


def on_grid(recording: Recording, decoder: Decoder) -> Recording:
    """The recording at the decoder's sampling interval, its own first sample first; itself if it has that interval.

    Args:
        recording: Of one neuron.
        decoder: Its window says the interval.
    """
    return resample(recording, dt_ms=decoder.window.dt_ms)


def too_coarse(recording: Recording, decoder: Decoder) -> bool:
    """Whether the shape of spikes can not be told from so few samples.

    Args:
        recording: As it was sampled.
        decoder: A recording on its own grid never is.
    """
    return recording.dt_ms > 1.01 * max(RESOLVED_MS, decoder.window.dt_ms)


def mask_shape(
    summary: Float[Tensor, "*batch sweep feature"], names: Sequence[str]
) -> Float[Tensor, "*batch sweep feature"]:
    """NaN for features of a spike's shape.

    Args:
        summary: Features.
        names: Their names.
    """
    shape = torch.tensor([of_spike(name) for name in names], device=summary.device)
    return torch.where(shape, torch.nan, summary)
