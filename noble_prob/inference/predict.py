"""Replays of the program: predictive draws, and the likelihood, sweep by sweep and as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyro.poutine as poutine
import torch
from jaxtyping import Float, Int
from torch import Tensor

from noble_prob.inference.density import LogDensity
from noble_prob.inference.posterior import Predictive
from noble_prob.noise import Evidence, SpikeTrains, Summaries, mask_undefined
from noble_prob.priors import Prior, seeded, stream


@dataclass(frozen=True, kw_only=True)
class Replays:
    """Predictive draws of a batch of recordings, axes ``(draw, *recording, ...)``."""

    times_ms: Tensor
    summary: Tensor
    latents: Tensor
    made_from: Tensor | None = None

    def cpu(self) -> Replays:
        """The same on the CPU."""
        parts = {name: getattr(self, name).cpu() for name in ("times_ms", "summary", "latents")}
        return replace(self, **parts)

    def take(self, recording: int | None, sweeps: int) -> Predictive:
        """Those of one recording, without padding sweeps."""
        at = (slice(None),) if recording is None else (slice(None), recording)
        return Predictive(
            times_ms=self.times_ms[at][:, :sweeps],
            summary=self.summary[at][:, :sweeps],
            latents=self.latents[at],
            made_from=self.made_from,
        )


def shuffled(n: int) -> Int[Tensor, " draw"]:
    """The order in which ``n`` replays are kept, the same for the same ``n``."""
    return torch.randperm(n, generator=stream("order of replays", 0))


def _evenly(chains: int, draws: int, n: int) -> Int[Tensor, " draw"]:
    """Places of some ``n`` draws, chain behind chain: the same ones of every chain, evenly apart; in random order."""
    each = min(draws, max(1, n // chains))
    place = torch.linspace(0, draws - 1, each, dtype=torch.float64).round().long()
    places = (draws * torch.arange(chains)[:, None] + place).flatten()
    return places[shuffled(len(places))]


def predict(
    model: Callable[..., object],
    prior: Prior,
    values: Mapping[str, Tensor] | None,
    evidence: Evidence,
    *,
    n: int,
    seed: int,
) -> Replays:
    """Draw recordings from the program, with given values of its latent sites or from the prior.

    A feature is kept where the drawn response has it *and* where the evidence could have it (a step that was cut
    short has no late features, whatever the response).

    Args:
        model: The program, awaiting ``batch``; without evidence it draws.
        prior: For the units of the latents.
        values: Draws of the latent sites, axes ``(chain, draw, *recording, ...)``; None for the prior predictive.
        evidence: Whose sweeps are replayed.
        n: Number of draws; with values at most that many, but one of every chain, as many of each, evenly apart.
        seed: Seed of the noise, and of the draws of the prior.
    """
    rows = tuple(evidence.design.current_pa.shape[:-1])
    chosen: dict[str, Tensor] = {}
    pick = None if values is None else _evenly(values["z"].shape[0], values["z"].shape[1], n)
    if values is not None and pick is not None:
        chosen = {name: value.flatten(0, 1)[pick.to(value.device)] for name, value in values.items()}
        n = len(pick)
    with seeded(seed), torch.no_grad():
        trace: Any = poutine.trace(poutine.condition(model, data=chosen)).get_trace(batch=(n, *rows))
    times, summary = trace.nodes["spikes"]["value"], trace.nodes["summary"]["value"]
    width = max(1, int(torch.isfinite(times).sum(-1).max()))
    return Replays(
        times_ms=times[..., :width],
        summary=mask_undefined(summary, times, evidence.design),
        latents=prior.space.unstandardise(trace.nodes["z"]["value"]),
        made_from=pick,
    )


def likelihoods(
    density: LogDensity, values: Mapping[str, Tensor], evidence: Evidence, *, chunk: int = 500
) -> tuple[Float[Tensor, "chain draw *recording sweep"], Float[Tensor, "chain draw *recording"]]:
    """Log likelihood of each sweep given the others, and of all together; smooth errors are integrated out.

    Sweeps share errors of the decoder, so the likelihood is no product over sweeps. What leaving one out asks for is
    its density given latents *and* the other sweeps (Bürkner, Gabry and Vehtari 2021): that of all over that of the
    others.

    Args:
        density: The conditioned program.
        values: Draws of the latent sites.
        evidence: What was observed.
        chunk: Draws per pass.
    """
    lead = values["z"].shape[:2]
    flat = {name: value.flatten(0, 1) for name, value in values.items()}
    parts, whole = [], []
    with torch.no_grad():
        for at in range(0, lead[0] * lead[1], chunk):
            part = {name: value[at : at + chunk] for name, value in flat.items()}
            trace = density.trace(part, tuple(part["z"].shape[:-1]))
            trains, features = trace.nodes["spikes"]["fn"], trace.nodes["summary"]["fn"]
            assert isinstance(trains, SpikeTrains)
            assert isinstance(features, Summaries)
            every = trains.log_prob(evidence.times_ms) + features.log_prob(evidence.summary)
            whole.append(every)
            parts.append(every[..., None] - _without_each(trains, features, evidence))
    return torch.cat(parts).unflatten(0, lead), torch.cat(whole).unflatten(0, lead)


def _without_each(
    trains: SpikeTrains, features: Summaries, evidence: Evidence
) -> Float[Tensor, "draw *recording sweep"]:
    """Log likelihood of all sweeps but one, for every one."""
    n = len(evidence.design)
    if n == 1:  # of nothing
        return torch.zeros(*trains.batch_shape, 1).to(trains.predicted_ms)
    found = []
    for k in range(n):
        others = torch.tensor([j for j in range(n) if j != k], device=evidence.times_ms.device)
        rest, fewer = evidence.take(others), trains.take(others)
        seen = fewer.intervals
        times = rest.times_ms if seen is None else seen.times_ms
        found.append(fewer.log_prob(times) + features.take(others).log_prob(rest.summary))
    return torch.stack(found, -1)
