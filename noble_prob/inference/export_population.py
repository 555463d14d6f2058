"""A population's posterior as an ArviZ DataTree, and its convergence."""

from __future__ import annotations

from typing import Any

import arviz as az
from arviz_stats import ess, rhat

from noble_prob.inference.population import Population


def population_convergence(population: Population) -> dict[str, dict[str, float]]:
    """R-hat, bulk and tail effective sample size of every mean and SD.

    Args:
        population: Its draws, before weights.
    """
    out = {}
    for what, draws in (("mean", population.loc), ("sd", population.sd.log())):
        for k, name in enumerate(population.space.names):
            x = draws[..., k].numpy()
            out[f"{what} of {name}"] = {"r_hat": float(rhat(x)), "ess_bulk": float(ess(x, method="bulk")),
                                        "ess_tail": float(ess(x, method="tail", prob=(0.05, 0.95)))}  # fmt: skip
    return out


def population_datatree(population: Population) -> Any:
    """Groups ``posterior`` (``mean``, ``sd``, ``correlation`` over ``latent``) and ``sample_stats`` (with ``weight``).

    Args:
        population: To be written; units are in the attribute ``units`` in the order of ``latent``.
    """
    stats = {name: value.numpy() for name, value in population.stats.items()}
    if population.weights is not None:
        stats["weight"] = population.weights.numpy()
    tree = az.from_dict(
        {"posterior": {"mean": population.loc.numpy(), "sd": population.sd.numpy(),
                       "correlation": population.correlation.numpy()}, "sample_stats": stats},
        coords={"latent": list(population.space.names), "other": list(population.space.names)},
        dims={"mean": ["latent"], "sd": ["latent"], "correlation": ["latent", "other"]},
    )  # fmt: skip
    for name in ("mean", "sd"):
        tree["posterior"][name].attrs["units"] = list(population.space.units)
    tree.attrs.update({"seed": population.seed, "wall_s": population.wall_s, "k_hat": population.k_hat,
                       "space": population.space.name})  # fmt: skip
    return tree
