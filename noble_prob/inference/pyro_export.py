"""``from_pyro``: what a Pyro MCMC run left behind, as an ArviZ DataTree. This file needs nothing else of this package.

ArviZ 1.x has no converter for Pyro. This one reads draws by chain and the sampler's record from the run itself, and,
given the model, replays it to add log likelihoods, posterior predictive draws, observed data and deterministic sites.
Sites keep their shapes; plates become named dimensions, other axes are named after their site (``beta_dim_0``) unless
``dims`` says otherwise.

Log likelihoods are those the posterior was made with: scaled where ``poutine.scale`` or a subsampled plate scales them.
Masked points (``poutine.mask``, ``fn.mask``, ``obs_mask``) are no data and leave all three groups, since a zero in
their place would count as a point that is foreseen with certainty: a site with a mask has one axis ``<site>_point`` in
place of its batch axes, whose coordinate tells where each point that is left stood (counted row by row).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import arviz as az
import numpy as np
import pyro.distributions as dist
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
    predictive_kwargs: Mapping[str, Any] | None = None,
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
            the data); ``model_args`` if only ``predictive_kwargs`` are given. Without either, and where a site is
            observed under them too, observed sites are drawn again from their distributions.
        predictive_kwargs: Keyword arguments of the same run, such as ``{"y": None}``; they replace those of
            ``model_kwargs`` that they name.
        log_likelihood: Add the pointwise log likelihood of every observed site.
        posterior_predictive: Add draws of every observed site.
        prior: Prior draws by site, leading axis the draw, to be added as they are.
        coords: Coordinate values by dimension.
        dims: Names of the axes of a site, from the left; overrides names of plates.
        seed: Seed of the predictive draws.

    Returns:
        ``DataTree`` with the groups posterior (with the model: its deterministic sites too), sample_stats and, where
        asked for, log_likelihood, posterior_predictive, observed_data, prior.

    Raises:
        ValueError: If the model does not have its observed sites under the predictive arguments.
    """
    draws = {name: value.detach() for name, value in mcmc.get_samples(group_by_chain=True).items()}
    first = next(iter(draws.values()))
    chains, n = first.shape[:2]
    data: dict[str, dict[str, Any]] = {
        "posterior": {name: _array(value) for name, value in draws.items()},
        "sample_stats": _record(mcmc, chains, n),
    }
    names: dict[str, list[str]] = {}
    places: dict[str, Any] = {}
    if model is not None:
        seen = (tuple(model_args), dict(model_kwargs or {}))
        new = _predictive(seen, predictive_args, predictive_kwargs)
        with torch.random.fork_rng(), torch.no_grad():  # the caller's random state stays as it is
            torch.manual_seed(seed)
            found = _replay(model, draws, seen, new)
        names, places = found.names, found.places
        data["posterior"] |= found.values
        groups = {
            "log_likelihood": log_likelihood and found.log,
            "observed_data": found.seen,
            "posterior_predictive": posterior_predictive and found.drawn,
        }
        data |= {name: group for name, group in groups.items() if group}
    if prior is not None:
        data["prior"] = {name: _array(value)[None] for name, value in prior.items()}
    return az.from_dict(
        data, coords={**places, **(coords or {})}, dims={**names, **{k: list(v) for k, v in (dims or {}).items()}}
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


class _Found(NamedTuple):
    """What replays of a model tell, by site: arrays ``(chain, draw, ...)`` but for ``seen``, the data themselves."""

    values: dict[str, np.ndarray]
    log: dict[str, np.ndarray]
    drawn: dict[str, np.ndarray]
    seen: dict[str, np.ndarray]
    names: dict[str, list[str]]
    places: dict[str, np.ndarray]


_Arguments = tuple[Sequence[Any], Mapping[str, Any]]


def _predictive(seen: _Arguments, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None) -> _Arguments | None:
    """Arguments under which the model draws its observed sites; None if there are none but those of the run."""
    if args is None and kwargs is None:
        return None
    return seen[0] if args is None else tuple(args), {**seen[1], **(kwargs or {})}


def _trace(model: Callable[..., Any], values: Mapping[str, Tensor], arguments: _Arguments) -> Any:
    trace = poutine.trace(poutine.condition(model, data=dict(values))).get_trace(*arguments[0], **arguments[1])
    trace.compute_log_prob(lambda name, node: _kind(name, node, values) == "observed")
    return trace


def _kind(name: str, node: Any, latents: Mapping[str, Any]) -> str:
    """What a site is to ArviZ: ``observed``, ``deterministic``, or ``""`` for what is neither."""
    if node["type"] != "sample" or not node["is_observed"] or poutine.util.site_is_subsample(node) or name in latents:
        return ""  # latent sites are held at their draws by conditioning, which makes them look observed
    if node["infer"].get("_deterministic"):
        return "deterministic"
    return "" if isinstance(_inner(node["fn"]), dist.Unit | dist.Delta) else "observed"  # factors are no data


def _inner(fn: Any) -> Any:
    """A distribution without its masks and declared event axes."""
    while isinstance(fn, dist.MaskedDistribution | dist.Independent):
        fn = fn.base_dist
    return fn


def _replay(model: Callable[..., Any], draws: Mapping[str, Tensor], seen: _Arguments, new: _Arguments | None) -> _Found:
    """The model at every posterior draw, one after the other."""
    leading = next(iter(draws.values())).shape[:2]
    rows: dict[str, dict[str, list[np.ndarray]]] = {"values": {}, "log": {}, "drawn": {}}
    first: Any = None
    for at in np.ndindex(*leading):
        values = {name: value[at] for name, value in draws.items()}
        trace = _trace(model, values, seen)
        again = trace if new is None else _trace(model, values, new)
        first = first or trace
        for name, node in trace.nodes.items():
            kind = _kind(name, node, draws)
            if kind == "deterministic":
                rows["values"].setdefault(name, []).append(_array(node["value"]))
            elif kind == "observed":
                rows["log"].setdefault(name, []).append(_array(node["log_prob"]))
                rows["drawn"].setdefault(name, []).append(_array(_again(name, again.nodes)))
    found = _Found(
        **{
            part: {name: np.reshape(v, (*leading, *v[0].shape)) for name, v in sites.items()}
            for part, sites in rows.items()
        },
        seen={},
        names=_plates(first),
        places={},
    )
    for name in list(found.log):
        found.seen[name] = _array(first.nodes[name]["value"])
        _leave_out(found, name, first.nodes[name])
    return found


def _again(name: str, nodes: Mapping[str, Any]) -> Tensor:
    """A site's value if the predictive run drew it, a new draw where that run was given the data."""
    if name not in nodes:
        raise ValueError(
            f"`predictive_args` should let the model have its site {name!r}; found a run without it; "
            "pass arguments under which the same sites are drawn."
        )
    node = nodes[name]
    value: Tensor = node["fn"].sample() if node["is_observed"] else node["value"]
    return value


def _leave_out(found: _Found, name: str, node: Any) -> None:
    """Take a site's masked points out, if it has any: one axis of points in place of its batch axes."""
    batch = found.log[name].shape[2:]
    kept = np.ones(batch, dtype=bool)
    masks = [node["mask"], *(fn._mask for fn in [node["fn"]] if isinstance(fn, dist.MaskedDistribution))]
    for mask in masks:
        if mask is not None:
            kept &= np.asarray(torch.as_tensor(mask).cpu())
    if kept.all():
        return
    if not kept.any():
        for group in (found.log, found.drawn, found.seen):
            del group[name]
        return
    at, event = np.flatnonzero(kept), tuple(node["fn"].event_shape)
    for group, lead in ((found.log, 2), (found.drawn, 2), (found.seen, 0)):
        tail = () if group is found.log else event
        whole = np.broadcast_to(group[name], (*group[name].shape[:lead], *batch, *tail))
        group[name] = whole.reshape(*whole.shape[:lead], -1, *tail)[(slice(None),) * lead + (at,)]
    found.places[f"{name}_point"] = at
    found.names[name] = [f"{name}_point", *(f"{name}_dim_{k}" for k in range(len(event)))]


def _plates(trace: Any) -> dict[str, list[str]]:
    """Dimension names of every site: its plates by position, and ``<site>_dim_k`` for event axes."""
    names: dict[str, list[str]] = {}
    for site, node in trace.nodes.items():
        if node["type"] != "sample" or poutine.util.site_is_subsample(node):
            continue
        shape = node["value"].shape
        batch = len(shape) - node["fn"].event_dim
        if node["infer"].get("_deterministic") and not batch:
            batch = len(shape)  # unless told, Pyro takes every axis of a deterministic value for an event's
        row = [f"{site}_dim_{k}" for k in range(len(shape))]
        for frame in node["cond_indep_stack"]:
            if frame.dim is not None and -frame.dim <= batch and shape[batch + frame.dim] == frame.size:
                row[batch + frame.dim] = frame.name
        names[site] = row
    return names
