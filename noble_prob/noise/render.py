"""Voltage of neurons and of their repeats: latents through a decoder in chunks of bounded memory, with trial noise."""

from __future__ import annotations

from inspect import signature

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.decoder.base import Decoder
from noble_prob.errors import UsageError
from noble_prob.jobs.bars import bar
from noble_prob.noise.traces import TraceNoise
from noble_prob.noise.trial import TrialModel
from noble_prob.recording import Protocol


def render(
    decoder: Decoder,
    latents: Tensor,
    steps: Protocol,
    model: TrialModel | None,
    generator: torch.Generator,
    chunk: int,
    device: str | torch.device | None,
    progress: bool,
) -> Float[Tensor, "row sweep time"]:
    """Voltage of rows of latents, chunk by chunk; chance knows no chunks.

    Args:
        decoder: What renders the voltage.
        latents: One per row, ``(row, 1, latent)``, or one per row and sweep, ``(row, sweep, latent)``.
        steps: The sweeps.
        model: What differs between repeats beyond their latents; None for noiseless responses.
        generator: Source of its noise, on the CPU.
        chunk: Traces rendered at once.
        device: Device the latents are sent to.
        progress: Show a bar on stderr.

    Returns:
        Voltage (mV) in single precision, on the CPU.

    Raises:
        UsageError: If a decoder that can not render given spike times is asked for them.
    """
    current = steps.amplitudes_pa
    rows, sweeps = len(latents), len(current)
    flat = latents.expand(rows, sweeps, latents.shape[-1]).reshape(rows * sweeps, -1)
    amplitude = current.expand(rows, sweeps).reshape(-1)
    out = torch.empty(rows * sweeps, decoder.window.n_samples, dtype=torch.float32, device="cpu")
    with torch.no_grad():
        moved = None
        if model is not None and model.moves_spikes:
            moved = _spike_times(decoder, flat, amplitude, model, generator, chunk, device)
        for at in bar(range(0, len(flat), chunk), desc="respond", unit="chunk", show=progress):
            own = slice(at, at + chunk)
            times = {} if moved is None else {"times_ms": moved[own].to(device)}
            voltage = decoder.respond(flat[own].to(device), amplitude[own].to(device), **times)
            out[own] = _recorded(voltage, model, decoder.window.dt_ms, generator).to(out)
    return out.reshape(rows, sweeps, -1)


def _spike_times(
    decoder: Decoder,
    latents: Tensor,
    current_pa: Tensor,
    model: TrialModel,
    generator: torch.Generator,
    chunk: int,
    device: str | torch.device | None,
) -> Float[Tensor, "row spike"]:
    """Spike times of repeats (ms after onset), drawn for all rows at once, on the CPU."""
    if "times_ms" not in signature(decoder.respond).parameters:
        raise UsageError(
            "trial_model",
            "without timing scatter and phase diffusion for a decoder that can not render given spike times",
            model.phase_diffusion,
            "leave them out",
        )
    parts = zip(latents.split(chunk), current_pa.split(chunk), strict=True)
    times = torch.cat([decoder.spike_times(z.to(device), i.to(device)).cpu() for z, i in parts])
    return model.scatter(times, current_pa, generator)


def _recorded(voltage: Tensor, model: TrialModel | None, dt_ms: float, generator: torch.Generator) -> Tensor:
    """Voltage with its noise, drawn trace by trace."""
    if model is None or model.trace == TraceNoise():
        return voltage
    noise = [model.trace.draw(len(row), dt_ms, generator) for row in voltage]
    return voltage + torch.stack(noise).to(voltage)
