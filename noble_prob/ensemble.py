"""Novel neurons and what they answer: draw, respond.

``draw`` gives many *neurons*; ``respond(..., trials=n)`` gives repeats of each. The leading axes of the answer carry
these names, so that diversity between cells can not be mistaken for noise within one.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.decoder.base import Decoder, identity_of, require_decoder
from noble_prob.decoder.device import require_device
from noble_prob.decoder.steps import on_grid
from noble_prob.errors import listed, require, require_count, require_kind, require_memory, require_seed
from noble_prob.features import Features, measure
from noble_prob.jobs.bars import bar
from noble_prob.latent import Neurons, require_latents, require_neurons
from noble_prob.noise import TrialModel
from noble_prob.noise.render import render
from noble_prob.priors import Prior, stream
from noble_prob.priors.base import require_prior
from noble_prob.recording import Protocol, Recording
from noble_prob.recording.made import made_by


def draw(prior: Prior, n: int, *, seed: int) -> Neurons:
    """Sample novel neurons from a prior.

    Args:
        prior: A fitted prior.
        n: How many.
        seed: Same seed, same neurons.

    Returns:
        Points with ``axis="neuron"``.

    Raises:
        UsageError: If ``n`` is not positive, or this is no prior.
    """
    require_prior(prior)
    return prior.sample(n, seed=seed)


def respond(
    decoder: Decoder,
    neurons: Neurons,
    protocol: Protocol | Sequence[float] | Tensor,
    *,
    trials: int | None = None,
    trial_model: TrialModel | None = None,
    seed: int = 0,
    chunk: int = 64,
    device: str | torch.device | None = None,
    progress: bool = False,
    extrapolate: bool = False,
) -> Recording:
    """Voltage of every neuron at every step current, in chunks of bounded memory.

    Args:
        decoder: What renders the voltage.
        neurons: Points of the decoder's latent space.
        protocol: Step amplitudes (pA), or a protocol of steps on the decoder's window.
        trials: Repeats of each neuron; None for the noiseless response.
        trial_model: How repeats differ; if not given, as inference expects before it has seen a recording
            (:meth:`~noble_prob.noise.TrialModel.usual`).
        seed: Seed of the repeats.
        chunk: Traces rendered at once: a matter of memory. Matrix products round otherwise in other batches, which
            moves spikes by some 1e-4 ms, and the voltage of their upstrokes by up to 0.1 mV.
        device: Device the latents are sent to; the decoder must live there.
        progress: Show a bar on stderr.
        extrapolate: Also answer steps beyond the currents that the decoder was trained on: nothing vouches for it.

    Returns:
        Recording with axes ``(neurons.axis,)`` or ``(neurons.axis, "trial")``; voltage (mV) in single precision, on the
        CPU. Its provenance names decoder, cell, version, seed, trial model, and the neurons with their ``labels``.

    Raises:
        UsageError: If there are no neurons, they are of another latent space or themselves repeats of which repeats are
            wanted; if the protocol is not a family of steps from rest on the decoder's window and within its currents;
            if a decoder that cannot render given spike times is asked for them; if the voltage is not finite, or would
            not fit into memory; if an argument is of another kind, or the device is not there.
    """
    _require_own(decoder, neurons, device)
    require_count(chunk, "chunk", "traces")
    seed = require_seed(seed)
    steps = on_grid(protocol, decoder.window)
    require_room(decoder, len(neurons), len(steps.steps), trials if isinstance(trials, int) else None)
    _require_trained(decoder, () if extrapolate else steps.amplitudes_pa.tolist(), "protocol")
    generator = stream("respond", seed)  # a neuron drawn with the same seed has other noise
    if trial_model is not None:
        require_kind(trial_model, TrialModel, "trial_model", "build it by TrialModel.usual(cell.decoder.space)")
    model = _noise_of(neurons, trials, trial_model)
    latents = neurons.value[:, None]
    if model is not None and trials is not None:
        latents = model.latents(neurons, trials * len(steps.steps), generator)
        latents = latents.reshape(len(neurons) * trials, len(steps.steps), -1)
    voltage = render(decoder, latents, steps, model, generator, chunk, device, progress)
    repeats = () if trials is None else (trials,)
    _require_finite(voltage, neurons)
    return Recording(
        protocol=steps,
        voltage_mv=voltage.reshape(len(neurons), *repeats, *voltage.shape[1:]),
        axes=(neurons.axis, *("trial" for _ in repeats)),
        provenance={
            **_provenance(decoder, neurons, model, seed=seed),
            **({"trials": trials} if repeats else {}),
            "extrapolate": extrapolate,
        },
    )


def _provenance(decoder: Decoder, neurons: Neurons, model: TrialModel | None, *, seed: int) -> dict[str, Any]:
    """Who answered, and how repeats differ."""
    return {
        **identity_of(decoder),
        "made_by": made_by(),
        "seed": seed,
        "neurons": dict(neurons.provenance),
        **({"labels": [str(label) for label in neurons.labels]} if len(neurons.labels) else {}),
        **({} if model is None else {"trial_model": model.to_dict()}),
    }


def _noise_of(neurons: Neurons, trials: int | None, trial_model: TrialModel | None) -> TrialModel | None:
    """How repeats differ; None where none are wanted."""
    if trials is None:
        require(
            trial_model is None, "trial_model", "given together with trials", "trials=None", "pass trials=1 or more"
        )
        return None
    require_count(trials, "trials", "repeats")
    require(
        neurons.axis != "trial",
        "neurons.axis",
        "'draw' or 'neuron' where `trials` are wanted",
        "'trial'",
        "these are repeats already: leave `trials` out",
    )
    return trial_model or TrialModel.usual(neurons.space)


def _require_own(decoder: Decoder, neurons: Neurons, device: str | torch.device | None) -> None:
    """Refuse what is no decoder, no neurons or neurons of another latent space, and a device that is not there."""
    require_decoder(decoder)
    require_neurons(neurons)
    if device is not None:
        require_device(device)
    own = decoder.space
    expected = f"in the decoder's latent space, of {len(own)} latents"
    require_latents(neurons.space, own, "neurons", expected, "use neurons of the decoder's own cell")
    if not torch.allclose(neurons.space.mean, own.mean) or not torch.allclose(neurons.space.sd, own.sd):
        warnings.warn(
            "the neurons are of another cell than the decoder: their latents have its names, and another "
            "centre and spread; `decoder.support(neurons.value)` says how far they lie from what it knows",
            UserWarning,
            stacklevel=3,
        )
    require(len(neurons) > 0, "neurons", "at least one neuron", "none", "draw some")


def respond_features(
    decoder: Decoder,
    neurons: Neurons,
    current_pa: float,
    *,
    names: Sequence[str],
    chunk: int = 512,
    device: str | torch.device | None = None,
    progress: bool = False,
    extrapolate: bool = False,
) -> Features:
    """Features of every neuron's response to one step, measured where the decoder lives; no voltage is kept.

    Args:
        decoder: What renders the voltage.
        neurons: Points of the decoder's latent space.
        current_pa: Height of the step (pA).
        names: Features to measure.
        chunk: Traces rendered and measured at once.
        device: Device the latents are sent to; the decoder must live there.
        progress: Show a bar on stderr.
        extrapolate: As in :func:`respond`.

    Returns:
        Value and mask of shape ``(n, 1, feature)`` on the CPU, axis ``neurons.axis``.

    Raises:
        UsageError: If there are no neurons, they are of another latent space, the step is beyond the decoder's
            currents, an argument is of another kind, or the device is not there.
    """
    _require_own(decoder, neurons, device)
    require_count(chunk, "chunk", "traces")
    _require_trained(decoder, () if extrapolate else (current_pa,), "current_pa")
    steps, found = on_grid([current_pa], decoder.window), []
    with torch.no_grad():
        for z in bar(neurons.value.split(chunk), desc="measure", unit="chunk", show=progress):
            current = torch.tensor([current_pa], dtype=torch.float32, device=device or "cpu").expand(len(z))
            voltage = decoder.respond(z.to(device), current)
            record = Recording(protocol=steps, voltage_mv=voltage[:, None], axes=(neurons.axis,))
            found.append(measure(record, names=names))
    values = torch.cat([f.value.cpu() for f in found])
    return Features(
        names=found[0].names,
        units=found[0].units,
        value=values,
        mask=torch.isfinite(values),
        axes=(neurons.axis,),
        steps=steps.steps,
        labels=tuple(neurons.labels),
    )


def _require_finite(voltage: Float[Tensor, "row *sweep time"], neurons: Neurons) -> None:
    """Refuse latents so far out that the decoder has no answer; rows of one neuron follow each other."""
    bad = (~voltage.sum(-1).isfinite()).reshape(len(neurons), -1).any(-1).nonzero()[:, 0].tolist()
    names = [repr(neurons.labels[k]) if neurons.labels else f"number {k} (from 0)" for k in bad]
    require(
        not bad,
        "neurons",
        "latents for which the decoder's voltage is finite",
        f"none for neuron {listed(names, 3)}",
        "look at neurons.value, in units of neurons.space",
    )


def require_room(decoder: Decoder, n: int, steps: int, trials: int | None, parameter: str = "neurons") -> None:
    """Refuse responses that do not fit into this machine's memory, before any is rendered.

    Args:
        decoder: What would render them.
        n: Neurons.
        steps: Steps each.
        trials: Repeats of each; None for one response.
        parameter: What the caller calls the neurons.

    Raises:
        UsageError: If the voltage would be larger than the memory.
    """
    traces = n * steps * (trials or 1)
    require_memory(4 * traces * decoder.window.n_samples, parameter, f"{traces:,} traces")


def _require_trained(decoder: Decoder, current_pa: Sequence[float], parameter: str) -> None:
    """Refuse steps that the decoder was not trained on."""
    remedy = "choose steps in this range, or pass extrapolate=True and trust no number of the answer"
    for current in current_pa:
        decoder.window.require_current(current, parameter, remedy)
