"""The distance between spike trains: it sees timing that no summary feature does.

van Rossum (2001)
    every spike becomes a decaying exponential of constant ``tau``; the L2 distance of the two sums, scaled such that
    one extra spike costs 1 (squared: ``D^2 = sum_ij k(a_i, a_j) + sum_ij k(b_i, b_j) - 2 sum_ij k(a_i, b_j)``,
    ``k(s, t) = exp(-|s - t| / tau)``), up to sqrt(2) for a pair moved far apart. It is a distance in a Hilbert space.

Repeats *within* the experiment against *across* experiment and ensemble make an energy distance; its permutation test
(:func:`energy_test`) asks whether the two sets of trains could be repeats of one cell.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from noble_prob.errors import require_count, require_seed

Trains = Sequence[ndarray]
TAU_MS = 10.0
"""Time constant (ms): below it timing counts, above it only the number of spikes."""


def distances(a: Trains, b: Trains) -> Float[ndarray, "n m"]:
    """Distances of van Rossum of every train of ``a`` to every train of ``b``, one row at a time.

    Args:
        a: Spike times (ms) of each train.
        b: The same of others.

    Returns:
        Shape ``(len(a), len(b))``.
    """
    padded = np.full((len(b), max(map(len, b), default=0)), np.inf)  # a spike at infinity is near to none
    for row, train in zip(padded, b, strict=True):
        row[: len(train)] = train

    def own(trains: Trains) -> ndarray:
        return np.array([np.exp(-np.abs(np.subtract.outer(t, t)) / TAU_MS).sum() for t in trains])

    table = np.empty((len(a), len(b)))
    for k, train in enumerate(a):
        cross = np.exp(-np.abs(padded[:, None] - np.asarray(train)[:, None]) / TAU_MS).sum((1, 2))
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
    seed = require_seed(seed)
    require_count(permutations, "permutations", "relabellings")
    rng = np.random.default_rng(seed)
    labels = np.stack([group, *(rng.permutation(group) for _ in range(permutations))]).astype(float)
    others = 1 - labels
    n, m = group.sum(), (~group).sum()
    near, far = labels @ distance, others @ distance
    cross = (near * others).sum(-1) / (n * m)
    inside = (near * labels).sum(-1) / n**2
    outside = (far * others).sum(-1) / m**2
    statistic = 2 * cross - inside - outside
    return float(statistic[0]), float((statistic >= statistic[0] - 1e-12).mean())
