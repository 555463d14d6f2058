"""A batch of recordings through one program: locate, sample, and package each recording's share.

Everything here has a leading recording axis, or none for a single recording (NUTS). What is needed of the draws decides
how far one goes: :func:`draw_latents` stops at the draws, which is what calibration by simulation wants thousands of;
:func:`posteriors` adds likelihoods, predictive draws and the relation to the population.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import Any

import pyro
import torch
from jaxtyping import Float
from torch import Tensor

from noble_prob.decoder.base import identity_of
from noble_prob.inference.density import LogDensity
from noble_prob.inference.draw import Draws, draw
from noble_prob.inference.importance import BELIEVABLE
from noble_prob.inference.observe import Observation, stack
from noble_prob.inference.posterior import Posterior
from noble_prob.inference.predict import Replays, likelihoods, predict
from noble_prob.inference.task import ONE_BY_ONE, WEIGHTED, Task
from noble_prob.noise import Evidence
from noble_prob.priors import derive, single_thread
from noble_prob.recording.made import made_by

PREDICTIVE = 400
MANY = 256
"""Chains from which on more than one CPU thread pays."""


def draw_latents(
    task: Task, evidences: Sequence[Evidence], *, seed: int
) -> Float[Tensor, "recording chain draw latent"]:
    """Posterior draws of the standardised latents of many recordings, and nothing else (a batched method).

    Recordings whose importance weights can not be believed get chains, as by an explicit number of draws in
    :func:`~noble_prob.inference.infer.infer`.

    Args:
        task: What to do; its method is not ``nuts`` or ``svi``.
        evidences: One per recording.
        seed: Seed of everything random.
    """
    evidence = stack(evidences).to(task.device)
    rows, density = (len(evidences),), task.density(evidence)
    with _quick(task, len(evidences)):
        found = draw(task, density, evidence, rows, seed)
        values, _ = density.unpack(found.flat)
    z = values["z"].permute(2, 0, 1, 3).reshape(len(evidences), task.chains, task.draws, -1).cpu()
    shapes = found.record.get("k_hat")
    bad = [] if shapes is None else [k for k, shape in enumerate(shapes.tolist()) if not shape <= BELIEVABLE]
    if bad:
        z[bad] = draw_latents(replace(task, method="hmc"), [evidences[k] for k in bad], seed=derive("instead", seed))
    return z


def posteriors(task: Task, items: Sequence[Observation], *, seed: int) -> list[Posterior]:
    """Posteriors of a batch of recordings (of one, for NUTS).

    Args:
        task: What to do.
        items: Observations of the recordings.
        seed: Seed of everything random.
    """
    began = time.perf_counter()
    single = task.method in ONE_BY_ONE
    evidence = (items[0].evidence if single else stack([item.evidence for item in items])).to(task.device)
    with _quick(task, len(items)), torch.no_grad():
        found, drawn, after, before = _sampled(task, evidence, seed)
    out = []
    for r, item in enumerate(items):
        row, n = (None if single else r), len(item.evidence.design)
        own = drawn if row is None else _of_recording(drawn, row)
        out.append(
            Posterior(
                space=task.prior.space,
                latents=own["latents"]["latents"],
                log_likelihood=own["sweeps"]["sweeps"][..., :n],
                scales=own["scales"],
                membership=own["membership"],
                stats=own["stats"],
                evidence=item.evidence,
                sweeps=item.sweeps,
                notes=item.notes,
                method=task.method,
                seed=seed,
                predictive=after.take(row, n),
                prior_predictive=before.take(row, n),
                wall_s=(time.perf_counter() - began) / len(items),
                provenance=_provenance(task, found, row, item, len(items)),
            )
        )
    return out


def _sampled(task: Task, evidence: Evidence, seed: int) -> tuple[Draws, dict[str, dict[str, Tensor]], Replays, Replays]:
    """Draws, what is known of each, and replays: of the posterior, then of the prior."""
    rows = tuple(evidence.design.current_pa.shape[:-1])
    density, model = task.density(evidence), task.model(evidence)
    found = draw(task, density, evidence, rows, seed)
    values, _ = density.unpack(found.flat)
    drawn = _about(task, density, evidence, found, values)
    after = predict(model, task.prior, values, evidence, n=PREDICTIVE, seed=derive("predictive", seed)).cpu()
    before = predict(model, task.prior, None, evidence, n=PREDICTIVE, seed=derive("prior predictive", seed)).cpu()
    return found, drawn, after, before


def _of_recording(drawn: Mapping[str, Mapping[str, Tensor]], r: int) -> dict[str, dict[str, Tensor]]:
    """What is known of the draws of one recording of a batch."""
    return {part: {name: value[:, :, r] for name, value in tensors.items()} for part, tensors in drawn.items()}


def _about(
    task: Task, density: LogDensity, evidence: Evidence, found: Draws, values: Mapping[str, Tensor]
) -> dict[str, dict[str, Tensor]]:
    """What is known of every draw, by part and name, on the CPU, each ``(chain, draw, *recording, ...)``."""
    z = values["z"]
    sweeps, whole = likelihoods(density, values, evidence)
    latents = task.prior.space.unstandardise(z)
    parts = {
        "latents": {"latents": latents},
        "scales": {name: value for name, value in values.items() if name != "z"},
        "sweeps": {"sweeps": sweeps},
        "stats": {**found.stats, "log_prior": task.prior.log_prob(z), "log_likelihood": whole},
        "membership": {
            "density_quantile": task.prior.quantile_of_density(z),
            "support": task.decoder.support(latents).double(),
        },
    }
    return {part: {name: value.cpu() for name, value in tensors.items()} for part, tensors in parts.items()}


def _provenance(task: Task, found: Draws, row: int | None, item: Observation, batch: int) -> dict[str, Any]:
    """Settings, the sampler's record, and where the recording came from."""
    record = {k: (v if row is None else v[row]).item() if isinstance(v, Tensor) else v for k, v in found.record.items()}
    return {
        **identity_of(task.decoder),
        "made_by": made_by(),
        "prior": task.prior.kind,
        "robust": task.robust,
        "chains": found.flat.shape[0],
        "warmup": task.warmup,
        "draws": found.flat.shape[1],
        "batch": batch,
        "noise_prior": asdict(task.noise),
        **record,
        **({"recording": dict(item.source)} if item.source else {}),
    }


def _quick(task: Task, recordings: int) -> ExitStack:
    """Sampling conditions: no checks of shapes that were checked before, one thread for one recording or few chains.

    Two threads take a recording by ``npe`` in 0.7 s where one takes 0.9, but on a machine with one other busy process
    they wait for each other: 3 s, where one takes 1 s.
    """
    stack = ExitStack()
    checks = ("validate_distributions_pyro", "validate_distributions_torch", "validate_poutine", "validate_infer")
    stack.enter_context(pyro.settings.context(**dict.fromkeys(checks, False)))
    few = recordings == 1 if task.method in WEIGHTED else recordings * task.chains <= MANY
    if few:
        stack.enter_context(single_thread())
    return stack
