"""The row of each feature in a calibration: means, spreads, their ratio, PIT, coverage, CRPS, power."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy import ndarray

from noble_prob.calibration.contrast import magnitude
from noble_prob.calibration.pit import interval_coverage
from noble_prob.calibration.power import Power
from noble_prob.calibration.result import FeatureVerdict
from noble_prob.calibration.scores import crps, crps_ratio
from noble_prob.calibration.table import FeatureTable
from noble_prob.calibration.verdict import Test
from noble_prob.calibration.wording import feature_clauses


def feature_verdicts(
    observed: FeatureTable,
    ensemble: FeatureTable,
    u: ndarray,
    test: Test,
    power: Power,
    alpha: float,
) -> tuple[FeatureVerdict, ...]:
    """One verdict per shared feature.

    Args:
        observed: Experiment.
        ensemble: Ensemble with the same features.
        u: PIT values, shape ``(feature, row)``.
        test: The relabelling test.
        power: Its power.
        alpha: Its level.
    """
    named, rows = test.p_value <= alpha, (len(observed), len(ensemble))
    found = [_numbers(k, observed, ensemble, u[k], test, power) for k in range(len(observed.names))]
    told = [feature_clauses(row, named, alpha, rows) for row in found]
    return tuple(replace(row, severity=s, clauses=c) for row, (s, c) in zip(found, told, strict=True))


def _numbers(
    k: int, observed: FeatureTable, ensemble: FeatureTable, u: ndarray, test: Test, power: Power
) -> FeatureVerdict:
    """The row of one feature, before anything is said of it."""
    y, x = (column[np.isfinite(column)] for column in (observed.value[:, k], ensemble.value[:, k]))
    sd_y, sd_x = _sd(y), _sd(x)
    ratio, low, high = sd_ratio(sd_y, sd_x, power.log_ratio[:, k])
    return FeatureVerdict(
        name=observed.names[k],
        unit=observed.units[k],
        n=len(y),
        m=len(x),
        observed_mean=_mean(y),
        observed_sd=sd_y,
        predicted_mean=_mean(x),
        predicted_sd=sd_x,
        sd_ratio=ratio,
        sd_ratio_low=low,
        sd_ratio_high=high,
        shift=(_mean(x) - _mean(y)) / sd_y if sd_y > 0 else float("nan"),
        p_spread=float(test.p_spread[k]),
        p_location=float(test.p_location[k]),
        p_defined=float(test.p_defined[k]),
        pit=u,
        coverage_50=float(interval_coverage(u, 0.5)),
        coverage_89=float(interval_coverage(u, 0.89)),
        crps=float(crps(y, x)),
        crps_ratio=crps_ratio(y, x),
        power_narrow=float(power.feature_narrow[k]),
        power_wide=float(power.feature_wide[k]),
        severity="not judged",
        clauses=(),
    )


def sd_ratio(observed_sd: float, predicted_sd: float, log_ratio: ndarray) -> tuple[float, float, float]:
    """Predicted over observed SD with its 89 % interval.

    Args:
        observed_sd: SD of the experiment.
        predicted_sd: SD of the ensemble.
        log_ratio: Scatter of ``log(s_observed / s_predicted)`` of as many rows under a right spread.

    Returns:
        Ratio, lower and upper end; NaN where either SD is zero or undefined.
    """
    if not (observed_sd > 0 and predicted_sd > 0):
        return float("nan"), float("nan"), float("nan")
    ratio = predicted_sd / observed_sd
    scatter = log_ratio[np.isfinite(log_ratio)]
    if not len(scatter):
        return ratio, float("nan"), float("nan")
    low, high = np.quantile(scatter, [0.055, 0.945])
    return ratio, float(ratio * np.exp(low)), float(ratio * np.exp(high))


def _mean(values: ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _sd(values: ndarray) -> float:
    unit = magnitude(values[:, None])[0]  # or squares of huge values overflow
    return float((values / unit).std(ddof=1) * unit) if len(values) > 1 else float("nan")
