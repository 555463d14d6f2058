"""The simulator reproduces the published features of both published Halls of Fame.

PVALB: a 1 s step of 180 pA (firing) and of -110 pA (sag) against the authors' table of the same steps. VIP: a 1 s step
of 100 pA against the authors' averages over an unstated set of sweeps, so that only rest, spike height and width
compare closely. Their times are multiples of 0.1 ms, so both sides are measured by eFEL on a grid of 0.1 ms.

    python analyses/simulation_published_features.py --hof DIR [--jobs 2] [--models 0-59]

DIR holds one folder per cell (pvalb-689331391, vip-650077366): parameter files, morphology, tables of features.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import efel
import numpy as np

from noble_prob.population.hof import HallOfFame, import_hof, parse_keys
from noble_prob.population.simulate import simulate
from noble_prob.recording import Protocol, Recording

GRID_MS, ONSET_MS, LENGTH_MS = 0.1, 120.0, 1000.0
PVALB = {  # eFEL feature: sweep, column of the table, largest mean |difference|
    "Spikecount": (1, "Spikecount", 1.0),
    "time_to_first_spike": (1, "time_to_first_spike", 0.2),
    "mean_AP_amplitude": (1, "mean_AP_amplitude", 1.5),
    "sag_amplitude": (0, "sag_amplitude", 0.01),
    "AP1_width": (1, "AP1_width", 0.06),
}
VIP = {
    "voltage_base": (0, "voltage_base", 0.3),
    "AP1_peak": (0, "AP1_peak", 2.0),
    "mean_AP_amplitude": (0, "mean_AP_amplitude", 1.5),
    "AP1_width": (0, "AP1_width", 0.03),
}


def respond(hof: HallOfFame, amplitudes_pa: list[float], jobs: int) -> Recording:
    """Responses to 1 s steps, sampled as the published ones."""
    protocol = Protocol.step_family(
        amplitudes_pa, onset_ms=ONSET_MS, duration_ms=LENGTH_MS, total_ms=1300, dt_ms=GRID_MS
    )
    return simulate(hof, protocol, jobs=jobs)


def measure_with_efel(recording: Recording, wanted: dict[str, tuple[int, str, float]]) -> dict[str, np.ndarray]:
    """Mean value of each feature per model; NaN where undefined."""
    efel.reset()
    efel.set_setting("Threshold", -20.0)
    efel.set_setting("interp_step", GRID_MS)
    result = {}
    for name, (sweep, _, _) in wanted.items():
        traces = [
            {
                "T": recording.time_ms.numpy(),
                "V": v[sweep].double().numpy(),
                "stim_start": [ONSET_MS],
                "stim_end": [ONSET_MS + LENGTH_MS],
            }
            for v in recording.voltage_mv
        ]
        values = [row[name] for row in efel.get_feature_values(traces, [name])]
        result[name] = np.array([np.nan if v is None or not len(v) else float(np.mean(v)) for v in values])
    return result


def compare(
    hof: HallOfFame, table: dict[int, dict[str, str]], wanted: dict[str, tuple[int, str, float]], recording: Recording
) -> bool:
    """Print one line per feature; True if all are within their limits."""
    good = True
    for name, values in measure_with_efel(recording, wanted).items():
        _, column, limit = wanted[name]
        published = np.array([float(table[k][column]) for k in hof.keys])
        off = np.abs(values - published)
        r = np.corrcoef(values, published)[0, 1] if len(off) > 2 else np.nan
        ok = float(off.mean()) <= limit
        print(
            f"{hof.name:16s} {name:20s} mean |diff| {off.mean():8.4f}  (limit {limit:g}, largest {off.max():.4f}, "
            f"r {r:.4f}, {np.isfinite(off).sum()} models) {'ok' if ok else 'NOT MET'}"
        )
        good = good and ok
    return good


def read_table(path: Path, seed: str, rank: str, first_rank: int) -> dict[int, dict[str, str]]:
    """Rows of a published table by model number."""
    with path.open() as stream:
        rows = list(csv.DictReader(stream))
    return {20 * (int(float(r[seed])) - 1) + int(float(r[rank])) - first_rank: r for r in rows}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hof", type=Path, required=True, help="folder with one Hall of Fame per cell")
    parser.add_argument("--models", type=parse_keys, default=tuple(range(60)))
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    pvalb = import_hof(args.hof / "pvalb-689331391").select(args.models)
    table = read_table(args.hof / pvalb.name / "published_features.csv", "seed", "hof", 0)
    good = compare(pvalb, table, PVALB, respond(pvalb, [-110.0, 180.0], args.jobs))
    vip = import_hof(args.hof / "vip-650077366").select(args.models)
    table = read_table(args.hof / vip.name / "published_features_all_sweeps.csv", "seed_no", "hof_no", 1)
    good = compare(vip, table, VIP, respond(vip, [100.0], args.jobs)) and good
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
