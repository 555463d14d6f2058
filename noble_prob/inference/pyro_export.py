"""``from_pyro``: what a Pyro MCMC run left behind, as an ArviZ DataTree. This file needs nothing else of this package.

ArviZ 1.x has no converter for Pyro. This one reads draws by chain and the sampler's record from the run itself, and,
given the model, replays it to add log likelihoods, posterior predictive draws and observed data. Sites keep their
shapes; plates become named dimensions, other axes are named after their site (``beta_dim_0``) unless ``dims`` says
otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import arviz as az
import numpy as np
import pyro.poutine as poutine
import torch
from torch import Tensor


def from_pyro(
    mcmc: Any,
    *,
    model: Callable[..., Any] | None = None,
    model_args: Sequence[Any] = (),
    model_kwargs: Mapping[str, Any] | None = None,
    predictive_args: Sequence[Any] | None = None,
    log_likelihood: bool = True,
    posterior_predictive: bool = True,
    prior: Mapping[str, Tensor] | None = None,
    coords: Mapping[str, Sequence[Any]] | None = None,
    dims: Mapping[str, Sequence[str]] | None = None,
    seed: int = 0,
) -> Any:
    """Turn a finished Pyro MCMC run into an ArviZ DataTree.

    Args:
        mcmc: A ``pyro.infer.MCMC`` that has run.
        model: The model that was sampled; without it there is ``posterior`` and ``sample_stats`` only.
        model_args: Its positional arguments, as in the run.
        model_kwargs: Its keyword arguments, as in the run.
        predictive_args: Positional arguments under which the model draws its observed sites (usually None in place of
            the data); without them observed sites are drawn again from their distributions at the given arguments.
        log_likelihood: Add the pointwise log likelihood of every observed site.
        posterior_predictive: Add draws of every observed site.
        prior: Prior draws by site, leading axis the draw, to be added as they are.
        coords: Coordinate values by dimension.
        dims: Names of the axes of a site, from the left; overrides names of plates.
        seed: Seed of the predictive draws.

    Returns:
        ``DataTree`` with the groups posterior, sample_stats and, where asked for, log_likelihood, posterior_predictive,
        observed_data, prior.
    """
    draws = {name: value.detach() for name, value in mcmc.get_samples(group_by_chain=True).items()}
    first = next(iter(draws.values()))
    chains, n = first.shape[:2]
    data: dict[str, dict[str, Any]] = {
        "posterior": {name: _array(value) for name, value in draws.items()},
        "sample_stats": _record(mcmc, chains, n),
    }
    names: dict[str, list[str]] = {}
    if model is not None:
        kwargs = dict(model_kwargs or {})
        with torch.random.fork_rng(), torch.no_grad():  # the caller's random state stays as it is
            torch.manual_seed(seed)
            shape = _trace(model, {k: v[0, 0] for k, v in draws.items()}, model_args, kwargs)
            names = _plates(shape)
            replays = _replay(model, draws, model_args, predictive_args, kwargs)
        observed = list(replays["log"])
        if log_likelihood:
            data["log_likelihood"] = {name: replays["log"][name] for name in observed}
        if posterior_predictive:
            data["posterior_predictive"] = {name: replays["draw"][name] for name in observed}
        data["observed_data"] = {name: _array(shape.nodes[name]["value"]) for name in observed}
    if prior is not None:
        data["prior"] = {name: _array(value)[None] for name, value in prior.items()}
    return az.from_dict(
        data, coords=dict(coords or {}), dims={**names, **{k: list(v) for k, v in (dims or {}).items()}}
    )


def _array(value: Tensor) -> np.ndarray:
    return value.detach().cpu().numpy()


def _record(mcmc: Any, chains: int, n: int) -> dict[str, np.ndarray]:
    """Divergences (by draw) and acceptance rates (by chain) of the run."""
    record = mcmc.diagnostics()
    diverging = np.zeros((chains, n), dtype=bool)
    for chain, draws in enumerate(record.get("divergences", {}).values()):
        diverging[chain, list(draws)] = True
    out = {"diverging": diverging}
    if "acceptance rate" in record:
        rates = np.array(list(record["acceptance rate"].values()), dtype=float)
        out["acceptance_rate"] = np.repeat(rates[:, None], n, 1)
    return out


def _trace(
    model: Callable[..., Any], values: Mapping[str, Tensor], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    return poutine.trace(poutine.condition(model, data=dict(values))).get_trace(*args, **kwargs)


def _replay(
    model: Callable[..., Any], draws: Mapping[str, Tensor], args: Sequence[Any], predictive: Sequence[Any] | None,
    kwargs: Mapping[str, Any],
) -> dict[str, dict[str, np.ndarray]]:  # fmt: skip
    """Log likelihood and a predictive draw of every observed site at every posterior draw, one after the other."""
    chains, n = next(iter(draws.values())).shape[:2]
    logs: dict[str, list[np.ndarray]] = {}
    news: dict[str, list[np.ndarray]] = {}
    for at in np.ndindex(chains, n):
        values = {name: value[at] for name, value in draws.items()}
        trace = _trace(model, values, args, kwargs)
        again = trace if predictive is None else _trace(model, values, predictive, kwargs)
        for name in trace.observation_nodes:
            node = trace.nodes[name]
            if name in draws or node["type"] != "sample" or poutine.util.site_is_subsample(node):
                continue  # latent sites are held at their draws by conditioning, which makes them look observed
            logs.setdefault(name, []).append(_array(node["fn"].log_prob(node["value"])))
            redo = node["fn"].sample() if predictive is None else again.nodes[name]["value"]
            news.setdefault(name, []).append(_array(redo))
    return {"log": {k: np.reshape(v, (chains, n, *v[0].shape)) for k, v in logs.items()},
            "draw": {k: np.reshape(v, (chains, n, *v[0].shape)) for k, v in news.items()}}  # fmt: skip


def _plates(trace: Any) -> dict[str, list[str]]:
    """Dimension names of every site: its plates by position, and ``<site>_dim_k`` for event axes."""
    names: dict[str, list[str]] = {}
    for site, node in trace.nodes.items():
        if node["type"] != "sample" or poutine.util.site_is_subsample(node):
            continue
        batch = len(node["fn"].batch_shape)
        row = [f"{site}_dim_{k}" for k in range(node["value"].ndim)]
        for frame in node["cond_indep_stack"]:
            if frame.dim is not None and -frame.dim <= batch:
                row[batch + frame.dim] = frame.name
        names[site] = row
    return names
