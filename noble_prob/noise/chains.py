"""Chains of NUTS for the models of trial noise, one after the other, each with a seed of its own."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import arviz as az
import numpy as np
import pyro
import torch
from jaxtyping import Float
from pyro.infer import MCMC, NUTS
from torch import Tensor

from noble_prob.jobs.bars import counter
from noble_prob.priors.pyro_state import undisturbed
from noble_prob.priors.rng import derive, seeded
from noble_prob.priors.threads import single_thread
from noble_prob.priors.tracing import can_trace

SETTLED = 1.01
"""Largest R-hat of chains that agree."""


@undisturbed()
def run_chains(
    model: Callable[..., object],
    *data: object,
    draws: int,
    warmup: int,
    chains: int,
    seed: int,
    start: Callable[..., object] | None = None,
    progress: bool = False,
) -> tuple[dict[str, Float[Tensor, "chain draw *event"]], int]:
    """Draws of every latent site, and the number of divergent trajectories.

    Args:
        model: Pyro model.
        data: Its arguments.
        draws: Draws kept per chain.
        warmup: Draws thrown away per chain.
        chains: Chains.
        seed: Seed of everything random.
        start: Initialisation strategy of Pyro; its own where not given.
        progress: Show a bar on stderr.
    """
    runs, divergences = [], 0
    options = {} if start is None else {"init_strategy": start}
    shown = counter(total=chains * (warmup + draws), desc="trial noise", unit="draw", leave=None, show=progress)
    with shown, warnings.catch_warnings(), single_thread(), pyro.validation_enabled(False):
        warnings.simplefilter("ignore", FutureWarning)  # tracing is 2.5 times faster, and deprecated
        for chain in range(chains):
            with seeded(derive("chain", seed, chain)):
                kernel = NUTS(
                    model,
                    max_tree_depth=6,
                    target_accept_prob=0.85,
                    jit_compile=can_trace(),
                    ignore_jit_warnings=True,
                    **options,
                )
                mcmc = MCMC(
                    kernel,
                    num_samples=draws,
                    warmup_steps=warmup,
                    disable_progbar=True,
                    hook_fn=lambda *_: shown.update(1),
                )
                mcmc.run(*data)
                runs.append(mcmc.get_samples())
                divergences += sum(map(len, mcmc.diagnostics()["divergences"].values()))
    return {name: torch.stack([run[name] for run in runs]) for name in runs[0]}, divergences


def warn_unsettled(r_hat: float, what: str) -> None:
    """Warn whoever uses a fit whose chains do not agree; R-hat is NaN where one stood still.

    Args:
        r_hat: Largest split R-hat of the fit.
        what: The fit, in words.
    """
    if not r_hat <= SETTLED:
        text = (
            f"The chains of {what} have not settled: R-hat is {r_hat:.3f}, not {SETTLED} or less. Fit with more draws."
        )
        warnings.warn(text, UserWarning, stacklevel=3)


def worst_r_hat(draws: Float[Tensor, "chain draw *event"]) -> float:
    """Largest rank-normalised split R-hat over the event.

    Args:
        draws: Of the chains; the halves of a single one count as two.
    """
    if len(draws) == 1:
        draws = draws[0, : draws.shape[1] // 2 * 2].unflatten(0, (2, -1))
    return float(np.max(az.rhat(draws.numpy())))
