"""How spike times depend on the time step and on the size of compartments.

Claim: at the standard numerics (0.02 ms, 20 um) counts are right, and spikes are some milliseconds from their limit at
the end of 400 ms: an error of the rate of 0.6 % (published cell) to 2 % (built-in cell). The errors of step and
compartment have opposite signs and partly cancel, so refining one alone can move the spikes away from the limit. A
decoder learns the neuron *at the numerics of its training data*: do not mix data of different numerics.

    python analyses/simulation_convergence.py [--hof builtin] [--models 0,1] [--amp-pa 180] [--jobs 1]
"""

from __future__ import annotations

import argparse

import numpy as np

from noble_prob.features import find_spikes
from noble_prob.population.builtin import open_hof
from noble_prob.population.hof import HallOfFame, parse_keys
from noble_prob.population.simulate import simulate
from noble_prob.population.trace import Numerics
from noble_prob.recording import Protocol

FINEST = Numerics(dt_ms=0.0025, cv_um=4.0)
TRIED = tuple(Numerics(dt_ms=dt, cv_um=20.0) for dt in (0.05, 0.025, 0.02, 0.0125, 0.005)) + tuple(
    Numerics(dt_ms=0.0025, cv_um=cv) for cv in (40.0, 20.0, 10.0, 8.0)
)


def spike_times(hof: HallOfFame, amplitude_pa: float, numerics: Numerics, jobs: int) -> list[np.ndarray]:
    """Spike times (ms after onset) of every model in a 400 ms step."""
    protocol = Protocol.step_family([amplitude_pa], onset_ms=12.0, dt_ms=0.05)
    recording = simulate(hof, protocol, numerics=numerics, jobs=jobs, progress=False)
    found = find_spikes(recording.voltage_mv[:, 0], recording.time_ms)
    return [row[:n].numpy() - 12.0 for row, n in zip(found.peak_ms, found.count.tolist(), strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hof", default="builtin")
    parser.add_argument("--models", type=parse_keys, default=(0, 1))
    parser.add_argument("--amp-pa", type=float, default=180.0)
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    hof = open_hof(args.hof).select(args.models)
    limit = spike_times(hof, args.amp_pa, FINEST, args.jobs)
    print(
        f"{hof.name} {args.models} at {args.amp_pa:g} pA against dt {FINEST.dt_ms} ms, compartments {FINEST.cv_um} um"
    )
    print(
        "| dt (ms) | compartment (um) | spike count difference | first spike (ms) | median | last common spike (ms) |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for numerics in TRIED:
        times = spike_times(hof, args.amp_pa, numerics, args.jobs)
        pairs = list(zip(times, limit, strict=True))
        off = [a[: min(len(a), len(b))] - b[: min(len(a), len(b))] for a, b in pairs]
        counts = ", ".join(str(len(a) - len(b)) for a, b in pairs)
        first, last = (np.mean([abs(o[at]) for o in off if len(o)]) for at in (0, -1))
        median = np.median(np.abs(np.concatenate(off)))
        print(
            f"| {numerics.dt_ms:g} | {numerics.cv_um:g} | {counts} | {first:.3f} | {median:.3f} | {last:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
