"""Train an amortised posterior on draws of the program.

Draw latents and noise scales from their priors, steps at random, a recording from the program; let the conditional flow
assign its truth as much density as it can. The expectation of minus its log density is smallest at the exact posterior
(Papamakarios and Murray 2016), so nothing of a posterior needs to be known. A pool of recordings is drawn once; every
step of training looks at a random subset of the sweeps of a random part of it, since the posterior given some sweeps is
asked for as well. What the flow gets wrong, importance weights put right (:mod:`noble_prob.inference.importance`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pyro import poutine
from torch import Tensor, nn

from noble_prob.amortised.estimator import Estimator, fingerprint, new_network
from noble_prob.amortised.network import ConditionalFlow, Sizes
from noble_prob.amortised.tokens import size as token_size
from noble_prob.amortised.tokens import tokens
from noble_prob.decoder.base import Decoder
from noble_prob.errors import require, require_seed
from noble_prob.inference.belongs import probe
from noble_prob.inference.density import LogDensity
from noble_prob.inference.observe import mask_late
from noble_prob.jobs.bars import bar
from noble_prob.noise import Design, Evidence, NoisePrior, mask_undefined
from noble_prob.priors import Prior, derive, seeded, stream, undisturbed
from noble_prob.program import program
from noble_prob.recording.step import SHORTEST_STEP_MS
from noble_prob.training.loop import fit
from noble_prob.training.schedule import Schedule

SWEEPS, CHUNK, HELD_OUT = 12, 500, 1000


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Recordings drawn from the program, as rows, with their truths.

    Attributes:
        rows: Rows of all sweeps, shape ``(recording, sweep, token)``.
        truth: Unconstrained truths, shape ``(recording, size)``.
    """

    rows: Tensor
    truth: Tensor


class FlowTask:
    """Minus the log density of the truths, given random subsets of their sweeps."""

    def __init__(self, network: ConditionalFlow, pool: Pool, target: Tensor):
        self.module: nn.Module = network
        self.network, self.rows, self.target = network, pool.rows, target

    def draw(self, batch: int, generator: torch.Generator) -> Tensor:
        """Numbers of random recordings, then which of their sweeps are seen, shape ``(batch, 1 + sweep)``.

        The first recordings of the pool are kept for validation.
        """
        device, sweeps = generator.device, self.rows.shape[1]
        i = torch.randint(HELD_OUT, len(self.rows), (batch, 1), generator=generator, device=device)
        order = torch.rand(batch, sweeps, generator=generator, device=device).argsort(-1).argsort(-1)
        n = torch.randint(1, sweeps + 1, (batch, 1), generator=generator, device=device)
        return torch.cat([i, (order < n).to(i)], -1)

    def loss(self, rows: Tensor) -> Tensor:
        """Mean of minus the log density."""
        i, seen = rows[:, 0], rows[:, 1:] > 0
        return -self.network.log_prob(self.target[i], self.network.encode(self.rows[i], seen)).mean()

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """The same for recordings that were kept apart, given half of their sweeps."""
        rows = self.rows[:HELD_OUT, : self.rows.shape[1] // 2]
        context = self.network.encode(rows, torch.ones(rows.shape[:2], dtype=torch.bool, device=rows.device))
        return {"validation": float(-self.network.log_prob(self.target[:HELD_OUT], context).mean())}


@undisturbed()
def train_estimator(
    decoder: Decoder,
    prior: Prior,
    *,
    noise: NoisePrior | None = None,
    robust: bool = True,
    n: int = 40_000,
    schedule: Schedule | None = None,
    sizes: dict[str, int] | None = None,
    seed: int = 0,
    device: str = "cpu",
    folder: Path | None = None,
    progress: bool = False,
) -> Estimator:
    """Draw recordings, train a conditional flow on them.

    Args:
        decoder: Of the cell, on the device.
        prior: Of its neurons.
        noise: Priors of the noise scales.
        robust: Student-t features, as inference takes by default.
        n: Recordings drawn, of twelve sweeps each.
        schedule: Length and speed of training.
        sizes: Sizes of the network other than usual (fields of :class:`~noble_prob.amortised.network.Sizes`).
        seed: Of recordings, weights and order.
        device: Where it is trained.
        folder: Where the state of training is kept, to be continued after a stop; None keeps nothing.
        progress: Show bars on stderr.

    Raises:
        UsageError: If there are too few recordings to set some apart, or the folder holds another run.
    """
    seed = require_seed(seed)
    require(n >= 2 * HELD_OUT, "n", f"at least {2 * HELD_OUT} recordings", n, "draw more")
    began, noise = time.perf_counter(), noise or NoisePrior()
    schedule = replace(schedule or USUAL, seed=seed)
    pool, facts = draw_pool(decoder, prior, noise=noise, robust=robust, n=n, seed=seed, progress=progress)
    centre, scale = pool.truth.mean(0), torch.linalg.cholesky(torch.cov(pool.truth.T))
    target = torch.linalg.solve_triangular(scale, (pool.truth - centre).T, upper=False).T
    network = new_network(
        Sizes(token=pool.rows.shape[-1], size=target.shape[-1], **(sizes or {})), seed=derive("weights", seed)
    )
    task = FlowTask(network.to(device), Pool(rows=pool.rows.to(device), truth=pool.truth), target.float().to(device))
    belongs, answers = fingerprint(decoder, prior), probe(decoder, prior, noise=noise, robust=robust)
    about = {"belongs_to": belongs, "n": n, "robust": robust, "program": [f"{x:.4g}" for x in answers]}
    log = fit(task, schedule, folder, name="npe", about=about, captured=False, progress=progress)
    record = {**_recipe(n, schedule, robust, device), "validation": log[-1]["validation"]}
    trained = Estimator(
        network=network.cpu().eval().requires_grad_(False),
        sites=facts["sites"],
        summary_names=decoder.summary_names,
        belongs_to=belongs,
        facts={**record, "wall_s": round(time.perf_counter() - began, 1)},
        noise=noise,
        probe=answers,
        tensors={"centre": centre, "scale": scale, "feature_centre": facts["centre"], "feature_scale": facts["scale"]},
    )
    return replace(trained, answers=trained.asked())


def _recipe(n: int, schedule: Schedule, robust: bool, device: str) -> dict[str, Any]:
    """How an estimator was trained, for its card."""
    return {
        "recordings": n,
        "sweeps": SWEEPS,
        "steps": schedule.steps,
        "batch": schedule.batch,
        "seed": schedule.seed,
        "robust": robust,
        "device": device,
    }


USUAL = Schedule(steps=6000, batch=512, peak_lr=1e-3, ema=0.999, save_every=500, validate_every=500, clip=5.0)
"""What is trained where nothing else is said."""


def draw_pool(
    decoder: Decoder, prior: Prior, *, noise: NoisePrior, robust: bool, n: int, seed: int, progress: bool = False
) -> tuple[Pool, dict[str, Any]]:
    """Recordings from the program, and what is needed to read them.

    Args:
        decoder: Of the cell.
        prior: Of its neurons.
        noise: Priors of the noise scales.
        robust: Student-t features.
        n: How many.
        seed: Of everything random.
        progress: Show a bar on stderr.
    """
    density, truths, evidences = None, [], []
    for k in bar(range(0, n, CHUNK), desc="recordings", unit="batch", show=progress):
        generator = stream("designs", seed, k)
        design = random_design(decoder, min(CHUNK, n - k), generator)
        model = partial(program, decoder, prior, design, noise=noise, robust=robust)
        density = density or LogDensity(partial(program, decoder, prior, _one(design), noise=noise), observed=OBSERVED)
        with seeded(derive("recordings", seed, k)), torch.no_grad():
            nodes: Any = poutine.trace(model).get_trace(batch=(len(design.end_ms),)).nodes
        truths.append(density.pack({site.name: nodes[site.name]["value"] for site in density.sites}))
        times = nodes["spikes"]["value"]
        summary = mask_late(mask_undefined(nodes["summary"]["value"], times, design), design, decoder)
        evidences.append(Evidence(design=design, times_ms=times, summary=summary))
    assert density is not None
    centre, scale = _usual(torch.cat([e.summary.flatten(0, 1) for e in evidences]))
    rows = torch.cat([tokens(e, centre, scale)[0] for e in evidences])
    assert rows.shape[-1] == token_size(len(decoder.summary_names))
    sites = tuple((site.name, site.free_shape.numel()) for site in density.sites)
    return Pool(rows=rows, truth=torch.cat(truths)), {"sites": sites, "centre": centre, "scale": scale}


OBSERVED = ("spikes", "summary")


def random_design(decoder: Decoder, n: int, generator: torch.Generator) -> Design:
    """Steps of ``n`` recordings: any currents or a few levels repeated; mostly whole steps, else one length for all.

    Args:
        decoder: Gives range and length.
        n: Recordings.
        generator: Source of randomness.
    """

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    low, high = decoder.window.current_range_pa
    current = low + (high - low) * uniform(n, SWEEPS)
    levels = current.gather(1, (uniform(n, SWEEPS) * (1 + (SWEEPS - 1) * uniform(n, 1))).long())
    current = torch.where(uniform(n, 1) < 0.2, levels, current)
    longest = decoder.window.duration_ms
    short = SHORTEST_STEP_MS * (longest / SHORTEST_STEP_MS) ** uniform(n, 1)
    end = torch.where(uniform(n, 1) < 0.7, longest, short).expand(n, SWEEPS).contiguous()
    return Design(current_pa=current, end_ms=end, summary_names=decoder.summary_names)


def _one(design: Design) -> Design:
    return Design(current_pa=design.current_pa[0], end_ms=design.end_ms[0], summary_names=design.summary_names)


def _usual(summary: Tensor) -> tuple[Tensor, Tensor]:
    """Median and spread of every feature where it exists; nothing and one where it never does."""
    middle = summary.nanmedian(0).values.nan_to_num(0.0)
    spread = 1.4826 * (summary - middle).abs().nanmedian(0).values
    return middle, torch.where(torch.isfinite(spread) & (spread > 0), spread, 1.0)
