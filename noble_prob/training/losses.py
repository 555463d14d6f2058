r"""What the networks are trained to minimise.

Timing: errors of spike times in units of the local interval (so a phase error), errors of log intervals, and a hinge
where the data are censored: the first spike that did not happen must lie beyond the end of the step. Waveform: the
relative error of the voltage about rest, one number per trace, so that a sub-threshold trace counts as much as a train.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor


def spike_map_loss(
    predicted_ms: Float[Tensor, "batch spike"],
    spikes_ms: Float[Tensor, "batch spike"],
    n: Int[Tensor, " batch"],
    *,
    duration_ms: float,
) -> Float[Tensor, " batch"]:
    """Timing loss of each trace.

    Args:
        predicted_ms: Predicted spike times, continuing past the end.
        spikes_ms: True spike times (ms after onset), any value behind the n-th; columns beyond the predicted ones
            are not looked at.
        n: True number of spikes during the step.
        duration_ms: Length of the step (ms).
    """
    k = torch.arange(predicted_ms.shape[-1], device=n.device)
    real = k < n[:, None]
    true = torch.where(real, spikes_ms[:, : len(k)], 0.0)
    interval = torch.where(real, true - _previous(true), 1.0)
    phase = ((predicted_ms - true).abs() / interval.clamp(min=0.5)).where(real, torch.zeros_like(true))
    log_error = (
        (torch.log(predicted_ms - _previous(predicted_ms)) - interval.log()).abs().where(real, torch.zeros_like(true))
    )
    share = 1 / n.clamp(min=1)
    following = predicted_ms.gather(1, n[:, None].clamp(max=len(k) - 1))[:, 0]
    last = torch.where(n > 0, interval.gather(1, (n - 1).clamp(0, len(k) - 1)[:, None])[:, 0], 100.0)
    censored = torch.where(n < len(k), torch.relu(duration_ms + 0.5 - following) / last.clamp(min=5.0), 0.0)
    return (phase.sum(-1) * share).clamp(max=20.0) + log_error.sum(-1) * share + censored


def waveform_loss(
    predicted_mv: Float[Tensor, "batch time"], true_mv: Float[Tensor, "batch time"]
) -> Float[Tensor, " batch"]:
    """Norm of the voltage error over the norm of the response about its start, floored at 1.5 mV RMS."""
    error = (predicted_mv - true_mv).square().mean(-1).add(1e-8).sqrt()
    rest = true_mv[:, :64].mean(-1, keepdim=True)
    size = (true_mv - rest).square().mean(-1).sqrt().clamp(min=1.5)
    return error / size


def relative_l4(
    predicted_mv: Float[Tensor, "batch time"], true_mv: Float[Tensor, "batch time"]
) -> Float[Tensor, " batch"]:
    """The loss of the NOBLE paper: L4 norm of the error over the L4 norm of the voltage with its offset."""
    return (predicted_mv - true_mv).norm(p=4, dim=-1) / true_mv.norm(p=4, dim=-1)


def _previous(times_ms: Tensor) -> Tensor:
    """The spike before each spike, onset before the first."""
    return torch.nn.functional.pad(times_ms, (1, 0))[:, :-1]
