"""Agreement of two spike trains, for many pairs at once.

Matching the k-th spike with the k-th asks for the right count *and* the right times; the coincidence factor forgives a
missing spike but not a shift:

    Gamma = (N_coinc - <N_coinc>) / (0.5 (N_true + N_pred)) / (1 - 2 nu Delta),   <N_coinc> = 2 nu Delta N_true

with nu the predicted rate: 1 for coincidence within Delta of every spike, 0 for what a Poisson train of that rate would
reach (Kistler, Gerstner and van Hemmen 1997; Jolivet et al. 2008). Each spike is in one coincidence at most. Some
tools take nu from the recorded train instead; where the two counts differ, so do the factors. It is not meaningful
where 2 nu Delta approaches 1 (250 Hz at 2 ms).
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from noble_prob.features import Spikes


def matched_time_errors(truth: Spikes, prediction: Spikes) -> Float[Tensor, " matched"]:
    """Absolute time differences of the k-th with the k-th spike of every trace (ms), one flat list.

    Args:
        truth: True spikes of a batch of traces.
        prediction: Predicted spikes of the same traces.
    """
    width = min(truth.peak_ms.shape[-1], prediction.peak_ms.shape[-1])
    error = (prediction.peak_ms[..., :width] - truth.peak_ms[..., :width]).abs()
    return error[torch.isfinite(error)]


def coincidences(
    true_ms: Float[Tensor, "trace spike"], predicted_ms: Float[Tensor, "trace other"], delta_ms: float
) -> Int[Tensor, " trace"]:
    """Largest number of pairs of a true and a predicted spike within ``delta_ms``, each spike in one pair at most.

    Walks along the true spikes and takes the earliest predicted spike that is still free and not too early; for sorted
    times and one tolerance that is optimal.

    Args:
        true_ms: True spike times, NaN behind the last (ms).
        predicted_ms: Predicted spike times, NaN behind the last (ms).
        delta_ms: Largest distance of a coincident pair (ms).
    """
    predicted = predicted_ms.nan_to_num(nan=torch.inf)
    predicted = torch.cat([predicted, torch.full_like(predicted[:, :1], torch.inf)], 1).contiguous()
    last = predicted.shape[1] - 1
    free = torch.zeros(len(true_ms), 1, dtype=torch.int64, device=true_ms.device)
    count = torch.zeros_like(free)
    for k in range(true_ms.shape[1]):
        t = true_ms[:, k : k + 1]
        known = torch.isfinite(t)
        free = free.maximum(torch.searchsorted(predicted, t.nan_to_num(nan=0.0) - delta_ms)).where(known, free)
        hit = known & (predicted.gather(1, free.clamp(max=last)) <= t + delta_ms)
        count, free = count + hit, (free + hit).clamp(max=last)
    return count.squeeze(1)


def coincidence_factor(
    true_ms: Float[Tensor, "trace spike"],
    predicted_ms: Float[Tensor, "trace other"],
    duration_ms: Float[Tensor, " trace"],
    *,
    delta_ms: float = 2.0,
) -> Float[Tensor, " trace"]:
    """Coincidence factor Gamma of every trace.

    Args:
        true_ms: True spike times, increasing, NaN behind the last (ms).
        predicted_ms: Predicted spike times, increasing, NaN behind the last (ms); their rate is what chance is.
        duration_ms: Time that the spikes could fall into (ms), shape ``(trace,)``.
        delta_ms: Largest distance of a coincident pair (ms).

    Returns:
        Gamma, shape ``(trace,)``: 0 where only one of the two spikes, NaN where none does.
    """
    hits = coincidences(true_ms, predicted_ms, delta_ms).to(duration_ms)
    n_true, n_pred = (torch.isfinite(times).sum(-1).to(hits) for times in (true_ms, predicted_ms))
    chance = 2 * delta_ms * n_pred / duration_ms
    gamma = (hits - chance * n_true) / (0.5 * (n_true + n_pred)) / (1 - chance)
    return torch.where((n_true > 0) & (n_pred > 0), gamma, torch.where(n_true + n_pred > 0, 0.0, torch.nan))
