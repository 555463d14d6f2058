"""False alarms and power of the calibration test, measured, beside the power that a report prints.

Each synthetic calibration draws an experiment of some repeats and an ensemble of 400, of eight features with
correlation 0.5: one a count, one with heavy tails, one undefined in a tenth of the rows. The ensemble is right, or its
spread is half or twice what it should be, in all features or in one. Claims: a right ensemble is called wrong in at
most 5 %; with twelve repeats a spread off by two is caught in at least 90 %; printed and measured power agree within
ten points.

    python analyses/calibration_power.py [--runs 400] [--repeats 2 3 4 6 12] [--members 400]
"""

from __future__ import annotations

import argparse

import numpy as np

from noble_prob.calibration.power import spread_power
from noble_prob.calibration.verdict import LEVEL, relabel_test

FEATURES = 8
MIXING = np.linalg.cholesky(0.5 * np.ones((FEATURES, FEATURES)) + 0.5 * np.eye(FEATURES))
ALONE = 4
"""The feature whose spread alone is off: an ordinary one."""


def rows(rng: np.random.Generator, n: int) -> np.ndarray:
    """Correlated features: a count, heavy tails, one that some rows lack."""
    x = rng.standard_normal((n, FEATURES)) @ MIXING.T
    x[:, 0] = np.round(2 * x[:, 0]) + 12
    x[:, 1] *= np.sqrt(5 / rng.chisquare(5, n))
    x[:, 2] = np.where(rng.random(n) < 0.1, np.nan, x[:, 2])
    return x


def stretch(x: np.ndarray, factor: float, only: int | None = None) -> np.ndarray:
    """Deviations from the mean multiplied, in all features or in one."""
    factors = np.full(FEATURES, factor) if only is None else np.where(np.arange(FEATURES) == only, factor, 1.0)
    centre = np.nanmean(x, 0)
    return centre + factors * (x - centre)


def measured(n: int, m: int, factor: float, runs: int, seed: int, only: int | None = None) -> float:
    """Share of calibrations in which the ensemble is called wrong (``only``: that feature named)."""
    rng, called = np.random.default_rng(seed), []
    for _ in range(runs):
        test = relabel_test(rows(rng, n), stretch(rows(rng, m), factor, only), permutations=399, seed=rng)
        named = True if only is None else test.p_spread[only] <= LEVEL
        called.append(bool(test.p_value <= LEVEL and named))
    return float(np.mean(called))


def printed(n: int, m: int, factor: float, ensembles: int = 8) -> tuple[float, float]:
    """Mean and SD over ensembles of the power that a report would print."""
    rng = np.random.default_rng(9)
    power = [spread_power(stretch(rows(rng, m), factor), n, seed=k) for k in range(ensembles)]
    values = [p.narrow if factor < 1 else p.wide for p in power]
    return float(np.mean(values)), float(np.std(values))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--repeats", type=int, nargs="+", default=[2, 3, 4, 6, 12])
    parser.add_argument("--members", type=int, default=400)
    args = parser.parse_args()
    print("repeats | right called wrong | x0.5 caught (printed, SD over ensembles) | x2 | one feature named, x0.5, x2")
    for n in args.repeats:
        cells = [f"{100 * measured(n, args.members, 1.0, args.runs, 0):.1f} %"]
        for factor in (0.5, 2.0):
            seen, (said, spread) = measured(n, args.members, factor, args.runs, 1), printed(n, args.members, factor)
            cells.append(f"{100 * seen:.0f} % ({100 * said:.0f} +- {100 * spread:.0f} %)")
        cells += [f"{100 * measured(n, args.members, f, args.runs, 2, ALONE):.0f} %" for f in (0.5, 2.0)]
        print(f"{n:3d} | " + " | ".join(cells), flush=True)


if __name__ == "__main__":
    main()
