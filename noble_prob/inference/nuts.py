"""Pyro's NUTS in white coordinates: the reference that the batched sampler is held against.

The No-U-Turn Sampler (Hoffman and Gelman 2014) as Pyro has it, given the program's log density in white coordinates
(:mod:`noble_prob.inference.whiten`), where its trees stay shallow and the identity is a good mass matrix; step size
and starting points come from a short run of the batched sampler (its draws are thrown away). Pyro has no vectorised
chains; the chains are run in lock step (:mod:`noble_prob.inference.lockstep`), so that one pass through the decoder
serves all of them.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pyro
import torch
from jaxtyping import Float
from pyro.infer import NUTS
from torch import Tensor
from tqdm import tqdm

from noble_prob.inference import lockstep
from noble_prob.inference.density import LogDensity
from noble_prob.inference.hmc import Chains
from noble_prob.inference.straight import Coordinates
from noble_prob.priors import seeded


def sample(
    density: LogDensity, coordinates: Coordinates, start: Float[Tensor, "chain size"], *,
    step_size: float, draws: int, seed: int, progress: bool = False,
) -> Chains:  # fmt: skip
    """Run the chains of one recording.

    Args:
        density: Log density on ``(chain, size)``.
        coordinates: White coordinates.
        start: Starting point of every chain, in white coordinates.
        step_size: Leapfrog step in these coordinates, as the batched warm-up found it.
        draws: Draws kept per chain.
        seed: Seed of everything random.
        progress: Show a bar on stderr.
    """

    def evaluate(w: Tensor) -> tuple[Tensor, Tensor]:
        value, slope = coordinates.pull_back(density, w)
        return -torch.where(torch.isfinite(value), value, -1e10), -slope

    bar = tqdm(total=len(start) * draws, desc="nuts", unit="draw", leave=None, disable=not progress)
    flags = {name: value for name, value in pyro.settings.get().items() if name.startswith("validate")}
    with seeded(seed), bar, pyro.settings.context(**flags):  # kernels switch these off and on, each in its own time
        chains = [partial(_chain, w, step_size, draws, bar) for w in start]
        runs, gradients = lockstep.run(chains, evaluate)
    flat, acceptance, diverging, steps = (torch.stack([run[i] for run in runs]) for i in range(4))
    flat = coordinates(flat)
    with torch.no_grad():
        value = density(flat.flatten(0, 1)).reshape(flat.shape[:2])
    return Chains(flat=flat, log_density=value, acceptance=acceptance, diverging=diverging, n_steps=steps,
                  step_size=torch.tensor([run[4] for run in runs]), gradients=gradients,
                  coordinates=coordinates)  # fmt: skip


def _chain(
    start: Tensor, step_size: float, draws: int, bar: Any, potential: lockstep.Potential
) -> tuple[Tensor, Tensor, Tensor, Tensor, float]:
    """One chain: draws in white coordinates, acceptance, divergences, leapfrog steps, step size."""
    calls, kept, acceptance, steps = [0], [], [], []

    def energy(params: dict[str, Tensor]) -> Tensor:
        calls[0] += 1
        return potential(params["w"])

    kernel = NUTS(potential_fn=energy, step_size=step_size, adapt_step_size=False, adapt_mass_matrix=False)
    params = kernel.initial_params = {"w": start}
    kernel.setup(0)
    for _ in range(draws):
        before = calls[0]
        params = kernel.sample(params)
        bar.update(1)
        kept.append(params["w"].detach())
        acceptance.append(float(kernel._mean_accept_prob))
        steps.append(calls[0] - before)
    diverging = torch.zeros(draws, dtype=torch.bool)
    diverging[list(kernel.diagnostics()["divergences"])] = True
    record = torch.tensor(acceptance, dtype=torch.float64)
    return torch.stack(kept), record, diverging, torch.tensor(steps), float(kernel.step_size)
