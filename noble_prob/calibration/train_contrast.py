"""Spike trains of repeats against predicted ones: timing that no summary feature sees.

Three sets of distances say it all: between repeats *within* the experiment, *within* the ensemble, and *across*. If
both are repeats of one cell the three are alike.

``compare_trains``    the ensemble's members are repeats of one neuron, as those of a fitted trial model or of a second
                      experiment. The energy distance joins the three sets in one number, and its permutation test is
                      exact (:mod:`noble_prob.calibration.spike_trains`).
``compare_replays``   every posterior draw is a neuron of its own and replays all repeats. Its mean distance within is
                      ranked: are the recorded repeats as unlike each other as those of the draws?

Both are played through on pseudo-experiments whose spikes stray from their mean train twice as far: the power. Those of
``compare_trains`` are drawn from the ensemble and held against as many of its other trains as the test uses, or as are
left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from noble_prob.calibration.spike_trains import distances, energy_test
from noble_prob.calibration.verdict import LEVEL
from noble_prob.calibration.wording import ENOUGH, p_text, percent
from noble_prob.errors import require, require_seed
from noble_prob.findings.base import Severity

MOST_TRAINS = 120
"""Trains of an ensemble that are looked at."""
REPLAYS = 60


@dataclass(frozen=True, kw_only=True)
class TrainContrast:
    """Distances between spike trains within and across experiment and ensemble.

    Attributes:
        stimulus: Which stimulus, for headings.
        observed: Trains of the experiment (ms).
        predicted: Trains of the ensemble (ms).
        within_observed: Distances between different repeats of the experiment, shape ``(pair,)``.
        within_predicted: The same of the ensemble.
        across: Distances of every repeat to every member.
        jitter_observed: SD of the time of spike ``k`` over the repeats that have it (ms), NaN below two, ``(spike,)``.
        jitter_predicted: The same of the ensemble.
        jitter_band: Central 89 % interval of that SD over as many predicted repeats, shape ``(2, spike)``.
        p_value: Of the energy distance, or of the rank of the mean distance within.
        power: Probability of catching trains with twice the jitter.
        alpha: Level of the test.
        severity: ``issue``, ``passed`` or ``not judged``.
        sentence: The verdict in one sentence.
    """

    stimulus: str
    observed: tuple[ndarray, ...]
    predicted: tuple[ndarray, ...]
    within_observed: Float[ndarray, " pair"]
    within_predicted: Float[ndarray, " pair"]
    across: Float[ndarray, " pair"]
    jitter_observed: Float[ndarray, " spike"]
    jitter_predicted: Float[ndarray, " spike"]
    jitter_band: Float[ndarray, "two spike"]
    p_value: float
    power: float
    alpha: float
    severity: Severity
    sentence: str


def compare_trains(
    observed: Sequence[ndarray],
    predicted: Sequence[ndarray],
    *,
    stimulus: str = "",
    against: str = "the predicted ones",
    alpha: float = LEVEL,
    seed: int = 0,
) -> TrainContrast:
    """Are recorded and predicted trains repeats of one cell?

    Args:
        observed: Spike times (ms) of every repeat.
        predicted: Spike times (ms) of every predicted repeat of the same neuron.
        stimulus: For headings.
        against: What the other trains are called in the sentence.
        alpha: Level of the test.
        seed: Of relabellings and pseudo-experiments.

    Raises:
        UsageError: If either side has fewer than two trains.
    """
    n, m = len(observed), len(predicted)
    require(min(n, m) >= 2, "observed", "at least two trains on both sides", (n, m), "pass repeats")
    seed = require_seed(seed)
    rng = np.random.default_rng(seed)
    a = [np.asarray(t, dtype=float) for t in observed]
    every = [np.asarray(predicted[k], dtype=float) for k in rng.permutation(m)[: MOST_TRAINS + n]]
    b = every[:MOST_TRAINS]
    table = distances([*a, *b], [*a, *b])
    p = energy_test(table, np.arange(len(table)) < n, permutations=1999, seed=int(rng.integers(2**31)))[1]
    power = _power(every, n, alpha, rng)
    severity, sentence = _verdict(p, power, n, alpha, stimulus, against)
    sets = np.stack([jitter_by_index([b[k] for k in rng.integers(len(b), size=n)], _width(b)) for _ in range(200)])
    return TrainContrast(
        stimulus=stimulus,
        observed=tuple(a),
        predicted=tuple(b),
        within_observed=_pairs(table[:n, :n]),
        within_predicted=_pairs(table[n:, n:]),
        across=table[:n, n:].ravel(),
        jitter_observed=jitter_by_index(a),
        jitter_predicted=jitter_by_index(b),
        jitter_band=_band(sets),
        p_value=p,
        power=power,
        alpha=alpha,
        severity=severity,
        sentence=sentence,
    )


def compare_replays(
    observed: Sequence[ndarray], replays: Sequence[Sequence[ndarray]], *, stimulus: str = "", alpha: float = LEVEL
) -> TrainContrast:
    """Are the recorded repeats as unlike each other as those that each posterior draw replays?

    Args:
        observed: Spike times (ms) of every repeat.
        replays: Per posterior draw the spike times (ms) of as many repeats.
        stimulus: For headings.
        alpha: Level of the test.

    Raises:
        UsageError: If there are fewer than two repeats, or too few draws for the level.
    """
    n = len(observed)
    require(n >= 2, "observed", "at least two repeats", n, "pass repeats")
    fewest = math.ceil(2 / alpha)
    require(len(replays) >= fewest, "replays", f"at least {fewest} draws", len(replays), "draw more")
    a = [np.asarray(t, dtype=float) for t in observed]
    sets = [[np.asarray(t, dtype=float) for t in draw] for draw in replays]
    own, within = _pairs(distances(a, a)), [_pairs(distances(s, s)) for s in sets]
    means = np.array([w.mean() for w in within])
    p = _rank(float(own.mean()), means)
    wider = np.array([_pairs(distances(w, w)).mean() for w in map(_stretched, sets)])
    power = float(np.mean([_rank(float(value), means) <= alpha for value in wider]))
    severity, sentence = _verdict(p, power, n, alpha, stimulus, "the predicted ones")
    width = max(map(_width, sets))
    jitter = np.stack([jitter_by_index(s, width) for s in sets])
    return TrainContrast(
        stimulus=stimulus,
        observed=tuple(a),
        predicted=tuple(t for s in sets for t in s),
        within_observed=own,
        within_predicted=np.concatenate(within),
        across=np.concatenate([distances(a, s).ravel() for s in sets]),
        jitter_observed=jitter_by_index(a),
        jitter_predicted=_band(jitter, 0.0)[0],
        jitter_band=_band(jitter),
        p_value=p,
        power=power,
        alpha=alpha,
        severity=severity,
        sentence=sentence,
    )


def jitter_by_index(trains: Sequence[ndarray], width: int | None = None) -> Float[ndarray, " spike"]:
    """SD of the time of the first, second, ... spike over the trains that have it (ms); NaN with fewer than two.

    Args:
        trains: Spike times (ms).
        width: Number of spikes; that of the longest train if not given.
    """
    times = _padded(trains, width)
    count, mean = np.isfinite(times).sum(0), _mean_train(times)
    return np.where(count > 1, np.sqrt(np.nansum((times - mean) ** 2, 0) / np.maximum(count - 1, 1)), np.nan)


def _width(trains: Sequence[ndarray]) -> int:
    return max(map(len, trains), default=0)


def _padded(trains: Sequence[ndarray], width: int | None = None) -> ndarray:
    """Trains as rows, NaN behind the last spike."""
    times = np.full((len(trains), _width(trains) if width is None else width), np.nan)
    for row, train in zip(times, trains, strict=True):
        row[: len(train)] = train
    return times


def _mean_train(times: ndarray) -> ndarray:
    count = np.isfinite(times).sum(0)
    return np.where(count > 0, np.nansum(times, 0) / np.maximum(count, 1), np.nan)


def _stretched(trains: Sequence[ndarray]) -> list[ndarray]:
    """Trains whose spikes stray from their mean train twice as far."""
    centre = _mean_train(_padded(trains))
    return [np.sort(centre[: len(t)] + 2 * (t - centre[: len(t)])) for t in trains]


def _band(sets: ndarray, mass: float = 0.89) -> ndarray:
    """Ends of the central interval of every column, NaN where no row has it."""
    ends = np.full((2, sets.shape[1]), np.nan)
    some = np.isfinite(sets).any(0)
    ends[:, some] = np.nanquantile(sets[:, some], [(1 - mass) / 2, (1 + mass) / 2], axis=0)
    return ends


def _rank(value: float, reference: ndarray) -> float:
    """Two-sided rank p value of one number among the draws'."""
    above, below = (reference >= value - 1e-12).sum(), (reference <= value + 1e-12).sum()
    return float(min(1.0, 2 * (1 + min(above, below)) / (1 + len(reference))))


def _pairs(square: ndarray) -> ndarray:
    return square[np.triu_indices(len(square), 1)]


def _power(trains: list[ndarray], n: int, alpha: float, rng: np.random.Generator) -> float:
    """Share of pseudo-experiments that the energy test catches: ``n`` stretched trains against the others."""
    m = len(trains)
    if m < n + 2:
        return float("nan")
    both = [*trains, *_stretched(trains)]
    table, caught = distances(both, both), []
    for _ in range(REPLAYS):
        order = rng.permutation(m)
        rows = np.r_[order[:n] + m, order[n : n + MOST_TRAINS]]
        p = energy_test(
            table[np.ix_(rows, rows)], np.arange(len(rows)) < n, permutations=199, seed=int(rng.integers(2**31))
        )[1]
        caught.append(p <= alpha)
    return float(np.mean(caught))


def _verdict(p: float, power: float, n: int, alpha: float, stimulus: str, against: str) -> tuple[Severity, str]:
    where = f" ({stimulus})" if stimulus else ""
    if p <= alpha:
        return "issue", f"The {n} spike trains{where} scatter unlike {against} ({p_text(p)})."
    seen = (
        f"twice the jitter would be caught with probability {percent(power)}"
        if np.isfinite(power)
        else "there are too few to know what would be caught"
    )
    if not power >= ENOUGH:
        return "not judged", f"The {n} spike trains{where} do not contradict {against} ({p_text(p)}); {seen}."
    return "passed", f"The {n} spike trains{where} scatter like {against} ({p_text(p)}); {seen}."
