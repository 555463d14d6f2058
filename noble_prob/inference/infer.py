"""One verb from a recording to a posterior: observe, find the mode, whiten, sample, predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args, overload

from noble_prob.amortised import Estimator
from noble_prob.decoder.base import Decoder, require_decoder
from noble_prob.decoder.device import require_device
from noble_prob.errors import require, require_kind, require_memory, require_seed
from noble_prob.inference.batch import posteriors
from noble_prob.inference.belongs import prior_of_another_cell
from noble_prob.inference.instead import FallBack, replace_unbelievable, with_more_draws, without_stranger
from noble_prob.inference.looked import observe_steps
from noble_prob.inference.observe import Observation
from noble_prob.inference.posterior import Posterior
from noble_prob.inference.task import BATCH, ONE_BY_ONE, SETTINGS, WEIGHTED, Method, Task, require_length
from noble_prob.latent import require_latents
from noble_prob.noise import Evidence, NoisePrior
from noble_prob.priors import Prior, derive, undisturbed
from noble_prob.priors.base import require_prior
from noble_prob.recording import Recording

BATCH_GPU = 256
"""Recordings that are sampled side by side on a graphics card."""
NEEDED = 40
"""Bytes that a number of a draw takes at least: the draw itself, on the reals and in the posterior, and its record."""


@overload
def infer(recordings: Recording, *, decoder: Decoder, prior: Prior, **settings: Any) -> Posterior: ...
@overload
def infer(recordings: Sequence[Recording], *, decoder: Decoder, prior: Prior, **settings: Any) -> list[Posterior]: ...
@undisturbed()  # type: ignore[misc]
def infer(
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
    estimator: Estimator | None = None,
    fall_back: FallBack = True,
    device: str = "cpu",
    progress: bool = False,
) -> Posterior | list[Posterior]:
    """Posterior of a neuron's latent features from its recording.

    Chains are NUTS (Hoffman and Gelman 2014) or Hamiltonian Monte Carlo; importance weights are smoothed and judged by
    the shape of their Pareto tail (PSIS, Vehtari et al. 2024). Threads that infer wait for each other.

    Args:
        recordings: Sweeps of one neuron under current steps of 100 ms or more; or several recordings of that kind.
        decoder: Predicts responses from latents; states its own error.
        prior: The population the neuron is believed to come from.
        method: ``nuts`` (Pyro's, the reference), ``hmc`` (all chains and recordings in one batch, faster),
            ``importance`` (draws of a fitted proposal, resampled by their weights and then moved by a Hamiltonian
            trajectory, so that all count alike), ``npe`` (the same begun by an amortised flow, fastest) or ``svi`` (a
            variational flow, for comparison). Where weights fail, chains are run: ``nuts`` for one recording on a
            processor, else ``hmc``.
        noise: What is believed about trial noise; by default that of a patch-clamp recording.
        robust: Student-t likelihood of the summary features, for real data; False for data from the program itself.
        seed: Seed of everything random. The posterior of a recording in a list depends on its place and on the others
            too, for recordings are sampled side by side: the same list and seed give the same posteriors, the same
            recording twice in a list two sets of draws.
        chains: Number of chains.
        warmup: Draws thrown away per chain of ``nuts`` and ``hmc``; by the method if not given.
        draws: Draws kept per chain; by the method if not given, and for ``nuts`` as many as it takes to converge.
        estimator: The cell's amortised posterior, for ``npe``.
        fall_back: Whether chains, which can take minutes, are run where weights fail; False keeps the weighted draws,
            and NP104 says that they may not be believed. A function is asked, with the weighted posterior.
        device: Where the densities are evaluated: the decoder's device.
        progress: Show bars on stderr.

    Returns:
        A posterior, or one per recording: none for an empty list.

    Raises:
        UsageError: If a recording has no usable step or is an ensemble, an argument is out of range, of another kind or
            none of the method's, or the device is not there.
    """
    require_length(chains, warmup, draws)
    _require_warms_up(method, warmup)
    seed = require_seed(seed)
    require_device(device)
    one = isinstance(recordings, Recording)
    observations = [observe_steps(r, decoder) for r in _each(recordings, decoder, prior)]
    found = infer_evidence(
        observations,
        decoder=decoder,
        prior=prior,
        method=method,
        noise=noise,
        robust=robust,
        seed=seed,
        chains=chains,
        warmup=warmup,
        draws=draws,
        estimator=estimator,
        fall_back=fall_back,
        device=device,
        progress=progress,
    )
    return found[0] if one else found


@undisturbed()
def infer_evidence(
    observations: Sequence[Observation | Evidence],
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
    estimator: Estimator | None = None,
    fall_back: FallBack = True,
    device: str = "cpu",
    progress: bool = False,
) -> list[Posterior]:
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
        estimator: See :func:`infer`.
        fall_back: See :func:`infer`.
        device: See :func:`infer`.
        progress: See :func:`infer`.

    Raises:
        UsageError: As :func:`infer`.
    """
    _require_choices(method, noise)
    require_length(chains, warmup, draws)
    _require_warms_up(method, warmup)
    seed = require_seed(seed)
    require_device(device)
    _require_of_one_cell(decoder, prior, estimator)
    usual = SETTINGS[method]
    length = (usual[0] if warmup is None else warmup, usual[1] if draws is None else draws)
    items = _with_notes(observations, decoder, prior)
    require_memory(NEEDED * chains * length[1] * len(prior.space), "draws", f"{chains:,} chains of {length[1]:,} draws")
    task = Task(
        decoder=decoder,
        prior=prior.to(device),
        noise=noise or NoisePrior(),
        robust=robust,
        method=method,
        chains=chains,
        warmup=length[0],
        draws=length[1],
        estimator=estimator,
        device=device,
        until_converged=draws is None,
        progress=progress,
    )
    if method == "npe":
        task, items = without_stranger(task, items)
    return [_asked(p, method, seed) for p in _sampled(task, items, seed, fall_back)]


def _sampled(task: Task, items: Sequence[Observation], seed: int, fall_back: FallBack) -> list[Posterior]:
    """Posteriors one by one or batch by batch, as the method has it, with chains where weights fail."""
    if task.method in ONE_BY_ONE:
        return [posteriors(task, [item], seed=derive("recording", seed, k))[0] for k, item in enumerate(items)]
    size = BATCH if task.device == "cpu" else BATCH_GPU
    starts = range(0, len(items), size)
    found = [p for at in starts for p in posteriors(task, items[at : at + size], seed=derive("recording", seed, at))]
    if task.method not in WEIGHTED:
        return found
    if task.until_converged:
        found = with_more_draws(found, items, task, seed)
    return replace_unbelievable(found, items, task, seed, fall_back)


def _with_notes(observations: Sequence[Observation | Evidence], decoder: Decoder, prior: Prior) -> list[Observation]:
    """Observations of all, each with a note if decoder and prior are of different cells."""
    items = [
        o if isinstance(o, Observation) else Observation(evidence=o, sweeps=tuple(range(len(o.design))), notes=())
        for o in observations
    ]
    note = prior_of_another_cell(decoder, prior) if items else None
    return items if note is None else [replace(item, notes=(*item.notes, note)) for item in items]


def _each(recordings: object, decoder: object, prior: object) -> list[Recording]:
    """The recordings one by one, after a look at what was passed: files and whole cells are what people try."""
    require_decoder(decoder)
    require_prior(prior)
    many = isinstance(recordings, Sequence) and not isinstance(recordings, str)
    each: list[Any] = list(recordings) if many else [recordings]  # type: ignore[call-overload]
    other = next((r for r in each if not isinstance(r, Recording)), None)
    require(
        other is None,
        "recordings",
        "a Recording or a list of them",
        f"a {type(other).__name__}",
        "read files with noble_prob.read; put voltage and protocol into a Recording",
    )
    return each


def _require_choices(method: Method, noise: NoisePrior | None) -> None:
    """Refuse a method that there is not, and noise of another kind."""
    require(method in get_args(Method), "method", f"one of {get_args(Method)}", method, "pick one of them")
    require_kind(noise or NoisePrior(), NoisePrior, "noise", "pass noble_prob.NoisePrior(), or NoisePrior.simulated()")


def _require_warms_up(method: Method, warmup: int | None) -> None:
    """Refuse a warm-up that no chain would have."""
    require(
        warmup is None or method not in (*WEIGHTED, "svi"),
        "warmup",
        f"left out for {method}, which runs no chains that warm up",
        warmup,
        "leave it out, or ask for method='nuts' or 'hmc'",
    )


def _require_of_one_cell(decoder: Decoder, prior: Prior, estimator: Estimator | None) -> None:
    """Refuse a prior of other latents than the decoder's, a decoder of unknown error, and what is no estimator."""
    expected = f"over the {len(decoder.space)} latents of the decoder"
    require_latents(prior.space, decoder.space, "prior", expected, "use the prior that belongs to the decoder")
    require(
        getattr(decoder, "measured_error", decoder) is not None,
        "decoder",
        "one whose error was measured, for it is part of the likelihood",
        f"a {type(decoder).__name__} without",
        "use a cell's own decoder",
    )
    if estimator is not None:
        require_kind(estimator, Estimator, "estimator", "pass cell.estimator", "an Estimator")


def _asked(posterior: Posterior, method: Method, seed: int) -> Posterior:
    """The posterior, which remembers the seed it was asked for with, and the method where it is another."""
    other = {} if posterior.method == method else {"asked": method}
    return replace(posterior, seed=seed, provenance={**posterior.provenance, **other})
