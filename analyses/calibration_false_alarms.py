"""How often right predictions are called wrong: spike trains, and ensembles fitted to few repeats.

1. *Spike trains* (finding NP207): fifteen spikes, 20 ms apart, each interval jittered by 0.5 ms (SD). Eight repeats
   against 40 further trains of the same neuron (``compare_trains``), and against 100 posterior draws whose rates differ
   by 5 % (SD), each replaying eight repeats (``compare_replays``). Jitter as it should be: false alarms; twice or half
   as large: power.
2. *Fitted ensembles*: four features with correlation 0.5; an ensemble of 600 is centred on the mean of twelve repeats
   and judged on twelve others. Its mean is off by 0.3 SD, and all its rows share that: with and without telling the
   test (``fitted_to``).

    python analyses/calibration_false_alarms.py [--runs 400]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from scipy import stats

from noble_prob.calibration.spike_trains import distances, energy_test
from noble_prob.calibration.train_contrast import compare_replays
from noble_prob.calibration.verdict import LEVEL, relabel_test

REPEATS, DRAWS, FEATURES, FITTED = 8, 100, 4, 12
MIXING = np.linalg.cholesky(0.5 * np.ones((FEATURES, FEATURES)) + 0.5 * np.eye(FEATURES))


def trains(rng: np.random.Generator, n: int, sigma_ms: float = 0.5, rate: float = 0.0) -> list[np.ndarray]:
    """Trains of one neuron: fifteen spikes whose intervals (20 ms) jitter independently."""
    intervals = 20 * (1 + rate) + sigma_ms * rng.standard_normal((n, 15))
    return list(np.maximum(intervals, 1).cumsum(-1))


def one_neuron(rng: np.random.Generator, factor: float) -> bool:
    """Are eight repeats called unlike 40 trains whose jitter is ``factor`` times theirs?"""
    every = [*trains(rng, REPEATS), *trains(rng, 40, 0.5 * factor)]
    mine = np.arange(len(every)) < REPEATS
    return energy_test(distances(every, every), mine, permutations=999, seed=int(rng.integers(2**31)))[1] <= LEVEL


def many_neurons(rng: np.random.Generator, factor: float) -> bool:
    """The same against posterior draws, each a neuron with a rate of its own."""
    replays = [trains(rng, REPEATS, 0.5 * factor, rate) for rate in rng.normal(0, 0.05, DRAWS)]
    return compare_replays(trains(rng, REPEATS, rate=rng.normal(0, 0.05)), replays).p_value <= LEVEL


def fitted(rng: np.random.Generator, factor: float, told: bool = True) -> bool:
    """Is an ensemble called wrong whose mean is that of twelve other repeats?"""
    known, new = rng.standard_normal((2, FITTED, FEATURES)) @ MIXING.T
    rows = factor * (1 + 1 / FITTED) ** 0.5 * rng.standard_normal((600, FEATURES)) @ MIXING.T + known.mean(0)
    return relabel_test(new, rows, permutations=399, seed=rng, fitted_to=FITTED if told else None).p_value <= LEVEL


def share(call: Callable[[np.random.Generator, float], bool], factor: float, runs: int, seed: int) -> str:
    """Share of runs called wrong with its 95 % interval (Clopper and Pearson)."""
    rng = np.random.default_rng(seed)
    k = sum(call(rng, factor) for _ in range(runs))
    interval = stats.binomtest(k, runs).proportion_ci()
    return f"{100 * k / runs:.1f} % ({100 * interval.low:.1f} .. {100 * interval.high:.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=400)
    args = parser.parse_args()
    kinds: dict[str, Callable[[np.random.Generator, float], bool]] = {
        "trains of one neuron": one_neuron,
        "replays of posterior draws": many_neurons,
        "fitted ensemble, test told": fitted,
        "fitted ensemble, test not told": lambda rng, factor: fitted(rng, factor, told=False),
    }
    print(f"called wrong (95 % interval): spread right, {args.runs} runs | half | twice, {args.runs // 2} runs each")
    for k, (name, call) in enumerate(kinds.items()):
        shares = [
            share(call, factor, args.runs // (1 if factor == 1 else 2), 10 * k + n)
            for n, factor in enumerate((1.0, 0.5, 2.0))
        ]
        print(f"{name:31s} " + " | ".join(shares), flush=True)


if __name__ == "__main__":
    main()
