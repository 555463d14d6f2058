"""Firing channels with gradients on CUDA devices: one Triton kernel forward and one backward.

The same numbers as :func:`noble_prob.decoder.embedding.firing_channels`, which takes some eighty kernels and as many
copies of the channels.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.decoder.availability import attempt, kernels_run
from noble_prob.decoder.embedding import N_CHANNELS, SINCE_MS, STEP_MS, UNTIL_MS, firing_channels
from noble_prob.decoder.spectral import power

SLOTS = 32
"""Columns of a row of channels in memory."""
TILE = 128
"""Samples of a program."""

_rates: dict[torch.device, Tensor] = {}
_tried: set[int] = set()


def rates(device: torch.device) -> Float[Tensor, " slot"]:
    """One over the time constant of every channel that decays (1/ms), 1 elsewhere and 0 past the last; kept."""
    if device not in _rates:
        ones = [1.0, *(1 / x for x in STEP_MS + STEP_MS), *[1.0] * 4, *(1 / x for x in SINCE_MS + UNTIL_MS)]
        with torch.inference_mode(mode=False):
            _rates[device] = torch.nn.functional.pad(torch.tensor(ones), (0, SLOTS - len(ones))).to(device)
    return _rates[device]


class _Channels(torch.autograd.Function):
    """Spike times, those that happen and current to channels, ``(batch, channel, time)`` with time outermost."""

    @staticmethod
    def forward(ctx: Any, times: Tensor, happens: Tensor, current: Tensor, at: Tensor, duration_ms: float) -> Tensor:
        from noble_prob.decoder.kernels_embedding import channels  # needs triton

        times, happens = times.contiguous(), happens.contiguous()
        (batch, spikes), n, rate = times.shape, len(at), rates(times.device)
        out = torch.empty(batch, n, SLOTS, device=times.device)
        channels[(batch, -(-n // TILE))](
            times, happens, current.contiguous(), at, rate, out, n, duration_ms, SPIKES=spikes, TILE=TILE
        )
        ctx.save_for_backward(times, happens, at, rate)
        ctx.duration_ms = duration_ms
        return out[..., :N_CHANNELS].mT

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        from noble_prob.decoder.kernels_embedding import channels_backward  # needs triton

        times, happens, at, rate = ctx.saved_tensors
        (batch, spikes), n = times.shape, len(at)
        tiles = -(-n // TILE)
        slots = power(spikes)
        sums = torch.empty(batch, tiles, 2 * slots + 1, device=g.device)
        channels_backward[(batch, tiles)](
            times, happens, at, rate, g, sums, n, *g.stride(), ctx.duration_ms, SPIKES=spikes, SLOTS=slots, TILE=TILE
        )
        d = sums.sum(1)
        return d[:, :spikes], d[:, slots : slots + spikes], d[:, 2 * slots], None, None


def _trial(times_ms: Tensor) -> bool:
    """Compile and run the kernels once per number of spikes, forward and backward; raises where they do not run."""
    spikes = times_ms.shape[1]
    if spikes not in _tried and not torch.cuda.is_current_stream_capturing():
        with torch.inference_mode(mode=False), torch.enable_grad():
            times = torch.arange(1.0, spikes + 1, device=times_ms.device)[None].requires_grad_()
            at = torch.arange(float(TILE), device=times.device)
            _Channels.apply(times, times, times[:, 0], at, 10.0).sum().backward()
            torch.cuda.synchronize()
        _tried.add(spikes)
    return True


def fast_channels(
    times_ms: Float[Tensor, "batch spike"],
    current_pa: Float[Tensor, " batch"],
    at_ms: Float[Tensor, " time"],
    *,
    duration_ms: float,
    happens: Float[Tensor, "batch spike"],
) -> Float[Tensor, "batch channel time"]:
    """Input channels of the operator by kernels where they run, else as ``firing_channels``, whose arguments these are.

    Spike times that happen rise within a row; the gradient may be taken once.
    """
    inputs = (times_ms, happens, current_pa, at_ms)
    suits = all(x.device.type == "cuda" and x.dtype == torch.float32 for x in inputs)
    if suits and not torch.compiler.is_compiling() and kernels_run() and attempt(lambda: _trial(times_ms)):
        answer = attempt(lambda: _Channels.apply(*inputs, float(duration_ms)))
        if answer is not None:
            return answer
    return firing_channels(times_ms, current_pa, at_ms, duration_ms=duration_ms, happens=happens)
