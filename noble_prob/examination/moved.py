"""What a move of latents left behind: neurons that can not be, and neurons that the decoder does not know.

Latents are shifted and stretched along a line (:func:`noble_prob.calibration.widen`) that ends at no wall: a sag or the
width of a spike can fall below zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from noble_prob.decoder.base import Decoder
from noble_prob.latent import Neurons

POSITIVE_UNITS = ("ms", "Hz", "MOhm")
"""Units of what is never below zero."""
POSITIVE_FEATURES = ("sag_mv", "ap1_amplitude_mv", "mean_ap_amplitude_mv", "ahp_depth_mv")
"""Differences of voltages that are never below zero."""


@dataclass(frozen=True, kw_only=True)
class Move:
    """Neurons after their latents were moved.

    Attributes:
        n: Neurons.
        below_zero: Latent that is never below zero to the number of neurons in which it is, where it is in any.
        impossible: Neurons with any of them below zero, or a spike that peaks below its trough.
        beyond: Neurons beyond the decoder's support.
        beyond_before: The same before the move.
    """

    n: int
    below_zero: Mapping[str, int]
    impossible: int
    beyond: int
    beyond_before: int


def look_at_move(before: Neurons, after: Neurons, decoder: Decoder) -> Move:
    """Count what a move has made impossible or unknown.

    Args:
        before: Neurons as drawn.
        after: The same with moved latents.
        decoder: Whose support is asked.
    """
    wrong = _wrong(after)
    beyond_before, beyond = (int((decoder.support(x.value) > 1).sum()) for x in (before, after))
    return Move(
        n=len(after.value),
        below_zero={name: int(rows.sum()) for name, rows in wrong.items() if rows.any()},
        impossible=int(torch.stack(list(wrong.values())).any(0).sum()) if wrong else 0,
        beyond=beyond,
        beyond_before=beyond_before,
    )


def _wrong(neurons: Neurons) -> dict[str, Bool[Tensor, " n"]]:
    """Per latent that has a sign, and for the height of the spike, in which neurons it is wrong."""
    columns = dict(zip(neurons.space.names, neurons.value.T, strict=True))
    wrong = {
        latent.name: columns[latent.name] < 0
        for latent in neurons.space.latents
        if not latent.log and (latent.unit in POSITIVE_UNITS or latent.feature in POSITIVE_FEATURES)
    }
    if {"ap1_peak", "ap1_trough"} <= set(columns):
        wrong["ap1_peak_to_trough"] = columns["ap1_peak"] < columns["ap1_trough"]
    return wrong
