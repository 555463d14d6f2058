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
    whole = phase.floor()
    angle = 2 * torch.pi * (phase - whole)
    sine, cosine = torch.sin(angle), torch.cos(angle)
    circle = torch.stack([sine, cosine, 2 * sine * cosine, 1 - 2 * sine.square()], 1) * on
    count = whole * on
    before = torch.stack([torch.log1p(count) / 3, torch.exp(-count / 2) * on], 1)
    amount = (current_pa[:, None] / 100 * on)[:, None]
    steps = torch.cat([_step(u), _step(u - duration_ms)]).expand(len(phase), -1, -1)
    return torch.cat([amount, steps, circle, _decays(since, SINCE_MS), _decays(until, UNTIL_MS), before], 1)


def _decays(gap_ms: Float[Tensor, "batch time"], constants_ms: tuple[float, ...]) -> Float[Tensor, "batch tau time"]:
    """exp(-gap / tau) for every constant; 0 for an infinite gap."""
    return torch.exp(torch.stack([gap_ms * (-1 / tau) for tau in constants_ms], 1))


def _step(since_ms: Float[Tensor, " time"]) -> Float[Tensor, "tau time"]:
    """Causal exponentials: 0 before, exp(-t / tau) from then on."""
    return torch.where(since_ms >= -1e-6, _decays(since_ms.clamp(min=0)[None], STEP_MS)[0], 0.0)
