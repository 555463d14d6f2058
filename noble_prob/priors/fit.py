"""Fitting a prior to a population, and asking which kind describes neurons it has not seen.

``score`` compares kinds the way that matters: by the log density they give to held-out neurons, and by the energy
distance (Szekely and Rizzo 2013) between their draws and those neurons, which punishes a wrong spread too.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from numbers import Real
from typing import Any, get_args

import torch
from torch import Tensor

from noble_prob.errors import listed, require, require_count, require_kind, require_seed
from noble_prob.latent import FEWEST_CELLS, LatentSpace, Neurons, require_latents, require_neurons
from noble_prob.priors import flow, gaussian, mixture, student
from noble_prob.priors.base import Kind, Prior, require_prior
from noble_prob.priors.dependence import dependent
from noble_prob.priors.pyro_state import undisturbed
from noble_prob.priors.threads import single_thread

CONSTANT = 1e-9
"""Neurons that differ by less are alike in a latent (standardised units)."""


@undisturbed()
def fit_prior(
    neurons: Neurons,
    kind: Kind = "student",
    *,
    seed: int = 0,
    eta: float = 2.0,
    components: int = 3,
    df: float = student.DF,
    transforms: int = 2,
    hidden: tuple[int, ...] = (32, 32),
    bins: int = 4,
) -> Prior:
    """Fit a density to a population of neurons.

    The Student t has the sample's mean and spread, its correlations smaller by the largest share that gives neurons
    left out of the fit nearly the best density (:mod:`noble_prob.priors.student`). Every other kind begins with a
    Gaussian at its posterior mode under an LKJ density of the correlation (Lewandowski, Kurowicka and Joe 2009).

    Args:
        neurons: Many cells, one point each (``axis="neuron"``); weights count for ``empirical`` only, whose mean and
            covariance they weight.
        kind: ``student`` (start here), ``gaussian``, ``mixture``, ``flow`` or ``empirical``.
        seed: Seed of whatever the fit draws.
        eta: LKJ concentration of the correlation of the Gaussian that every kind but the Student t begins with.
        components: Number of Gaussians of a mixture.
        df: Degrees of freedom of the Student t; above two, for it must have a covariance.
        transforms: Layers of the flow.
        hidden: Widths of its networks.
        bins: Bins of its splines.

    Returns:
        The prior; its ``points`` are the neurons.

    Raises:
        UsageError: If the points are not neurons, too few, all alike in a latent, or have a latent that others give
            exactly; if the kind is unknown, or a setting is out of range.
    """
    require_neurons(neurons)
    neurons.require_axis("neuron", "fitting a prior")
    seed = require_seed(seed)
    require(kind in get_args(Kind), "kind", f"one of {get_args(Kind)}", kind, "pick one of them")
    x = neurons.space.standardise(neurons.value.to(torch.float64))
    weights = neurons.weights.to(x)
    _require_population(x[weights > 0] if kind == "empirical" else x, neurons.space)
    _require_number(eta, "eta")
    _require_number(df, "df")
    require(eta > 0, "eta", "positive", eta, "one is flat over correlations, two the default")
    require(df > 2, "df", "above two", df, "six is usual; for thin tails take kind='gaussian'")
    settings: dict[str, Any] = {"df": df} if kind == "student" else {"eta": eta}
    if kind == "mixture":
        settings["components"] = components
    if kind == "flow":
        settings |= {"latents": x.shape[1], **_network(transforms, hidden, bins)}
    with single_thread():
        tensors = _tensors(kind, x, weights, settings, seed)
    return Prior(
        kind=kind,
        space=neurons.space,
        tensors=tensors,
        settings=settings,
        points=x,
        labels=tuple(neurons.labels),
        provenance={"seed": seed, "neurons": len(neurons)},
    )


def _require_population(x: Tensor, space: LatentSpace) -> None:
    """Refuse neurons of which no density can be fitted: too few, or on a plane of the space."""
    require(
        len(x) >= FEWEST_CELLS,
        "neurons",
        f"at least {FEWEST_CELLS} cells with a weight",
        len(x),
        "give a population, not a handful",
    )
    different = len(torch.unique(x, dim=0))
    require(
        different >= FEWEST_CELLS,
        "neurons",
        f"at least {FEWEST_CELLS} different cells",
        f"{different} among {len(x)}",
        "give each neuron once, and more of them",
    )
    _require_independent(x, space)


def _require_independent(x: Tensor, space: LatentSpace) -> None:
    """Refuse neurons that are alike in a latent, or of which latents give one another."""

    def named(which: Tensor) -> str:
        return listed(name for name, one in zip(space.names, which.tolist(), strict=True) if one)

    same = (x - x[0]).abs().amax(0) < CONSTANT
    require(
        not same.any(),
        "neurons",
        "neurons that differ in every latent",
        f"one value of {named(same)}",
        "drop the latent from the space, or add neurons",
    )
    given = dependent(x)
    require(
        not given.any(),
        "neurons",
        "latents none of which is given exactly by others",
        f"{int(given.sum())} that give one another ({named(given)})",
        "leave one out of the space",
    )


def _require_number(value: object, parameter: str) -> None:
    """Refuse a setting that is no finite number."""
    number = isinstance(value, Real) and not isinstance(value, bool) and isfinite(value)
    require(number, parameter, "a finite number", repr(value), "leave it out for the usual one")


def _network(transforms: int, hidden: Sequence[int], bins: int) -> dict[str, Any]:
    """Sizes of a flow as plain numbers; one without layers or bins, or with a layer without units, is refused."""
    require_count(transforms, "transforms", "layers")
    require_count(bins, "bins", "bins")
    many = isinstance(hidden, Sequence)
    require(many, "hidden", "one width per hidden layer", repr(hidden), "pass a tuple such as (32, 32)")
    for width in hidden:
        require_count(width, "hidden", "units per layer")
    return {"transforms": int(transforms), "hidden": [*map(int, hidden)], "bins": int(bins)}


def _tensors(kind: Kind, x: Tensor, weights: Tensor, settings: dict[str, Any], seed: int) -> dict[str, Tensor]:
    """Fitted parameters of a kind; all but the Student t start from the Gaussian."""
    if kind == "student":
        return student.fit(x, df=settings["df"], seed=seed)
    equal = kind != "empirical" or bool((weights == weights[0]).all())
    base = gaussian.fit(x, eta=settings["eta"], seed=seed, weights=None if equal else weights)
    covariance = base["scale_tril"] @ base["scale_tril"].T
    if kind == "mixture":
        return mixture.fit_mixture(x, covariance, components=settings["components"], seed=seed)
    if kind == "empirical":
        return mixture.fit_empirical(x, covariance, weights)
    if kind == "flow":
        return flow.fit(x, base, settings=settings, seed=seed)
    return base


def score(prior: Prior, held_out: Neurons, *, draws: int = 2000, seed: int = 0) -> dict[str, float]:
    """How well a prior foresees neurons it was not fitted to.

    Args:
        prior: The prior.
        held_out: Cells of the same population.
        draws: Draws for the energy distance.
        seed: Seed of the draws.

    Returns:
        ``log_density``: mean log density per held-out neuron (nats, standardised space; larger is better);
        ``energy_distance``: between draws and held-out neurons (standardised units; smaller is better). Unbiased:
        zero on average where both are one population, so a good prior's may be below zero.

    Raises:
        UsageError: If the points are not neurons, fewer than two, or of another latent space; if there are fewer than
            two draws, or the prior is none.
    """
    require_prior(prior)
    require_kind(held_out, Neurons, "held_out", "pass neurons left out of the fit")
    held_out.require_axis("neuron", "scoring a prior")
    expected = f"in the latent space of the prior, of {len(prior.space)} latents"
    require_latents(held_out.space, prior.space, "held_out", expected, "use neurons of the prior's space")
    require(len(held_out) > 1, "held_out", "at least two neurons", len(held_out), "give those left out of the fit")
    require_count(draws, "draws", "neurons", 2)
    y = prior.space.standardise(held_out.value.to(torch.float64))
    x = prior.sample_standardised(draws, seed=seed)
    distance = 2 * torch.cdist(x, y).mean() - _spread(x) - _spread(y)
    return {"log_density": float(prior.log_prob(y).mean()), "energy_distance": float(distance)}


def _spread(x: Tensor) -> Tensor:
    """Mean distance between two different points."""
    n = len(x)
    return torch.cdist(x, x).sum() / (n * (n - 1))
