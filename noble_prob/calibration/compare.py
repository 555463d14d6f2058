"""The verbs: an experiment against an ensemble, level by level.

``calibrate_repeats`` asks about one cell (do repeats scatter as much as predicted?), ``calibrate_population`` about
many (do cells differ as much as predicted?), ``compare_experiments`` puts a second experiment in the ensemble's
place. All take tables, from whatever source, so no decoder is needed; the two levels can not be mixed, because the
tables say what a row is. Columns that number the rows are no features (:mod:`noble_prob.calibration.numbering`).
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from numbers import Real

import numpy as np

from noble_prob.calibration.coverage import coverage
from noble_prob.calibration.matching import common_features, left_out
from noble_prob.calibration.mean_power import mean_power
from noble_prob.calibration.numbering import numbering, without
from noble_prob.calibration.per_feature import feature_verdicts
from noble_prob.calibration.pit import pit
from noble_prob.calibration.power import spread_power
from noble_prob.calibration.result import Calibration
from noble_prob.calibration.scores import energy_ratio
from noble_prob.calibration.table import FeatureTable
from noble_prob.calibration.verdict import LEVEL, QUESTIONS, SMALLEST_LEVEL, fewest_relabellings, relabel_test
from noble_prob.calibration.wording import power_sentence, verdict_sentence
from noble_prob.errors import require, require_count, require_kind, require_seed
from noble_prob.findings.words import counted

MOST_ROWS = 2000
"""Rows of an ensemble beyond which evenly spaced ones stand for all."""


def calibrate_repeats(
    observed: FeatureTable,
    ensemble: FeatureTable,
    *,
    alpha: float = LEVEL,
    permutations: int = 1999,
    seed: int = 0,
    fitted_to: int | None = None,
) -> Calibration:
    """Trial-to-trial spread: repeats of one stimulus in one cell against predicted repeats.

    The test relabels the pooled rows; the p values of its questions are combined by their minimum, and features are
    named by the largest statistic, both calibrated by the same relabellings (Westfall and Young 1993).

    Args:
        observed: One row per repeat, axis ``trial``.
        ensemble: One row per predicted repeat, axis ``trial``.
        alpha: Probability of calling a right ensemble wrong.
        permutations: Relabellings of the test.
        seed: Of ties, relabellings and pseudo-experiments.
        fitted_to: Number of other repeats to which the ensemble was fitted, if it was: the error of their mean, which
            all predicted rows share, is then no misfit.

    Returns:
        The joint verdict with its p value and its power against a spread off by two and a mean off by one SD; per
        feature the ratio of SDs with an 89 % interval, PIT values, coverage and CRPS; the coverage curve. ``sentence``
        and ``power_sentence`` say it.

    Raises:
        UsageError: If a row is not a repeat, or no feature is shared, or ``fitted_to`` is not positive.
    """
    require(fitted_to is None or fitted_to > 0, "fitted_to", "a positive number of repeats", fitted_to, "count them")
    return _calibrate(observed, ensemble, "trial", alpha, permutations, seed, fitted_to=fitted_to)


def calibrate_population(
    observed: FeatureTable, ensemble: FeatureTable, *, alpha: float = LEVEL, permutations: int = 1999, seed: int = 0
) -> Calibration:
    """Spread between neurons: cells of one type against a prior ensemble.

    The test relabels the pooled rows; the p values of its questions are combined by their minimum, and features are
    named by the largest statistic, both calibrated by the same relabellings (Westfall and Young 1993).

    Args:
        observed: One row per recorded cell, axis ``neuron``.
        ensemble: One row per novel neuron, axis ``neuron``.
        alpha: Probability of calling a right ensemble wrong.
        permutations: Relabellings of the test.
        seed: Of ties, relabellings and pseudo-experiments.

    Returns:
        The joint verdict with its p value and its power against a spread off by two and a mean off by one SD; per
        feature the ratio of SDs with an 89 % interval, PIT values, coverage and CRPS; the coverage curve. ``sentence``
        and ``power_sentence`` say it.

    Raises:
        UsageError: If a row is not a cell, or no feature is shared.
    """
    return _calibrate(observed, ensemble, "neuron", alpha, permutations, seed)


def compare_experiments(
    first: FeatureTable, second: FeatureTable, *, alpha: float = LEVEL, permutations: int = 1999, seed: int = 0
) -> Calibration:
    """Two experiments of the same level against each other; the second stands where the ensemble stands.

    The test relabels the pooled rows; the p values of its questions are combined by their minimum, and features are
    named by the largest statistic, both calibrated by the same relabellings (Westfall and Young 1993).

    Args:
        first: One row per repeat or cell.
        second: Rows of the same kind.
        alpha: Probability of telling equal experiments apart.
        permutations: Relabellings of the test.
        seed: Of ties, relabellings and pseudo-experiments.

    Returns:
        The joint verdict with its p value and its power against a spread off by two and a mean off by one SD; per
        feature the ratio of SDs with an 89 % interval, PIT values, coverage and CRPS; the coverage curve. ``sentence``
        and ``power_sentence`` say it.

    Raises:
        UsageError: If the rows are of different kinds, or no feature is shared.
    """
    require_kind(first, FeatureTable, "first", "read it with FeatureTable.from_csv")
    return _calibrate(first, second, first.axis, alpha, permutations, seed, against="other experiment")


def _calibrate(
    observed: FeatureTable,
    ensemble: FeatureTable,
    level: str,
    alpha: float,
    permutations: int,
    seed: int,
    *,
    against: str = "ensemble",
    fitted_to: int | None = None,
) -> Calibration:
    """Everything that the three verbs share."""
    seed = _checked(observed, ensemble, level, alpha, permutations, seed)
    rng = np.random.default_rng(seed)
    numbers = numbering(observed, ensemble)
    observed, ensemble = without(observed, numbers), without(ensemble, numbers)
    alone = left_out(observed, ensemble)
    observed, ensemble, skipped = _comparable(*common_features(observed, ensemble))
    n, names = len(observed), observed.names
    if not names or n < 2 or len(ensemble) < 2:
        reason = (
            "no shared feature is defined and varies" if not names else f"{counted(n, 'row')} against {len(ensemble)}"
        )
        found = _unjudged(observed, ensemble, level, alpha, reason)
    else:
        found = _judged(observed, ensemble, level, alpha, permutations, rng, against, fitted_to)
    return replace(found, skipped=skipped | numbers, seed=seed, left_out=alone)


def _judged(
    observed: FeatureTable,
    ensemble: FeatureTable,
    level: str,
    alpha: float,
    permutations: int,
    rng: np.random.Generator,
    against: str,
    fitted_to: int | None,
) -> Calibration:
    """Test, power and figures of two tables with the same features, some of which vary."""
    n = len(observed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # means of columns that are undefined in a relabelling
        test = relabel_test(observed.value, ensemble.value, permutations=permutations, seed=rng, fitted_to=fitted_to)
        power = spread_power(ensemble.value, n, alpha=alpha, seed=rng)
        shift = mean_power(ensemble.value, n, alpha=alpha, seed=rng.spawn(1)[0], fitted_to=fitted_to)
        u = pit(observed.value.T, ensemble.value.T, seed=rng)
        features = feature_verdicts(observed, ensemble, u, test, power, alpha)
        energy = energy_ratio(observed.value, ensemble.value, seed=rng)
    severity, sentence = verdict_sentence(level, n, test, power, shift, features, alpha, against)
    return Calibration(
        level=level,
        observed=observed,
        ensemble=ensemble,
        alpha=alpha,
        p_value=test.p_value,
        p_question=dict(zip(QUESTIONS, map(float, test.p_question), strict=True)),
        power_narrow=power.narrow,
        power_wide=power.wide,
        power_shift=shift,
        features=features,
        coverage=coverage(u, observed.value, ensemble.value, rng),
        energy_ratio=energy[0],
        energy_ratio_low=energy[1],
        energy_ratio_high=energy[2],
        severity=severity,
        sentence=sentence,
        power_sentence=power_sentence(level, n, power, shift, against),
    )


def _checked(
    observed: FeatureTable, ensemble: FeatureTable, level: str, alpha: float, permutations: int, seed: int
) -> int:
    """The seed, after a look at all that was passed."""
    for table, name in ((observed, "observed"), (ensemble, "ensemble")):
        require_kind(
            table,
            FeatureTable,
            name,
            "put numbers into FeatureTable(names=, units=, value=, axis=), or read them with FeatureTable.from_csv",
        )
    require(
        observed.axis == level,
        "observed",
        f"rows that are '{level}'",
        f"'{observed.axis}'",
        "use the verb of the other level",
    )
    level_fits = isinstance(alpha, Real) and SMALLEST_LEVEL <= alpha < 1
    require(level_fits, "alpha", f"from {SMALLEST_LEVEL} to below 1", repr(alpha), "give a level such as 0.05")
    fewest = fewest_relabellings(alpha)
    require_count(permutations, "permutations", f"relabellings, so that p can be as small as alpha = {alpha:g}", fewest)
    return require_seed(seed)


def _comparable(observed: FeatureTable, ensemble: FeatureTable) -> tuple[FeatureTable, FeatureTable, dict[str, str]]:
    """Thin a huge ensemble, set aside features that neither side has, or all if none of them varies.

    Rows without any value stay: how often a feature exists is one of the questions.
    """
    ensemble = ensemble.rows(np.unique(np.linspace(0, len(ensemble) - 1, min(len(ensemble), MOST_ROWS)).astype(int)))
    every = {name: np.concatenate([observed.column(name), ensemble.column(name)]) for name in observed.names}
    skipped = {name: "undefined in experiment and ensemble" for name, v in every.items() if not np.isfinite(v).any()}
    if all((v == v[0]).all() for name, v in every.items() if name not in skipped and len(v)):
        skipped |= {name: "one value in every row" for name in every if name not in skipped}
    kept = [name for name in observed.names if name not in skipped]
    return observed.select(kept), ensemble.select(kept), skipped


def _unjudged(observed: FeatureTable, ensemble: FeatureTable, level: str, alpha: float, why: str) -> Calibration:
    """What is left to say where a spread can not be compared."""
    nan = float("nan")
    return Calibration(
        level=level,
        observed=observed,
        ensemble=ensemble,
        alpha=alpha,
        p_value=nan,
        p_question={},
        power_narrow=0.0,
        power_wide=0.0,
        power_shift=0.0,
        features=(),
        coverage=None,
        energy_ratio=nan,
        energy_ratio_low=nan,
        energy_ratio_high=nan,
        severity="not judged",
        sentence=f"No spread could be compared: {why}.",
        power_sentence="Neither a spread off by two nor a mean off by one SD would have been caught.",
    )
