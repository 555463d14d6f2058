"""The noun of calibration: what was compared, what came out, and what the comparison could have seen."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from noble_prob.calibration.table import FeatureTable
from noble_prob.errors import listed, require
from noble_prob.findings.base import Severity
from noble_prob.findings.words import begun, counted, in_words


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureVerdict:
    """One feature of experiment and ensemble.

    Attributes:
        name: Feature.
        unit: Its unit, empty for counts.
        n: Rows of the experiment in which it is defined.
        m: Rows of the ensemble in which it is defined.
        observed_mean: Mean of the experiment (unit).
        observed_sd: SD of the experiment (unit); NaN with fewer than two values.
        predicted_mean: Mean of the ensemble (unit).
        predicted_sd: SD of the ensemble (unit).
        sd_ratio: Predicted over observed SD; above 1 the ensemble is too wide.
        sd_ratio_low: Lower end of its 89 % interval.
        sd_ratio_high: Upper end of it.
        shift: (predicted - observed mean) / observed SD.
        p_spread: p value of the spread, corrected over features.
        p_location: p value of the mean, corrected over features.
        p_defined: p value of the share of rows in which it is defined, corrected over features.
        pit: Randomised PIT of each row of the experiment, NaN where undefined.
        coverage_50: Share of rows in the ensemble's central 50 % interval.
        coverage_89: Share of rows in the central 89 % interval.
        crps: Mean CRPS of the ensemble (unit).
        crps_ratio: The same over the experiment's own leave-one-out CRPS; 1 if as good as the experiment itself.
        power_narrow: Probability that half the right spread, in this feature alone, would have been named.
        power_wide: The same for twice the right spread.
        severity: ``issue`` if named as misfit, ``passed``, or ``not judged``.
        clauses: What is said of it, each a clause without its subject (``is never defined in the ensemble``).
    """

    name: str
    unit: str
    n: int
    m: int
    observed_mean: float
    observed_sd: float
    predicted_mean: float
    predicted_sd: float
    sd_ratio: float
    sd_ratio_low: float
    sd_ratio_high: float
    shift: float
    p_spread: float
    p_location: float
    p_defined: float
    pit: Float[ndarray, " row"]
    coverage_50: float
    coverage_89: float
    crps: float
    crps_ratio: float
    power_narrow: float
    power_wide: float
    severity: Severity
    clauses: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        return f"{begun(in_words(self.name))} {', and '.join(self.clauses)}."

    def __repr__(self) -> str:
        """One line for people."""
        return f"FeatureVerdict({self.severity}: {self.sentence})"


@dataclass(frozen=True, kw_only=True, eq=False)
class Coverage:
    """Coverage curve of all features together, with its band under calibration.

    Attributes:
        nominal: Probabilities, shape ``(grid,)``.
        observed: Share of values inside, shape ``(grid,)``.
        low: Simultaneous 95 % band, shape ``(grid,)``.
        high: Upper end.
        n: Number of values.
    """

    nominal: Float[ndarray, " grid"]
    observed: Float[ndarray, " grid"]
    low: Float[ndarray, " grid"]
    high: Float[ndarray, " grid"]
    n: int

    @property
    def inside(self) -> bool:
        """Whether the whole curve lies in the band."""
        return bool(((self.observed >= self.low - 1e-9) & (self.observed <= self.high + 1e-9)).all())


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """Experiment against ensemble, feature by feature and jointly.

    Attributes:
        level: ``trial`` (repeats of one cell), ``neuron`` (cells of a population) or ``draw`` (a posterior).
        observed: The experiment's table, features in common.
        ensemble: The ensemble's table, the same features.
        alpha: Level of the whole comparison.
        p_value: Of the whole comparison (see :mod:`noble_prob.calibration.verdict`); NaN if it could not be made.
        p_question: Joint question to its own p value, not corrected.
        power_narrow: Probability that half the right spread in all features would have been caught.
        power_wide: The same for twice the right spread.
        power_shift: Probability that a mean off by one SD in a single feature would have been caught, mean over
            features.
        features: One verdict per feature.
        coverage: Coverage curve; None if experiment and ensemble share no value of any feature.
        energy_ratio: Energy score of the ensemble over the experiment's own.
        energy_ratio_low: Lower end of its 89 % range under calibration (relabelled rows).
        energy_ratio_high: Upper end of it.
        severity: ``issue``, ``passed``, or ``not judged`` where a spread off by two would have been missed too often. A
            pass says that means agree only if ``power_shift`` is 0.8 or more.
        sentence: The verdict in one sentence.
        power_sentence: What the test could have seen.
        skipped: Feature to the reason why it was not compared.
        left_out: Column that only one table has to that table, ``observed`` or ``ensemble``.
        recalibrated: Whether the ensemble was moved to the experiment's means and SDs before.
        offered: Names that the ensemble could have had, where it is no table of the user's.
        seed: Of all randomness.
    """

    level: str
    observed: FeatureTable
    ensemble: FeatureTable
    alpha: float
    p_value: float
    p_question: dict[str, float]
    power_narrow: float
    power_wide: float
    power_shift: float
    features: tuple[FeatureVerdict, ...]
    coverage: Coverage | None
    energy_ratio: float
    energy_ratio_low: float
    energy_ratio_high: float
    severity: Severity
    sentence: str
    power_sentence: str
    skipped: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    recalibrated: bool = False
    offered: tuple[str, ...] = ()
    seed: int = 0

    def __repr__(self) -> str:
        """One line for people."""
        return (
            f"Calibration({self.level!r}, {self.severity}: {counted(len(self.observed), 'row')} against "
            f"{len(self.ensemble)}, {counted(len(self.features), 'feature')}, p = {self.p_value:.3g}, seed {self.seed})"
        )

    def __getitem__(self, name: str) -> FeatureVerdict:
        """Verdict of one feature.

        Raises:
            UsageError: If the feature was not compared.
        """
        known = {item.name: item for item in self.features}
        require(
            name in known,
            "name",
            f"among {listed(known) or 'none, for no feature was compared'}",
            repr(name),
            "pick a feature that was compared; those that were not are in `skipped` and `left_out`",
        )
        return known[name]

    @property
    def miscalibrated(self) -> bool:
        """Whether the ensemble is called wrong; happens with probability at most ``alpha`` if it is right."""
        return bool(np.isfinite(self.p_value) and self.p_value <= self.alpha)
