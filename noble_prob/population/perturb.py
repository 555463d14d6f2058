"""New models between and around accepted ones.

    p = w p_i + (1 - w) p_j + noise_sd * SD * xi,    w ~ U(0, 1),  xi ~ N(0, 1),

for two different base models, with logarithms in place of the values of positive parameters, and SD the spread of the
base models. Parameters that are equal in all base models (a leak shared by soma and dendrite) stay equal: they share
their noise. Model ``number`` of a population depends on the seed and that number alone.

References: Marder & Taylor (2011) Nature Neuroscience 14, 133-138; Britton et al. (2013) PNAS 110, E2098-E2105
(populations of models).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from noble_prob.errors import require
from noble_prob.population.hof import LINEAR, CellModel, parameter_table


def is_log(name: str) -> bool:
    """Whether a parameter varies on a logarithmic scale: every one but Ra and e_pas."""
    return name.rpartition(".")[2] not in LINEAR


def perturb(base: Sequence[CellModel], *, number: int, seed: int, noise_sd: float = 0.15) -> CellModel:
    """One new model.

    Args:
        base: Accepted models of one cell; training models only, where a decoder will be judged on others.
        number: Number of the new model.
        seed: Seed of the population.
        noise_sd: Noise, in standard deviations of the base models.

    Raises:
        UsageError: If there are fewer than two base models.
    """
    require(len(base) >= 2, "base", "at least two models", len(base), "select more models of the Hall of Fame")
    names, table = parameter_table(base)
    logs = np.array([is_log(name) for name in names])
    values = np.array(table)
    values[:, logs] = np.log(values[:, logs])
    rng = np.random.default_rng([seed, number, 0])
    i, j = rng.choice(len(base), size=2, replace=False)
    w = rng.random()
    noise = rng.standard_normal(len(names))[_shared(values)]
    point = w * values[i] + (1 - w) * values[j] + noise_sd * values.std(axis=0) * noise
    point[logs] = np.exp(point[logs])
    return replace(base[i], label=f"p{number}", parameters=dict(zip(names, point.tolist(), strict=True)))


def _shared(values: np.ndarray) -> np.ndarray:
    """For each column the first column that equals it, so that tied parameters draw the same noise."""
    columns = [column.tobytes() for column in np.ascontiguousarray(values.T)]
    return np.array([columns.index(column) for column in columns])
