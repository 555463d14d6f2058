"""One verb from a recording to a posterior: observe, find the mode, whiten, sample, predict."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, Literal, get_args, overload

import pyro
import torch
from pyro import poutine
from torch import Tensor

from noble_prob.decoder.base import Decoder
from noble_prob.errors import require
from noble_prob.inference import hmc, nuts
from noble_prob.inference.density import LogDensity
from noble_prob.inference.observe import Observation, observe, stack
from noble_prob.inference.posterior import Posterior
from noble_prob.inference.predict import likelihood_by_sweep, predict
from noble_prob.inference.whiten import Affine, climb, laplace
from noble_prob.noise import Evidence, NoisePrior
from noble_prob.priors import Prior, seeded, single_thread
from noble_prob.program import program
from noble_prob.recording import Recording

Method = Literal["nuts", "hmc"]
"""Samplers: Pyro's NUTS, one chain after the other; batched Hamiltonian chains, all at once."""
STARTS, SPREAD, PREDICTIVE = 24, 1.5, 400
MANY = 256
"""Chains from which on more than one CPU thread pays."""
SETTINGS: dict[str, tuple[int, int]] = {"nuts": (150, 500), "hmc": (200, 800)}


@overload
def infer(recordings: Recording, *, decoder: Decoder, prior: Prior, **settings: Any) -> Posterior: ...
@overload
def infer(recordings: Sequence[Recording], *, decoder: Decoder, prior: Prior, **settings: Any) -> list[Posterior]: ...
def infer(  # type: ignore[misc]
    recordings: Recording | Sequence[Recording],
    *,
    decoder: Decoder,
    prior: Prior,
    method: Method = "nuts",
    noise: NoisePrior | None = None,
    robust: bool = True,
    seed: int = 0,
    chains: int = 4,
    warmup: int | None = None,
    draws: int | None = None,
    progress: bool = False,
) -> Posterior | list[Posterior]:
    """Posterior of a neuron's latent features from its recording.

    Args:
        recordings: Sweeps of one neuron under current steps of 100 ms or more; or several recordings of that kind.
        decoder: Predicts responses from latents; states its own error.
        prior: The population the neuron is believed to come from.
        method: ``nuts`` (Pyro's, the reference) or ``hmc`` (all chains and recordings in one batch, faster).
        noise: What is believed about trial noise; by default that of a patch-clamp recording.
        robust: Student-t likelihood of the summary features, for real data; False for data from the program itself.
        seed: Seed of everything random.
        chains: Number of chains.
        warmup: Draws thrown away per chain; by the method if not given.
        draws: Draws kept per chain; by the method if not given.
        progress: Show bars on stderr.

    Returns:
        A posterior, or one per recording.

    Raises:
        UsageError: If a recording has no usable step, is an ensemble, or an argument is out of range.
    """
    one = isinstance(recordings, Recording)
    observations = [observe(r, decoder) for r in ([recordings] if isinstance(recordings, Recording) else recordings)]
    posteriors = infer_evidence(
        observations, decoder=decoder, prior=prior, method=method, noise=noise, robust=robust, seed=seed,
        chains=chains, warmup=warmup, draws=draws, progress=progress,
    )  # fmt: skip
    return posteriors[0] if one else posteriors


def infer_evidence(
    observations: Sequence[Observation | Evidence], *, decoder: Decoder, prior: Prior, method: Method = "nuts",
    noise: NoisePrior | None = None, robust: bool = True, seed: int = 0, chains: int = 4, warmup: int | None = None,
    draws: int | None = None, progress: bool = False,
) -> list[Posterior]:  # fmt: skip
    """As :func:`infer`, from evidence that was already extracted (or drawn from the program).

    Args:
        observations: Evidence of each recording.
        decoder: See :func:`infer`.
        prior: See :func:`infer`.
        method: See :func:`infer`.
        noise: See :func:`infer`.
        robust: See :func:`infer`.
        seed: See :func:`infer`.
        chains: See :func:`infer`.
        warmup: See :func:`infer`.
        draws: See :func:`infer`.
        progress: See :func:`infer`.
    """
    require(method in get_args(Method), "method", f"one of {get_args(Method)}", method, "pick one of them")
    require(chains >= 2, "chains", "at least 2, for R-hat compares chains", chains, "pass chains=4")
    require(prior.space.names == decoder.space.names, "prior", f"over the decoder's latents {decoder.space.names}",
            prior.space.names, "use the prior that belongs to the decoder")  # fmt: skip
    usual = SETTINGS[method]
    length = (usual[0] if warmup is None else warmup, usual[1] if draws is None else draws)
    require(min(length) >= 4, "draws", "at least 4, as warmup", length, "ask for more draws")
    items = [o if isinstance(o, Observation) else Observation(evidence=o, sweeps=tuple(range(len(o.design))), notes=())
             for o in observations]  # fmt: skip
    run = partial(_sample, decoder=decoder, prior=prior, method=method, noise=noise or NoisePrior(), robust=robust,
                  chains=chains, length=length, progress=progress)  # fmt: skip
    if method == "hmc":
        return run(items, seed=seed)
    return [run([item], seed=seed + 104729 * k)[0] for k, item in enumerate(items)]


def _sample(
    items: Sequence[Observation], *, decoder: Decoder, prior: Prior, method: Method, noise: NoisePrior, robust: bool,
    seed: int, chains: int, length: tuple[int, int], progress: bool,
) -> list[Posterior]:  # fmt: skip
    """Sample a batch of recordings together."""
    began = time.perf_counter()
    evidence = stack([item.evidence for item in items]) if method == "hmc" else items[0].evidence
    model = partial(program, decoder, prior, evidence.design, noise=noise, robust=robust)
    density = LogDensity(partial(model, evidence=evidence))
    rows = tuple(evidence.design.current_pa.shape[:-1])
    checks = {"validate_distributions_pyro": False, "validate_poutine": False, "validate_infer": False}
    with single_thread() if len(items) * chains <= MANY else nullcontext(), pyro.settings.context(**checks):
        coordinates, modes = locate(density, rows, seed)
        generator = torch.Generator().manual_seed(seed)
        w = SPREAD * torch.randn(chains, *rows, density.size, generator=generator, dtype=torch.float64)
        result = _run(method, density, coordinates, w, length, seed, progress)
        values, _ = density.unpack(result.flat)
        likelihood = likelihood_by_sweep(density, values, evidence)
        after = predict(model, prior, values, evidence, n=PREDICTIVE, seed=seed)
        before = predict(model, prior, None, evidence, n=PREDICTIVE, seed=seed + 1)
        latents = prior.space.unstandardise(values["z"])
        with torch.no_grad():
            member = {"density_quantile": prior.quantile_of_density(values["z"]), "support": decoder.support(latents)}
    record = {
        "decoder": type(decoder).__name__, "prior": prior.kind, "robust": robust, "chains": chains,
        "warmup": length[0], "draws": length[1], "gradients": result.gradients, "batch": len(items),
    }  # fmt: skip
    posteriors = []
    for r, item in enumerate(items):
        row, n = (r if rows else None), len(item.evidence.design)
        at = (slice(None), slice(None), r) if rows else (slice(None), slice(None))
        posteriors.append(Posterior(
            space=prior.space, latents=latents[at], membership={k: v[at].double() for k, v in member.items()},
            scales={k: v[at] for k, v in values.items() if k != "z"}, log_likelihood=likelihood[at][..., :n],
            stats={name: value[at] for name, value in result.stats().items()}, evidence=item.evidence,
            sweeps=item.sweeps, notes=item.notes, method=method, seed=seed, predictive=after.take(row, n),
            prior_predictive=before.take(row, n), wall_s=(time.perf_counter() - began) / len(items),
            provenance={**record, "modes": int(modes[r] if rows else modes)},
        ))  # fmt: skip
    return posteriors


def _run(
    method: Method, density: LogDensity, coordinates: Affine, start: Tensor, length: tuple[int, int], seed: int,
    progress: bool,
) -> hmc.Chains:  # fmt: skip
    """Sample; for NUTS a batched run does the warm-up: it settles coordinates, step size and starting points."""
    if method == "hmc":
        return hmc.sample(density, coordinates, start, warmup=length[0], draws=length[1], seed=seed, progress=progress)
    warm = hmc.sample(density, coordinates, start, warmup=length[0], draws=1, seed=seed, progress=progress)
    return nuts.sample(density, warm.coordinates, warm.coordinates.white(warm.flat[:, -1]), draws=length[1], seed=seed,
                       step_size=float(warm.step_size.min()), progress=progress)  # fmt: skip


def locate(density: LogDensity, rows: tuple[int, ...], seed: int) -> tuple[Affine, Tensor]:
    """White coordinates around the best of many climbs, and how many distinct modes the climbs ended in.

    A mode counts if it lies within five nats of the best and more than five posterior SDs (root mean square) from it.

    Args:
        density: The log density.
        rows: Recordings in the batch.
        seed: Seed of the starting points.
    """
    broad, starts = prior_coordinates(density, rows, seed)
    reached, height = climb(density, broad, broad.white(starts))
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
    with seeded(seed), torch.no_grad():
        trace: Any = poutine.trace(density.program).get_trace(batch=(1024, *rows))
    flat = density.pack({site.name: trace.nodes[site.name]["value"] for site in density.sites})
    pool = flat.reshape(-1, density.size)
    scale = torch.linalg.cholesky(torch.cov(pool.T) + 1e-9 * torch.eye(density.size, dtype=pool.dtype))
    return Affine(centre=pool.mean(0), scale=scale), flat[:STARTS]
