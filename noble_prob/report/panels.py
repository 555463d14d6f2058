"""The figures of a report as values: what each one draws, before any drawing.

Every panel says its n; those that carry a test say its power. ``nan`` marks a missing value and is not drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from noble_prob.errors import require

AFTER_ONSET = "time after step onset (ms)"
"""Label of a time axis whose zero is where the step begins."""


def _array(value: ArrayLike, ndim: int, name: str) -> NDArray[np.float64]:
    """Any array-like as float64 of the given number of axes."""
    array = np.asarray(value, dtype=float)
    require(
        array.ndim == ndim, name, f"an array of {ndim} axes", f"shape {array.shape}", "give it in the documented shape"
    )
    return array


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """Voltage of one sweep: the recording over members of the ensemble.

    Attributes:
        title: For example ``"sweep 3, +180 pA"``.
        time_ms: Shape ``(time,)``.
        ensemble_mv: Shape ``(member, time)``; every member given is drawn, so give some ten.
        observed_mv: Shape ``(time,)`` or ``(repeat, time)``; None for an ensemble without recording.
        stimulus_ms: Onset and end of the pulse, drawn as a bar.
        members: What a member is (``"posterior draws"``, ``"novel neurons"``).
        n_members: Size of the ensemble the drawn members were taken from.
        xlabel: What the zero of the time axis is, and its unit.
        shown: Of how many sweeps those of the page are, where some have no panel (``"6 of 7 sweeps shown"``).
        note: What else a reader should know of this panel, without a full stop.
    """

    title: str
    time_ms: ArrayLike
    ensemble_mv: ArrayLike = field(default_factory=lambda: np.empty((0, 0)))
    observed_mv: ArrayLike | None = None
    stimulus_ms: tuple[float, float] | None = None
    members: str = "ensemble members"
    n_members: int | None = None
    xlabel: str = "time (ms)"
    shown: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "time_ms", _array(self.time_ms, 1, "time_ms"))
        object.__setattr__(self, "ensemble_mv", _array(self.ensemble_mv, 2, "ensemble_mv"))
        if self.observed_mv is not None:
            object.__setattr__(self, "observed_mv", np.atleast_2d(np.asarray(self.observed_mv, dtype=float)))


@dataclass(frozen=True, kw_only=True)
class Raster:
    """Spike times, one row per repeat or member.

    Attributes:
        title: For example ``"+180 pA"``.
        groups: Group name (``"experiment"``, ``"ensemble"``) to spike times (ms) of each row.
        window_ms: Start and end of the axis.
        xlabel: What its zero is, and its unit.
        shown: As of an :class:`Overlay`.
        recorded: Whether the first group was recorded; if not, all are drawn in the colour of ensembles.
        total: How many there are of what the last group was taken from, if not all are drawn.
    """

    title: str
    groups: Mapping[str, Sequence[ArrayLike]]
    window_ms: tuple[float, float]
    xlabel: str = "time (ms)"
    shown: str = ""
    recorded: bool = True
    total: int | None = None

    @property
    def wide(self) -> bool:
        """Whether it is long enough to need the width of the page."""
        return self.window_ms[1] - self.window_ms[0] > 1000


@dataclass(frozen=True, kw_only=True)
class FeaturePanel:
    """One feature: experiment, ensemble and PIT side by side.

    Attributes:
        name: Feature.
        unit: Its unit, empty for counts and ratios.
        observed: Shape ``(repeat,)``.
        ensemble: Shape ``(member,)``.
        pit: Shape ``(repeat,)``, in [0, 1].
        severity: Of the feature's verdict.
        verdict: One short sentence.
        power: One short sentence.
        level: Heading it is shown under.
    """

    name: str
    unit: str
    observed: ArrayLike
    ensemble: ArrayLike
    pit: ArrayLike = ()
    severity: str = "not judged"
    verdict: str = ""
    power: str = ""
    level: str = ""

    def __post_init__(self) -> None:
        for name in ("observed", "ensemble", "pit"):
            object.__setattr__(self, name, _array(getattr(self, name), 1, name))


@dataclass(frozen=True, kw_only=True)
class CoverageCurve:
    """Share of observations inside the central interval of each probability.

    Attributes:
        title: Level or feature.
        nominal: Probability of the interval, shape ``(grid,)``.
        observed: Share found inside, shape ``(grid,)``.
        low: Simultaneous band under calibration, shape ``(grid,)``.
        high: Upper end of the band.
        n: Number of observations.
        band: Probability that a calibrated curve stays in the band everywhere.
        level: Heading it is shown under.
    """

    title: str
    nominal: ArrayLike
    observed: ArrayLike
    low: ArrayLike
    high: ArrayLike
    n: int
    band: float = 0.95
    level: str = ""

    def __post_init__(self) -> None:
        for name in ("nominal", "observed", "low", "high"):
            object.__setattr__(self, name, _array(getattr(self, name), 1, name))


@dataclass(frozen=True, kw_only=True)
class FiPanel:
    """Mean rate, or a feature, against current, with bands of the ensemble.

    Attributes:
        title: Heading; empty where it would only repeat ``ylabel``.
        current_pa: Shape ``(current,)``.
        median: Of the ensemble, shape ``(current,)``.
        bands: Probability (0.5, 0.89) to (low, high), each of shape ``(current,)``.
        observed: Points (current in pA, value), shape ``(point, 2)``.
        ylabel: Quantity and unit.
        xlabel: What it is drawn against, and its unit.
        n_members: Size of the ensemble.
        members: What a member is.
        level: Heading it is shown under.
        caption: What is drawn, with n; made from the sizes if not given.
        log: Whether the values, all positive, have a logarithmic axis.
        severity: Of a finding about this curve; empty without any.
        name: Feature.
    """

    title: str
    current_pa: ArrayLike
    median: ArrayLike
    bands: Mapping[float, tuple[ArrayLike, ArrayLike]]
    observed: ArrayLike = field(default_factory=lambda: np.empty((0, 2)))
    ylabel: str = "mean rate (Hz)"
    xlabel: str = "current (pA)"
    n_members: int | None = None
    members: str = "ensemble members"
    level: str = ""
    caption: str = ""
    log: bool = False
    severity: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        for name, ndim in (("current_pa", 1), ("median", 1), ("observed", 2)):
            object.__setattr__(self, name, _array(getattr(self, name), ndim, name))


@dataclass(frozen=True, kw_only=True)
class PairPlot:
    """Posterior draws in every pair of latents, with prior draws and published models.

    Attributes:
        names: Latents, in order.
        units: Their units.
        posterior: Shape ``(draw, latent)``.
        prior: Shape ``(draw, latent)``, may be empty.
        population: Published models or measured cells, shape ``(neuron, latent)``, may be empty.
        truth: Shape ``(latent,)``, where known.
        labels: What the three clouds are called.
        log: Which latents have a logarithmic axis, their values being positive; none if not given.
        caption: How these latents were chosen.
        of: What the pairs are of.
        measured: Whether the population was measured: it has the colour of experiments.
    """

    names: Sequence[str]
    units: Sequence[str]
    posterior: ArrayLike
    prior: ArrayLike | None = None
    population: ArrayLike | None = None
    truth: ArrayLike | None = None
    labels: tuple[str, str, str] = ("posterior draws", "prior draws", "published models")
    log: Sequence[bool] = ()
    caption: str = ""
    of: str = "latents"
    measured: bool = False

    def __post_init__(self) -> None:
        for name in ("posterior", "prior", "population"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _array(getattr(self, name), 2, name))
        if self.truth is not None:
            object.__setattr__(self, "truth", _array(self.truth, 1, "truth"))
        object.__setattr__(self, "log", tuple(self.log) or (False,) * len(self.names))
