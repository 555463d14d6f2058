"""A population's posterior as an ArviZ DataTree, and its convergence."""

from __future__ import annotations

from typing import Any

import arviz as az
import torch

from noble_prob.inference.agreement import record
from noble_prob.inference.importance import resampled
from noble_prob.inference.population import Population
from noble_prob.priors import stream


def population_convergence(population: Population) -> dict[str, dict[str, float]]:
    """R-hat, bulk and tail effective sample size of every mean and SD.

    Args:
        population: Its draws, before weights.
    """
    rows = record(torch.cat([population.loc, population.sd.log()], -1))
    names = [f"{what} of {name}" for what in ("mean", "sd") for name in population.space.names]
    return dict(zip(names, rows, strict=True))


def population_datatree(population: Population) -> Any:
    """Groups ``posterior`` (``mean``, ``sd``, ``correlation`` over ``latent``) and ``sample_stats``.

    Where the draws have weights, ``posterior`` is resampled by these, so that ArviZ, which knows no weights, sees the
    right thing. The chains as they were are the group ``unweighted_posterior``, with ``weight`` in ``sample_stats``.

    Args:
        population: To be written; units are in the attribute ``units`` in the order of ``latent``.
    """
    raw = {"mean": population.loc.numpy(), "sd": population.sd.numpy(), "correlation": population.correlation.numpy()}
    stats = {name: value.numpy() for name, value in population.stats.items()}
    groups: dict[str, dict[str, Any]] = {"posterior": raw, "sample_stats": stats}
    if population.weights is not None:
        stats["weight"] = population.weights.numpy()
        generator = stream("resample", population.seed)
        at = resampled(population.flat_weights, population.weights.numel(), generator).numpy()
        at = at.reshape(population.loc.shape[:2])
        groups["posterior"] = {name: x.reshape(-1, *x.shape[2:])[at] for name, x in raw.items()}
        groups["unweighted_posterior"] = raw
    tree = az.from_dict(
        groups,
        coords={"latent": list(population.space.names), "other": list(population.space.names)},
        dims={"mean": ["latent"], "sd": ["latent"], "correlation": ["latent", "other"]},
    )
    for group in {"posterior", "unweighted_posterior"} & set(groups):
        for name in ("mean", "sd"):
            tree[group][name].attrs["units"] = list(population.space.units)
    tree.attrs.update(
        {
            "seed": population.seed,
            "wall_s": population.wall_s,
            "k_hat": population.k_hat,
            "weight_noise": population.weight_noise,
            "space": population.space.name,
            **population.provenance,
        }
    )
    return tree
