"""Pyro's NUTS in white coordinates: the reference that the batched sampler is held against.

The No-U-Turn Sampler (Hoffman and Gelman 2014) as Pyro has it, given the program's log density in white coordinates
(:mod:`noble_prob.inference.whiten`), where its trees stay shallow and the identity is a good mass matrix; step size
and starting points come from a short run of the batched sampler (its draws are thrown away). Pyro has no vectorised
chains; the chains are run in lock step (:mod:`noble_prob.inference.lockstep`), so that one pass through the decoder
serves several of them. On a processor there are two groups: the density of the one, which is replayed without Python
(:mod:`noble_prob.inference.recorded`), is computed while Python builds the trees of the other.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pyro
import torch
from jaxtyping import Float
from pyro.infer import NUTS
from torch import Tensor

from noble_prob.inference import lockstep
from noble_prob.inference.density import LogDensity
from noble_prob.inference.hmc import Chains
from noble_prob.inference.recorded import Recorded
from noble_prob.inference.straight import Coordinates
from noble_prob.jobs.bars import counter
from noble_prob.priors import derive, seeded

GROUPS = 2
"""Groups of chains on a processor."""


class Energy:
    """Minus the log density over white coordinates and its gradient, for points that come in the same number.

    Args:
        density: Log density on ``(chain, size)``.
        coordinates: White coordinates.
    """

    def __init__(self, density: LogDensity, coordinates: Coordinates):
        self.density, self.coordinates = density, coordinates
        self._recorded = Recorded(partial(coordinates.log_density, density), patience=1)

    def __call__(self, w: Float[Tensor, "chain size"]) -> tuple[Float[Tensor, " chain"], Float[Tensor, "chain size"]]:
        """Energies and slopes; a point where either is not finite is a wall."""
        value, slope = self._recorded(w)
        good = torch.isfinite(value) & torch.isfinite(slope).all(-1)
        return -torch.where(good, value, -WALL), -torch.where(good[:, None], slope, 0.0)

    def groups(self, start: Float[Tensor, "chain size"]) -> int:
        """Into how many groups chains are split: several where all can be evaluated side by side, without Python."""
        if start.device.type != "cpu" or len(start) < GROUPS:
            return 1
        parts = [torch.stack(list(part)) for part in lockstep.split(start.unbind(), GROUPS)]
        for part in parts:
            self(part)
        return GROUPS if all(self._recorded.is_replayed(part.shape) for part in parts) else 1


WALL = 1e10
"""Energy where the density is not finite."""


def sample(
    energy: Energy,
    start: Float[Tensor, "chain size"],
    *,
    step_size: float,
    draws: int,
    seed: int,
    progress: bool = False,
    title: str = "nuts",
) -> Chains:
    """Run the chains of one recording.

    Args:
        energy: Of points in white coordinates.
        start: Starting point of every chain, in white coordinates.
        step_size: Leapfrog step in these coordinates, as the batched warm-up found it.
        draws: Draws kept per chain.
        seed: Seed of everything random.
        progress: Show a bar on stderr.
        title: Of the bar.
    """
    shown = counter(total=len(start) * draws, desc=title, unit="draw", leave=None, show=progress)
    flags = {name: value for name, value in pyro.settings.get().items() if name.startswith("validate")}
    with (
        seeded(derive("nuts", seed)),
        shown,
        pyro.settings.context(**flags),
    ):  # kernels switch these off and on, each in its own time
        chains = [partial(_chain, w, step_size, draws, shown) for w in start]
        runs, gradients = lockstep.run(chains, energy, groups=energy.groups(start))
    flat, acceptance, diverging, steps = (torch.stack([run[i] for run in runs]) for i in range(4))
    flat = energy.coordinates(flat)
    with torch.no_grad():
        value = energy.density(flat.flatten(0, 1)).reshape(flat.shape[:2])
    return Chains(
        flat=flat,
        log_density=value,
        acceptance=acceptance,
        diverging=diverging,
        n_steps=steps,
        step_size=torch.tensor([run[4] for run in runs]),
        gradients=gradients,
        coordinates=energy.coordinates,
    )


def _chain(
    start: Tensor, step_size: float, draws: int, shown: Any, potential: lockstep.Potential
) -> tuple[Tensor, Tensor, Tensor, Tensor, float]:
    """One chain: draws in white coordinates, acceptance, divergences, leapfrog steps, step size."""
    calls, kept, mean = [0], [], []

    def energy(params: dict[str, Tensor]) -> Tensor:
        calls[0] += 1
        return potential(params["w"])

    kernel = NUTS(potential_fn=energy, step_size=step_size, adapt_step_size=False, adapt_mass_matrix=False)
    params = kernel.initial_params = {"w": start}
    kernel.setup(0)
    steps = [calls[0]]  # of all draws so far
    for _ in range(draws):
        params = kernel.sample(params)
        shown.update(1)
        kept.append(params["w"].detach())
        mean.append(getattr(kernel, "_mean_accept_prob", torch.nan))  # of all draws so far, too
        steps.append(calls[0])
    diverging = torch.zeros(draws, dtype=torch.bool)
    diverging[list(kernel.diagnostics()["divergences"])] = True
    acceptance = _each(mean, float(kernel.diagnostics()["acceptance rate"]))
    return torch.stack(kept), acceptance, diverging, torch.diff(torch.tensor(steps)), float(kernel.step_size)


def _each(mean: list[float], overall: float) -> Float[Tensor, " draw"]:
    """Acceptance of each draw from the means of all so far; the overall one where Pyro keeps none by this name."""
    total = torch.tensor([0.0, *mean], dtype=torch.float64) * torch.arange(len(mean) + 1)
    return torch.diff(total).clamp(0.0, 1.0).nan_to_num(overall)
