"""Two tables of features against each other, with no decoder in sight."""

from __future__ import annotations

from noble_prob.calibration import (
    Calibration,
    FeatureTable,
    calibrate_population,
    calibrate_repeats,
    compare_experiments,
)
from noble_prob.errors import require
from noble_prob.examination.columns import require_measured


def examine_tables(
    observed: FeatureTable, other: FeatureTable, *, experiment: bool = False, seed: int = 0
) -> Calibration:
    """Repeats or cells against an ensemble, or against a second experiment.

    Args:
        observed: One row per repeat (axis ``trial``) or per cell (axis ``neuron``).
        other: Rows of the same kind.
        experiment: Whether the other is a second experiment, and not an ensemble.
        seed: Of ties, relabellings and pseudo-experiments.

    Raises:
        UsageError: If the rows are of different kinds, no feature is shared, or a value can not be measured.
    """
    require_measured(observed)
    require_measured(other)
    require(
        observed.axis in ("trial", "neuron"),
        "observed",
        "rows that are repeats or cells",
        observed.axis,
        "say what a row is",
    )
    if experiment:
        return compare_experiments(observed, other, seed=seed)
    verb = calibrate_repeats if observed.axis == "trial" else calibrate_population
    return verb(observed, other, seed=seed)
