"""Where the targets of acceptance come from: a population's own features, or a table of an experiment.

A target is a mean and a standard deviation; the acceptable range is k of them to either side. A standard deviation is
never taken smaller than what one can resolve: a spike count, for one, cannot be matched finer than one spike, however
much alike the base models are.

As a file: CSV with the columns feature, current_pa, mean, sd, source.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path

from torch import Tensor

from noble_prob.errors import UsageError, require
from noble_prob.features.registry import lookup
from noble_prob.population.accept import Criterion, criterion_values
from noble_prob.population.hof import HallOfFame
from noble_prob.population.simulate import simulate
from noble_prob.population.standard import Design
from noble_prob.population.stimuli import steps
from noble_prob.population.trace import Numerics
from noble_prob.recording import Recording

TARGET_FEATURES = {
    -110.0: ("resting_voltage_mv", "voltage_deflection_mv", "sag_mv"),
    50.0: ("spike_count",),
    180.0: (
        "spike_count",
        "first_spike_latency_ms",
        "mean_isi_ms",
        "isi_cv",
        "ap1_peak_mv",
        "ap1_width_ms",
        "ap1_trough_mv",
        "mean_ap_amplitude_mv",
    ),
}
"""What a target table holds unless told otherwise: rest, passive response, firing, spike shape."""

RESOLUTION = {"spike_count": 1.0}
"""Smallest standard deviation of a target, in the feature's unit."""


def targets_of(recording: Recording, *, k_sd: float, source: str) -> tuple[Criterion, ...]:
    """Targets from a population: means and standard deviations of its own features.

    Args:
        recording: Accepted neurons, axis ``neuron``.
        k_sd: Half-width of the acceptable range, in standard deviations.
        source: Name of the population.

    Raises:
        UsageError: If ``k_sd`` is not positive or a current of the table was not recorded.
    """
    require(k_sd > 0, "k_sd", "a positive number of standard deviations", k_sd, "3 keeps nearly all base models")
    rows = [Criterion(feature=f, current_pa=a) for a, names in TARGET_FEATURES.items() for f in names]
    return tuple(
        target(row.feature, row.current_pa, mean=column.nanmean(), sd=_nanstd(column), k_sd=k_sd, source=source)
        for row, column in zip(rows, criterion_values(recording, rows).T, strict=True)
        if column.isfinite().sum() > 1
    )


def target(
    feature: str, current_pa: float, *, mean: float | Tensor, sd: float | Tensor, k_sd: float, source: str
) -> Criterion:
    """A criterion from a mean and a standard deviation, for example of an experiment."""
    mean, sd = float(mean), max(float(sd), RESOLUTION.get(feature, 0.0))
    low, high = mean - k_sd * sd, mean + k_sd * sd
    return Criterion(feature=feature, current_pa=current_pa, low=low, high=high, mean=mean, sd=sd, source=source)


def targets_of_models(
    models: HallOfFame,
    design: Design,
    *,
    k_sd: float,
    numerics: Numerics | None = None,
    jobs: int = 1,
    progress: bool = False,
) -> tuple[Criterion, ...]:
    """Targets from the models of a Hall of Fame: simulates the standard protocol.

    Args:
        models: Accepted models; training models only, where others are held out.
        design: Whose standard protocol.
        k_sd: Half-width of the acceptable range, in standard deviations.
        numerics: How finely to solve.
        jobs: Number of processes.
        progress: Show a bar on stderr.
    """
    protocol = steps(design.standard(), total_ms=design.total_ms, dt_ms=design.sample_ms)
    recording = simulate(models, protocol, numerics=numerics, jobs=jobs, progress=progress)
    return targets_of(recording, k_sd=k_sd, source=f"{len(models)} models of {models.name}, simulated")


def read_targets(path: str | Path, *, k_sd: float) -> tuple[Criterion, ...]:
    """Targets from a CSV file.

    Args:
        path: The file.
        k_sd: Half-width of the acceptable range, in standard deviations.

    Raises:
        UsageError: If there is no row, a column is missing, a number is none, a feature is unknown, or a standard
            deviation or ``k_sd`` is not positive.
    """
    require(k_sd > 0, "k_sd", "a positive number of standard deviations", k_sd, "3 keeps nearly all base models")
    try:
        with Path(path).open(newline="") as stream:
            rows = [
                (r["feature"], float(r["current_pa"]), float(r["mean"]), float(r["sd"]), r["source"])
                for r in csv.DictReader(stream)
            ]
    except (OSError, KeyError, ValueError, TypeError, csv.Error) as error:
        raise UsageError(
            "targets",
            "a CSV file with feature, current_pa, mean, sd, source",
            repr(error),
            "name these columns in the first line, and a number in every row",
        ) from error
    require(bool(rows), "targets", "a CSV file with at least one target", "none", "add a row")
    lookup([row[0] for row in rows])
    for f, a, mean, sd, _ in rows:
        require(
            math.isfinite(mean) and 0 < sd < math.inf,
            "targets",
            "finite means and positive standard deviations",
            f"{mean:g} and {sd:g} for {f} at {a:g} pA",
            "correct the row or leave it out",
        )
    return tuple(target(f, a, mean=mean, sd=sd, k_sd=k_sd, source=source) for f, a, mean, sd, source in rows)


def _nanstd(values: Tensor) -> Tensor:
    defined = values[values.isfinite()]
    return defined.std()
