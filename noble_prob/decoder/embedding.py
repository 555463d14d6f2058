r"""NOBLE's frequency-modulated embedding, modulated by the neuron's own firing.

The operator sees the response's timing as input channels rather than having to invent it:

* the step: current inside it, exponentials of the time since onset and since offset;
* the phase: :math:`\sin 2\pi\phi, \cos 2\pi\phi` and their second harmonics while the step lasts;
* every spike: exponentials of the time since the last and to the next spike with constants from 0.15 to 40 ms, which
  carry what is sharp, so that few Fourier modes are enough;
* how many spikes came before.

All channels are functions of continuous time: the same neuron can be rendered on a finer grid without retraining.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.decoder.spike_map import phase_at

SINCE_MS = (0.15, 0.3, 0.6, 1.2, 2.5, 5.0, 12.0, 40.0)
UNTIL_MS = (0.1, 0.2, 0.4, 0.8, 1.6, 4.0, 12.0)
STEP_MS = (1.0, 4.0, 15.0, 60.0)
N_CHANNELS = 1 + 2 * len(STEP_MS) + 4 + len(SINCE_MS) + len(UNTIL_MS) + 2


def firing_channels(
    times_ms: Float[Tensor, "batch spike"],
    current_pa: Float[Tensor, " batch"],
    at_ms: Float[Tensor, " time"],
    *,
    duration_ms: float,
    happens: Float[Tensor, "batch spike"],
) -> Float[Tensor, "batch channel time"]:
    """Input channels of the operator.

    Args:
        times_ms: Spike times (ms after onset), continuing past the end of the step.
        current_pa: Step current (pA).
        at_ms: Sample times (ms after onset).
        duration_ms: Length of the step (ms).
        happens: Times of the spikes that do happen (ms after onset), +inf elsewhere.
    """
    u = at_ms.to(times_ms)
    on = ((u >= -1e-6) & (u < duration_ms - 1e-6)).to(u)
    phase, _, _ = phase_at(times_ms, u)
    _, since, until = phase_at(happens, u)
    angle = 2 * torch.pi * phase
    step = [_decay(u, tau).expand_as(phase) for tau in STEP_MS]
    step += [_decay(u - duration_ms, tau).expand_as(phase) for tau in STEP_MS]
    circle = [f * on for f in (torch.sin(angle), torch.cos(angle), torch.sin(2 * angle), torch.cos(2 * angle))]
    spikes = [torch.exp(-since / tau) for tau in SINCE_MS] + [torch.exp(-until / tau) for tau in UNTIL_MS]
    count = phase.floor() * on
    amount = current_pa[:, None] / 100 * on
    return torch.stack([amount, *step, *circle, *spikes, torch.log1p(count) / 3, torch.exp(-count / 2) * on], 1)


def _decay(since_ms: Tensor, tau_ms: float) -> Tensor:
    """Causal exponential: 0 before, exp(-t / tau) from then on."""
    return torch.where(since_ms >= -1e-6, torch.exp(-since_ms.clamp(min=0) / tau_ms), torch.zeros_like(since_ms))
