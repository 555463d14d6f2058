"""What a simulated trace costs, where the time goes, and how processes scale.

Claim: the pre-roll on a coarse step makes the settled start nearly free, and processes scale nearly linearly.

    python analyses/simulation_cost.py [--hof builtin] [--models 0-3] [--jobs 1,2]
"""

from __future__ import annotations

import argparse
import time

from noble_prob.population.builtin import open_hof
from noble_prob.population.cell import Patched, build_cell
from noble_prob.population.hof import HallOfFame, parse_keys
from noble_prob.population.simulate import simulate
from noble_prob.population.trace import Numerics, Trace, run_trace
from noble_prob.recording import Protocol

STANDARD_PA = (-110.0, 50.0, 180.0, 280.0)
SETTLE = {
    "300 ms at 0.02 ms (not settled)": Numerics(preroll_ms=300.0, preroll_dt_ms=0.02),
    "1000 ms at 0.02 ms": Numerics(preroll_ms=1000.0, preroll_dt_ms=0.02),
    "3000 ms at 0.02 ms": Numerics(preroll_dt_ms=0.02),
    "3000 ms at 1 ms (standard)": Numerics(),
}


def time_of(numerics: Numerics, hof: HallOfFame) -> tuple[float, float]:
    """Seconds of a core per trace, whatever else runs, and resting voltage of the first model (mV)."""
    begin = time.process_time()
    rest = 0.0
    for amplitude in STANDARD_PA:
        protocol = Protocol.step_family([amplitude])
        rest = float(run_trace(Trace(model=hof.models[0], protocol=protocol, numerics=numerics))[0])
    return (time.process_time() - begin) / len(STANDARD_PA), rest


def scaling(hof: HallOfFame, jobs: int) -> tuple[float, float]:
    """Seconds until ``jobs`` processes are at work, and seconds per trace from there on."""
    seconds = []
    for repeats in (1, 6):
        begin = time.perf_counter()
        simulate(hof, Protocol.step_family(list(STANDARD_PA) * repeats), jobs=jobs, progress=False)
        seconds.append(time.perf_counter() - begin)
    traces = len(hof) * len(STANDARD_PA)
    per_trace = (seconds[1] - seconds[0]) / (5 * traces)
    return seconds[0] - traces * per_trace, per_trace


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hof", default="builtin")
    parser.add_argument("--models", type=parse_keys, default=(0, 1, 2, 3))
    parser.add_argument("--jobs", type=parse_keys, default=(1, 2))
    args = parser.parse_args()
    hof = open_hof(args.hof).select(args.models)
    time_of(Numerics(), hof)  # loads the catalogues
    print("| pre-roll | s per trace of 512 ms | resting voltage (mV) |\n| --- | --- | --- |")
    for name, numerics in SETTLE.items():
        seconds, rest = time_of(numerics, hof)
        print(f"| {name} | {seconds:.3f} | {rest:.5f} |")
    begin = time.perf_counter()
    for _ in range(20):
        Patched(build_cell(hof.models[0], [], cv_um=20.0))
    print(f"building the cell: {1000 * (time.perf_counter() - begin) / 20:.1f} ms of it")
    for cv in (10.0, 20.0, 40.0):
        print(f"compartments of at most {cv:g} um: {time_of(Numerics(cv_um=cv), hof)[0]:.3f} s per trace")
    for jobs in args.jobs:
        start, per_trace = scaling(hof, jobs)
        print(
            f"{jobs} process(es): {1 / per_trace:.2f} traces/s, {1 / per_trace / jobs:.2f} per core-second,"
            f" after {start:.0f} s to start"
        )


if __name__ == "__main__":
    main()
