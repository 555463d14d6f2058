"""A batch of recordings through one program: locate, sample, and package each recording's share.

Everything here has a leading recording axis, or none for a single recording (NUTS). What is needed of the draws decides
how far one goes: :func:`draw_latents` stops at the draws, which is what calibration by simulation wants thousands of;
:func:`posteriors` adds likelihoods, predictive draws and the relation to the population.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any, Literal

import pyro
import torch
from jaxtyping import Float
from pyro import poutine
from torch import Tensor

from noble_prob.decoder.base import Decoder
from noble_prob.inference import hmc, importance, nuts
from noble_prob.inference.density import LogDensity
from noble_prob.inference.observe import Observation, stack
from noble_prob.inference.posterior import Posterior
from noble_prob.inference.predict import likelihoods, predict
from noble_prob.inference.whiten import Affine, climb, laplace
from noble_prob.noise import Evidence, NoisePrior
from noble_prob.priors import Prior, seeded, single_thread
from noble_prob.program import program

Method = Literal["nuts", "hmc", "importance"]
"""Samplers: Pyro's NUTS with its chains in lock step; batched Hamiltonian chains, recordings side by side; weighted
draws of a fitted proposal, resampled (one "chain" of independent draws)."""
STARTS, SPREAD, PREDICTIVE, PROPOSALS = 24, 1.5, 400, 3
FINALISTS = 8
"""Climbs that are followed to the top."""
MANY = 256
"""Chains from which on more than one CPU thread pays."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be done with every batch.

    Attributes:
        decoder: Predicts responses.
        prior: Density of the latents.
        noise: Priors of the noise scales.
        robust: Student-t summary features.
        method: Sampler.
        chains: Chains per recording.
        warmup: Draws thrown away per chain.
        draws: Draws kept per chain.
        progress: Show bars on stderr.
    """

    decoder: Decoder
    prior: Prior
    noise: NoisePrior
    robust: bool
    method: Method
    chains: int
    warmup: int
    draws: int
    progress: bool = False

    def model(self, evidence: Evidence) -> Any:
        """The program for these sweeps, drawing what is not conditioned on."""
        return partial(program, self.decoder, self.prior, evidence.design, noise=self.noise, robust=self.robust)

    def density(self, evidence: Evidence) -> LogDensity:
        """Its log density given the responses."""
        return LogDensity(partial(self.model(evidence), evidence=evidence))


def draw_latents(
    task: Task, evidences: Sequence[Evidence], *, seed: int
) -> Float[Tensor, "recording chain draw latent"]:
    """Posterior draws of the standardised latents of many recordings, and nothing else (batched sampler).

    Args:
        task: What to do; its method is taken to be ``hmc``.
        evidences: One per recording.
        seed: Seed of everything random.
    """
    evidence = stack(evidences)
    density = task.density(evidence)
    with _quick(len(evidences) * task.chains):
        coordinates, _ = locate(density, (len(evidences),), seed)
        result = _run(task, "hmc", density, coordinates, (len(evidences),), seed)
        values, _ = density.unpack(result.flat)
    return values["z"].permute(2, 0, 1, 3)


def posteriors(task: Task, items: Sequence[Observation], *, seed: int) -> list[Posterior]:
    """Posteriors of a batch of recordings (of one, for NUTS).

    Args:
        task: What to do.
        items: Observations of the recordings.
        seed: Seed of everything random.
    """
    began = time.perf_counter()
    evidence = items[0].evidence if task.method == "nuts" else stack([item.evidence for item in items])
    density, model, space = task.density(evidence), task.model(evidence), task.prior.space
    rows = tuple(evidence.design.current_pa.shape[:-1])
    with _quick(len(items) * task.chains), torch.no_grad():
        coordinates, modes = locate(density, rows, seed)
        flat, stats, extra = _draw(task, density, coordinates, rows, seed)
        values, _ = density.unpack(flat)
        likelihood, whole = likelihoods(density, values, evidence)
        stats |= {"log_prior": task.prior.log_prob(values["z"]), "log_likelihood": whole}
        after = predict(model, task.prior, values, evidence, n=PREDICTIVE, seed=seed)
        before = predict(model, task.prior, None, evidence, n=PREDICTIVE, seed=seed + 1)
        latents = space.unstandardise(values["z"])
        quantile, support = task.prior.quantile_of_density(values["z"]), task.decoder.support(latents).double()
    record = {"decoder": type(task.decoder).__name__, "prior": task.prior.kind, "robust": task.robust,
              "chains": task.chains, "warmup": task.warmup, "draws": task.draws, "batch": len(items)}  # fmt: skip
    out = []
    for r, item in enumerate(items):
        row, n = (r if rows else None), len(item.evidence.design)
        at = (slice(None), slice(None), r) if rows else (slice(None), slice(None))
        out.append(Posterior(
            space=space, latents=latents[at], scales={k: v[at] for k, v in values.items() if k != "z"},
            membership={"density_quantile": quantile[at], "support": support[at]}, evidence=item.evidence,
            log_likelihood=likelihood[at][..., :n], stats={k: v[at] for k, v in stats.items()},
            sweeps=item.sweeps, notes=item.notes, method=task.method, seed=seed, predictive=after.take(row, n),
            prior_predictive=before.take(row, n), wall_s=(time.perf_counter() - began) / len(items),
            provenance={**record, "modes": int(modes[r] if rows else modes),
                        **{k: v[r].item() if isinstance(v, Tensor) else v for k, v in extra.items()}},
        ))  # fmt: skip
    return out


def _draw(
    task: Task, density: LogDensity, coordinates: Affine, rows: tuple[int, ...], seed: int
) -> tuple[Tensor, dict[str, Tensor], dict[str, Any]]:
    """Draws ``(chain, draw, *recording, size)``, the sampler's record per draw, and its record per recording."""
    if task.method != "importance":
        result = _run(task, task.method, density, coordinates, rows, seed)
        return result.flat, result.stats(), {"gradients": result.gradients}
    n = task.chains * task.draws
    found = importance.sample(density, coordinates, draws=PROPOSALS * n, seed=seed)
    at = found.resample(n, torch.Generator().manual_seed(seed))
    flat = found.flat.gather(0, at[..., None].expand(*at.shape, found.flat.shape[-1]))
    return (
        flat[None],
        {"lp": found.log_density.gather(0, at)[None]},
        {"k_hat": found.k_hat, "effective": found.effective},
    )


def _quick(chains: int) -> ExitStack:
    """Sampling conditions: no checks of shapes that were checked before, one thread for small batches."""
    stack = ExitStack()
    checks = ("validate_distributions_pyro", "validate_distributions_torch", "validate_poutine", "validate_infer")
    stack.enter_context(pyro.settings.context(**dict.fromkeys(checks, False)))
    if chains <= MANY:
        stack.enter_context(single_thread())
    return stack


def _run(
    task: Task, method: Method, density: LogDensity, coordinates: Affine, rows: tuple[int, ...], seed: int
) -> hmc.Chains:
    """Sample; for NUTS a batched run does the warm-up: it settles coordinates, step size and starting points."""
    generator = torch.Generator().manual_seed(seed)
    start = SPREAD * torch.randn(task.chains, *rows, density.size, generator=generator, dtype=torch.float64)
    batched = partial(hmc.sample, density, coordinates, start, warmup=task.warmup, seed=seed, progress=task.progress)
    if method == "hmc":
        return batched(draws=task.draws)
    warm = batched(draws=1)
    return nuts.sample(density, warm.coordinates, warm.coordinates.white(warm.flat[:, -1]), draws=task.draws, seed=seed,
                       step_size=1.15 * float(warm.step_size.min()), progress=task.progress)  # fmt: skip


def locate(density: LogDensity, rows: tuple[int, ...], seed: int) -> tuple[Affine, Tensor]:
    """White coordinates around the best of many climbs, and how many distinct modes the climbs ended in.

    A mode counts if it lies within five nats of the best and more than five posterior SDs (root mean square) from it.

    Args:
        density: The log density.
        rows: Recordings in the batch.
        seed: Seed of the starting points.
    """
    broad, starts = prior_coordinates(density, rows, seed)
    reached, height = climb(density, broad, broad.white(starts), steps=12)
    ahead = height.topk(FINALISTS, 0).indices[..., None].expand(FINALISTS, *reached.shape[1:])
    reached, height = climb(density, broad, reached.gather(0, ahead))
    best = height.argmax(0)[None, ..., None].expand(1, *reached.shape[1:])
    coordinates = laplace(density, broad, reached.gather(0, best)[0])
    far = coordinates.white(broad(reached)).norm(dim=-1) > 5.0 * density.size**0.5
    return coordinates, 1 + (far & (height > height.amax(0) - 5.0)).any(0).to(torch.int64)


def prior_coordinates(density: LogDensity, rows: tuple[int, ...], seed: int) -> tuple[Affine, Tensor]:
    """Coordinates in which the prior has unit scale, and draws of the prior to start from.

    Args:
        density: The program's log density.
        rows: Recordings in the batch.
        seed: Seed of the prior draws.
    """
    n = max(STARTS, 1024 // prod(rows))
    with seeded(seed), torch.no_grad():
        trace: Any = poutine.trace(density.program).get_trace(batch=(n, *rows))
    flat = density.pack({site.name: trace.nodes[site.name]["value"] for site in density.sites})
    pool = flat.reshape(-1, density.size)
    scale = torch.linalg.cholesky(torch.cov(pool.T) + 1e-9 * torch.eye(density.size, dtype=pool.dtype))
    return Affine(centre=pool.mean(0), scale=scale), flat[:STARTS]
