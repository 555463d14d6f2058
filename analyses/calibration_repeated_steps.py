"""Same steps, minutes apart, in many cells: drift of a session separated from trial-to-trial jitter.

In the data set of rat layer 5 pyramidal cells most cells saw their family of steps twice. The difference between the
two responses to one step holds both: a change of state that all steps of the cell share (drift, here a straight line
in the step's amplitude), and what is left (jitter; a difference of two repeats has twice its variance). Pooled over
cells this gives the SD of repeats minutes apart, of repeats without drift, and of the cells themselves.

The state model of :mod:`noble_prob.noise.state` is fitted to the same sweeps by NUTS, hierarchically over cells:
jitter, drift per square root of a minute and their correlations, with intervals. It knows the order of all sweeps and
not only pairs (ten seconds from one to the next are assumed; the index does not say).

What it shows: minutes apart, most of the change is drift. A trial model fitted to such pairs without separating the
two would make repeats several times too variable; one that ignores drift is right only for repeats close in time.

    python analyses/calibration_repeated_steps.py --folder bbp_sscx_l5pc [--draws 500] [--out DIR]
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import arviz as az
import numpy as np
import torch

from noble_prob.calibration import pit
from noble_prob.features import FEATURES, measure
from noble_prob.noise.state import StateFit, SweepStates, fit_state
from noble_prob.recording import Protocol, Recording, Step
from noble_prob.report import FeaturePanel, ReportData, Table, Verdict, render
from noble_prob.report.parts import merge

NAMES = (
    "spike_count",
    "first_spike_latency_ms",
    "mean_isi_ms",
    "resting_voltage_mv",
    "ap1_peak_mv",
    "ahp_depth_abs_mv",
)
COLUMNS = ("feature", "unit", "pairs", "SD apart", "mean drift", "SD of drift over cells", "jitter SD", "drift share")
SAME = 0.01
"""Two steps are the same if their amplitudes differ by less than this share."""
MINUTES = 10 / 60
"""Assumed time from one sweep to the next (minutes); the index does not tell it."""
STATE = ("resting_voltage_mv", "ap1_peak_mv", "ahp_depth_abs_mv", "spike_count")
"""Features of the state model."""
METHODS = (
    "The difference between the two responses of a cell to one step was split into a straight line in the step's "
    "amplitude (drift) and what is left (jitter, half of whose variance is a repeat's). A Gaussian state model with a "
    "random walk over sweeps was fitted to the same sweeps by NUTS, partially pooled over cells."
)
FEWEST = 6
"""Pairs of a cell from which a line through the drift is fitted."""


def measure_sweeps(folder: Path) -> tuple[list[dict[str, str]], np.ndarray]:
    """The index of all sweeps and their features, shape ``(sweep, feature)``."""
    with (folder / "idrest_index.csv").open(newline="") as file:
        index = list(csv.DictReader(file))
    with np.load(folder / "idrest.npz") as data:
        voltage = data["V"].astype(np.float32) * float(data["V_scale_mV"])
        time = torch.arange(voltage.shape[1], dtype=torch.float64) * 1000 * float(data["dt_s"])
    rows = []
    for row, trace in zip(index, voltage, strict=True):
        on, off = float(row["stim_on_ms"]), float(row["stim_off_ms"])
        step = Step(onset_ms=on, duration_ms=off - on, amplitude_pa=float(row["step_pA"]))
        current = step.amplitude_pa * ((time >= on) & (time < off)).to(torch.float64)
        protocol = Protocol(time_ms=time, current_pa=current[None], steps=(step,))
        recording = Recording(protocol=protocol, voltage_mv=torch.from_numpy(trace)[None])
        rows.append(measure(recording, names=NAMES).value[0].numpy())
    return index, np.array(rows, float)


def same_step_pairs(index: list[dict[str, str]]) -> dict[str, list[tuple[int, int]]]:
    """Per cell, the sweeps of its first and second family with the same step and at least one spike."""
    cells = defaultdict(list)
    for k, row in enumerate(index):
        cells[row["cell"]].append((int(row["sweep"]), float(row["step_pA"]), int(row["n_spikes"]), k))
    pairs = {}
    for cell, sweeps in cells.items():
        sweeps.sort()
        pairs[cell] = [
            (a[3], b[3])
            for i, a in enumerate(sweeps)
            for b in sweeps[i + 1 :]
            if abs(a[1] - b[1]) < SAME * abs(a[1]) and a[2] > 0 and b[2] > 0
        ]
    return {cell: found for cell, found in pairs.items() if len(found) >= FEWEST}


def split(difference: np.ndarray, step: np.ndarray) -> tuple[float, float, int]:
    """Mean drift, sum of squares of the jitter, and its degrees of freedom, of one cell and feature."""
    known = np.isfinite(difference)
    if known.sum() < FEWEST:
        return np.nan, 0.0, 0
    design = np.column_stack([np.ones(known.sum()), step[known] - step[known].mean()])
    coefficients, *_ = np.linalg.lstsq(design, difference[known], rcond=None)
    residual = difference[known] - design @ coefficients
    return float(coefficients[0]), float((residual**2).sum() / 2), int(known.sum() - 2)


def separate(pairs: dict[str, list[tuple[int, int]]], value: np.ndarray, step: np.ndarray) -> list[tuple[object, ...]]:
    """One row per feature: pairs, SD minutes apart, mean and SD over cells of the drift, jitter SD, drift's share."""
    rows: list[tuple[object, ...]] = []
    for k, name in enumerate(NAMES):
        drift, squares, freedom, raw, n = [], 0.0, 0, 0.0, 0
        for found in pairs.values():
            first, second = np.array(found).T
            difference = value[second, k] - value[first, k]
            mean, square, dof = split(difference, step[first])
            known = np.isfinite(difference)
            drift.append(mean)
            squares, freedom = squares + square, freedom + dof
            raw, n = raw + float((difference[known] ** 2).sum() / 2), n + int(known.sum())
        total, jitter = raw / n, squares / freedom
        mean, spread = float(np.nanmean(drift)), float(np.nanstd(drift, ddof=1))
        share = max(0.0, 1 - jitter / total)
        rows.append((name, FEATURES[name].unit, n, total**0.5, mean, spread, jitter**0.5, share))
    return rows


def fitted(
    index: list[dict[str, str]], value: np.ndarray, pairs: dict[str, list[tuple[int, int]]], draws: int
) -> StateFit:
    """The state model of all cells with enough pairs."""
    minutes, stimulus, rows = [], [], []
    for found in pairs.values():
        used = sorted({k for pair in found for k in pair})
        group = {k: n for n, pair in enumerate(found) for k in pair}
        minutes.append(torch.tensor([float(index[k]["sweep"]) * MINUTES for k in used], dtype=torch.float64))
        stimulus.append([group[k] for k in used])
        rows.append(torch.from_numpy(value[used][:, [NAMES.index(n) for n in STATE]]))
    units = tuple(FEATURES[n].unit for n in STATE)
    states = SweepStates(names=STATE, units=units, value=rows, stimulus=stimulus, minutes=minutes, cell=tuple(pairs))
    return fit_state(states, draws=draws, seed=1)


def effective(fit: StateFit) -> dict[str, float]:
    """Smallest bulk and tail effective sample size of the logs of all scales of all cells (Vehtari et al. 2021)."""
    log = torch.cat([fit.jitter, fit.drift], -1).log().unflatten(0, (fit.chains, -1)).numpy()
    data = az.convert_to_dataset({"log": log})
    return {kind: float(az.ess(data, method=kind)["log"].min()) for kind in ("bulk", "tail")}


def panels(
    pairs: dict[str, list[tuple[int, int]]], value: np.ndarray, rows: list[tuple[object, ...]]
) -> list[FeaturePanel]:
    """Differences between the two families, and what jitter alone would give."""
    rng, out = np.random.default_rng(1), []
    first, second = np.array([pair for found in pairs.values() for pair in found]).T
    for k, row in enumerate(rows):
        alone = rng.normal(0, 2**0.5 * float(str(row[6])), 4000)
        seen = value[second, k] - value[first, k]
        seen, share = seen[np.isfinite(seen)], float(str(row[7]))
        out.append(
            FeaturePanel(
                name=f"second - first {NAMES[k]}",
                unit=str(row[1]),
                observed=seen,
                ensemble=alone,
                pit=pit(seen[None], alone[None], seed=1)[0],
                severity="caution" if share > 0.5 else "passed",
                level="Pairs minutes apart",
                verdict=f"Outline: {len(seen)} pairs; filled: jitter alone. {100 * share:.0f} % of variance is drift.",
            )
        )
    return out


def state_table(fit: StateFit) -> Table:
    """Posterior of the state model."""
    rows = [(r["feature"], r["unit"], *r["jitter"], *r["drift"]) for r in fit.summary()]  # type: ignore[misc]
    columns = ("feature", "unit", "jitter SD", "5.5 %", "94.5 %", "drift per sqrt(min)", "5.5 %", "94.5 %")
    return Table(
        title="State model",
        columns=columns,
        rows=rows,
        caption=f"Median cell of {len(fit.states.cell)}; NUTS, R-hat {fit.r_hat:.3f}, {fit.divergences} divergences.",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--draws", type=int, default=500, help="of each of two chains of the state model")
    args = parser.parse_args()
    index, value = measure_sweeps(args.folder)
    pairs = same_step_pairs(index)
    rows = separate(pairs, value, np.array([float(row["step_pA"]) for row in index]))
    size = f"{len(pairs)} cells with {sum(map(len, pairs.values()))} same-step pairs"
    print(size)
    print(" | ".join(COLUMNS))
    for row in rows:
        print(" | ".join(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row))
    fit = fitted(index, value, pairs, args.draws)
    fewest = effective(fit)
    print(
        f"state model: R-hat {fit.r_hat:.3f}, effective sample size at least {fewest['bulk']:.0f} (bulk), "
        f"{fewest['tail']:.0f} (tail), {fit.divergences} divergences; median cell, 89 % interval"
    )
    for row in state_table(fit).rows:
        name, unit, *numbers = row
        print("  {:20s} jitter {:.3g} ({:.3g} .. {:.3g})  drift {:.3g} ({:.3g} .. {:.3g})".format(name, *numbers), unit)
    if args.out:
        count = rows[NAMES.index("spike_count")]
        sentence = (
            f"Of the variance of the spike count over repeats minutes apart {100 * float(str(count[7])):.0f} % "
            f"is drift; without it a repeat varies by {float(str(count[6])):.1f} spikes."
        )
        page = merge(
            "Same steps, minutes apart",
            [
                ReportData(
                    title="",
                    tables=[
                        Table(title="Drift and jitter", columns=COLUMNS, rows=rows, caption=size),
                        state_table(fit),
                    ],
                    features=panels(pairs, value, rows),
                    methods=[METHODS],
                    verdicts=[Verdict(level="Trial to trial", severity="caution", sentence=sentence)],
                )
            ],
            subtitle=args.folder.name,
            provenance={"seed": 1},
        )
        args.out.mkdir(parents=True, exist_ok=True)
        for form, name in (("html", "report.html"), ("json", "report.json")):
            (args.out / name).write_text(render(page, form), encoding="utf-8")


if __name__ == "__main__":
    main()
