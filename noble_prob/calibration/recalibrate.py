"""Moving a prior ensemble to a measured population: an explicit choice, with its price.

``tilt`` keeps the neurons and changes their weights: among all weights that reproduce the population's means and SDs
of some features it takes those closest to the original ones in relative entropy, ``w_i ~ exp(a . x_i + b . x_i^2)``
(exponential tilting; the dual is convex). The price is the effective sample size ``1 / sum w^2``: an ensemble that
hardly reaches the population is left with a handful of neurons, and one that does not reach it at all can not be
tilted (``reached`` says so).

The population is a sample: its SD is the one with ``n - 1``, or a handful of cells would make an ensemble too narrow.

``widen`` keeps the weights and moves the neurons: each latent is shifted and stretched to the population's mean and
SD. It always succeeds, and leaves the region where models were ever seen; ask for the plausibility of the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy import optimize

from noble_prob.calibration.matching import common_features
from noble_prob.calibration.table import FeatureTable
from noble_prob.errors import listed, require
from noble_prob.latent import Neurons

RIDGE = 1e-4
"""Penalty on the multipliers (population units), which keeps weights finite where the population is out of reach."""


@dataclass(frozen=True, kw_only=True)
class Recalibration:
    """Weights that bring an ensemble to a population.

    Attributes:
        names: Features that were matched.
        units: Their units.
        weight: Weight of each row of the ensemble, summing to one, 0 where a feature is undefined, shape ``(row,)``.
        ess: Effective sample size.
        n: Rows of the ensemble that could be used.
        target_mean: Of the population (unit), shape ``(feature,)``.
        target_sd: Of the population (unit), with ``n - 1``.
        before_mean: Of the ensemble (unit).
        before_sd: Of the ensemble (unit).
        after_mean: Of the weighted ensemble (unit).
        after_sd: Of the weighted ensemble (unit).
        reached: Whether every mean and SD came within 5 % of a population SD.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    weight: Float[ndarray, " row"]
    ess: float
    n: int
    target_mean: Float[ndarray, " feature"]
    target_sd: Float[ndarray, " feature"]
    before_mean: Float[ndarray, " feature"]
    before_sd: Float[ndarray, " feature"]
    after_mean: Float[ndarray, " feature"]
    after_sd: Float[ndarray, " feature"]
    reached: bool


def _weights(statistics: Float[ndarray, "row statistic"]) -> Float[ndarray, " row"]:
    """Weights nearest to equal ones under which the statistics have mean zero (exponential family, convex dual)."""

    def dual(multiplier: ndarray) -> tuple[float, ndarray]:
        energy = statistics @ multiplier
        top = energy.max()
        w = np.exp(energy - top)
        value = top + np.log(w.mean()) + 0.5 * RIDGE * multiplier @ multiplier
        return value, (w / w.sum()) @ statistics + RIDGE * multiplier

    start = np.zeros(statistics.shape[1])
    found = optimize.minimize(dual, start, jac=True, method="L-BFGS-B", options={"maxiter": 2000})
    energy = statistics @ found.x
    w = np.exp(energy - energy.max())
    return np.asarray(w / w.sum())


def _require_moments(observed: FeatureTable, usable: int) -> None:
    """Refuse an ensemble of which too few rows are usable, and a population with an SD that is no target."""
    require(
        usable >= 3,
        "ensemble",
        "at least three rows with every feature",
        usable,
        "select features that most neurons have",
    )
    alike = [name for name, column in zip(observed.names, observed.value.T, strict=True) if not np.nanstd(column) > 0]
    require(
        not alike,
        "population",
        "features that vary between its cells",
        f"{listed(alike, 6)}, which does not",
        "leave this column out: its SD can not be a target",
    )


def tilt(ensemble: FeatureTable, population: FeatureTable) -> Recalibration:
    """Weights under which the ensemble has the population's means and SDs.

    Args:
        ensemble: One row per novel neuron, axis ``neuron``.
        population: One row per recorded cell, axis ``neuron``.

    Raises:
        UsageError: If a row is not a neuron, fewer than three rows of the ensemble have every feature, or a feature is
            the same in all cells.
    """
    observed, predicted = common_features(population, ensemble)
    require(observed.axis == "neuron", "ensemble", "rows that are cells ('neuron')", observed.axis, "pass populations")
    whole = np.isfinite(predicted.value).all(-1)
    _require_moments(observed, int(whole.sum()))
    mean, sd = np.nanmean(observed.value, 0), np.nanstd(observed.value, 0, ddof=1)
    x = (predicted.value[whole] - mean) / sd
    w = _weights(np.concatenate([x, x**2 - 1], 1))  # both have mean zero in the population
    centre = w @ x
    spread = np.sqrt(np.maximum(w @ x**2 - centre**2, 0))
    weight = np.zeros(len(ensemble))
    weight[whole] = w
    return Recalibration(
        names=observed.names,
        units=observed.units,
        weight=weight,
        ess=float(1 / (w**2).sum()),
        n=int(whole.sum()),
        target_mean=mean,
        target_sd=sd,
        before_mean=mean + sd * x.mean(0),
        before_sd=sd * x.std(0),
        after_mean=mean + sd * centre,
        after_sd=sd * spread,
        reached=bool((np.abs(centre) < 0.05).all() and (np.abs(spread - 1) < 0.05).all()),
    )


def widen(neurons: Neurons, mean: Mapping[str, float], sd: Mapping[str, float]) -> Neurons:
    """Shift and stretch some latents to given means and SDs; the others stay.

    Args:
        neurons: Points of axis ``neuron``.
        mean: Mean of each latent to move (coordinate units; log where the latent is a log).
        sd: SD of the same latents.

    Raises:
        UsageError: If the points are not neurons, a latent is unknown, or an SD is not positive.
    """
    neurons.require_axis("neuron", "recalibration to a population")
    names = neurons.space.names
    require(
        set(mean) == set(sd) and set(mean) <= set(names),
        "mean",
        f"latents among {', '.join(names)}, as in `sd`",
        sorted(set(mean) | set(sd)),
        "name latents of the space",
    )
    require(all(value > 0 for value in sd.values()), "sd", "positive", dict(sd), "give spreads")
    value = neurons.value.clone()
    for name in mean:
        k = names.index(name)
        column, w = value[:, k], neurons.weights.to(value)
        centre = w @ column
        spread = torch.sqrt(w @ (column - centre) ** 2)
        value[:, k] = mean[name] + sd[name] * (column - centre) / spread
    note = {"recalibrated": {name: [float(mean[name]), float(sd[name])] for name in mean}}
    return replace(neurons, value=value, provenance={**neurons.provenance, **note})
