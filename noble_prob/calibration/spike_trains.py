"""Distances between spike trains: they see timing that no summary feature does.

van Rossum (2001)
    every spike becomes a decaying exponential of constant ``tau``; the L2 distance of the two sums, scaled such that
    one extra spike costs 1 (squared: ``D^2 = sum_ij k(a_i, a_j) + sum_ij k(b_i, b_j) - 2 sum_ij k(a_i, b_j)``,
    ``k(s, t) = exp(-|s - t| / tau)``), up to sqrt(2) for a pair moved far apart. It is a distance in a Hilbert space.
Victor and Purpura (1996)
    cheapest edit: insert or delete a spike for 1, move it by ``dt`` for ``q dt``.
coincidence factor Gamma (Kistler, Gerstner and van Hemmen, 1997)
    share of spikes that coincide within ``delta``, each with one, beyond chance; 1 is identical, 0 is Poisson.

Repeats *within* the experiment against *across* experiment and ensemble make an energy distance; its permutation test
(:func:`energy_test`) asks whether the two sets of trains could be repeats of one cell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from noble_prob.errors import require, require_count, require_seed
from noble_prob.metrics.spike_trains import coincidences

Trains = Sequence[ndarray]


def van_rossum(a: Float[ndarray, " spike"], b: Float[ndarray, " spike"], *, tau_ms: float = 10.0) -> float:
    """Distance of van Rossum between two trains.

    Args:
        a: Spike times (ms).
        b: Spike times (ms).
        tau_ms: Time constant (ms): below it timing counts, above it only the number.

    Raises:
        UsageError: If ``tau_ms`` is not positive.
    """
    require(tau_ms > 0, "tau_ms", "positive", tau_ms, "give a time constant in ms")

    def kernel(s: ndarray, t: ndarray) -> float:
        return float(np.exp(-np.abs(s[:, None] - t) / tau_ms).sum())

    return float(np.sqrt(max(kernel(a, a) + kernel(b, b) - 2 * kernel(a, b), 0.0)))


def victor_purpura(a: Float[ndarray, " spike"], b: Float[ndarray, " spike"], *, cost_per_ms: float = 0.1) -> float:
    """Victor-Purpura distance of two sorted trains.

    Args:
        a: Spike times (ms), increasing.
        b: Spike times (ms), increasing.
        cost_per_ms: Cost of moving a spike by 1 ms; moves beyond ``2 / cost_per_ms`` are never worth it.

    Raises:
        UsageError: If the cost is negative.
    """
    require(cost_per_ms >= 0, "cost_per_ms", "zero or positive", cost_per_ms, "give a cost per ms")
    steps = np.arange(len(b) + 1, dtype=float)
    row = steps
    for i, t in enumerate(a):
        # before insertions: delete a spike of `a`, or move it; then insertions by a running minimum
        best = np.minimum(row + 1, np.r_[i + 1.0, row[:-1] + cost_per_ms * np.abs(b - t)])
        row = np.minimum.accumulate(best - steps) + steps
    return float(row[-1])


def coincidence(
    a: Float[ndarray, " spike"], b: Float[ndarray, " spike"], *, duration_ms: float, delta_ms: float = 2.0
) -> float:
    """Coincidence factor Gamma of train ``b`` with reference ``a``; NaN if either is empty.

    Args:
        a: Reference spike times (ms), increasing.
        b: Spike times (ms), increasing.
        duration_ms: Length of the observation (ms).
        delta_ms: Half-width of the window (ms).
    """
    if not len(a) or not len(b):
        return float("nan")
    reference, train = (torch.as_tensor(np.asarray(x, dtype=float))[None] for x in (a, b))
    hits = float(coincidences(reference, train, delta_ms))
    chance = 2 * delta_ms * len(a) / duration_ms  # Poisson spikes of the reference's rate
    return (hits - chance * len(b)) / (0.5 * (len(a) + len(b)) * (1 - chance))


def distances(
    a: Trains, b: Trains, distance: Callable[[ndarray, ndarray], float] = van_rossum
) -> Float[ndarray, "n m"]:
    """Distances of every train of ``a`` to every train of ``b``, shape ``(len(a), len(b))``."""
    if distance is van_rossum:
        return _van_rossum_table(a, b, 10.0)
    return np.array([[distance(np.asarray(s), np.asarray(t)) for t in b] for s in a], dtype=float).reshape(
        len(a), len(b)
    )


def _van_rossum_table(a: Trains, b: Trains, tau_ms: float) -> ndarray:
    """All distances of van Rossum, one row of ``a`` at a time."""
    padded = np.full((len(b), max(map(len, b), default=0)), np.inf)  # a spike at infinity is near to none
    for row, train in zip(padded, b, strict=True):
        row[: len(train)] = train

    def own(trains: Trains) -> ndarray:
        return np.array([np.exp(-np.abs(np.subtract.outer(t, t)) / tau_ms).sum() for t in trains])

    table = np.empty((len(a), len(b)))
    for k, train in enumerate(a):
        cross = np.exp(-np.abs(padded[:, None] - np.asarray(train)[:, None]) / tau_ms).sum((1, 2))
        table[k] = cross
    return np.sqrt(np.maximum(own(a)[:, None] + own(b) - 2 * table, 0.0))


def energy_test(
    distance: Float[ndarray, "n n"], group: ndarray, *, permutations: int = 1999, seed: int = 0
) -> tuple[float, float]:
    """Energy distance of two groups of trains and its permutation p value (Székely and Rizzo, 2013).

    Args:
        distance: Of all trains to all, shape ``(n, n)``.
        group: False for one group, True for the other, shape ``(n,)``.
        permutations: Random relabellings.
        seed: Of the relabellings.

    Returns:
        ``2 E|X - Y| - E|X - X'| - E|Y - Y'|`` and the share of relabellings at least as large.

    Raises:
        UsageError: If there are no permutations, or the seed is none.
    """
    require_seed(seed)
    require_count(permutations, "permutations", "relabellings")
    rng = np.random.default_rng(seed)
    labels = np.stack([group, *(rng.permutation(group) for _ in range(permutations))]).astype(float)
    others = 1 - labels
    n, m = group.sum(), (~group).sum()
    cross = np.einsum("pi,ij,pj->p", labels, distance, others, optimize=True) / (n * m)
    inside = np.einsum("pi,ij,pj->p", labels, distance, labels, optimize=True) / n**2
    outside = np.einsum("pi,ij,pj->p", others, distance, others, optimize=True) / m**2
    statistic = 2 * cross - inside - outside
    return float(statistic[0]), float((statistic >= statistic[0] - 1e-12).mean())
