"""A reference set of any Hall of Fame: every model at 24 currents, for judging decoders.

The numerics are finer than those of training data (dt 0.02 ms, compartments of at most 20 um), the traces begin 15 ms
before a 400 ms step and end 115 ms after it. One file per model, made once; a run that was stopped goes on where it
was.

    python analyses/population_reference.py --hof DIR --out DIR --cell vip [--jobs 2]

``--cell`` also takes the name or the folder of any other cell: then the currents are its standard protocol and a grid
over the range it was trained on.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from noble_prob.cells import load_cell
from noble_prob.jobs.fanout import fan_out
from noble_prob.population.hof import CellModel, import_hof
from noble_prob.population.latents import protocol_of
from noble_prob.population.simulate import simulate
from noble_prob.population.trace import Numerics
from noble_prob.recording import Protocol

SCALE_MV = 0.003
BELOW_NA = (-0.11, -0.09, -0.07, -0.05, -0.03, 0.0, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.06)
ABOVE_NA = {
    "pvalb": (0.08, 0.10, 0.12, 0.14, 0.16, 0.18, 0.20, 0.22, 0.25, 0.28),
    "vip": (0.07, 0.08, 0.09, 0.10, 0.11, 0.12, 0.14, 0.16, 0.18, 0.20),
}
"""Ten currents to the top of the cell's range, with the standard protocol; below, a fine grid around threshold."""
CURRENTS = 24
"""Of any other cell."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One model and the file its traces go to."""

    model: CellModel
    amps_na: tuple[float, ...]
    file: Path


def make(task: Task) -> str:
    """Simulate one model at all currents and write its file."""
    torch.set_num_threads(1)
    protocol = Protocol.step_family([1000 * a for a in task.amps_na], onset_ms=15.0, total_ms=530.0, dt_ms=0.02)
    recording = simulate(task.model, protocol, numerics=Numerics(dt_ms=0.02), progress=False)
    voltage = np.round(recording.voltage_mv.numpy() / SCALE_MV).astype(np.int16)
    draft = task.file.with_suffix(".part.npz")
    np.savez_compressed(draft, V=voltage, scale=np.array(SCALE_MV), amps=np.array(task.amps_na))
    draft.rename(task.file)
    return task.file.name


def currents_na(cell: str) -> tuple[float, ...]:
    """At which currents the models of a cell are asked (nA)."""
    if cell in ABOVE_NA:
        return BELOW_NA + ABOVE_NA[cell]
    decoder = load_cell(cell).decoder
    standard = protocol_of(decoder.space.latents)
    grid = np.linspace(*decoder.window.current_range_pa, CURRENTS - len(standard) + 1).round()
    return tuple(sorted({float(current) / 1000 for current in (*standard, *grid)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hof", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cell", required=True, help="whose currents: pvalb, vip, or the name or folder of a cell")
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    hof, amps = import_hof(args.hof), currents_na(args.cell)
    args.out.mkdir(parents=True, exist_ok=True)
    files = [args.out / f"s{k // 20 + 1}_h{k % 20}.npz" for k in hof.keys]
    tasks = [Task(model=m, amps_na=amps, file=f) for m, f in zip(hof.models, files, strict=True) if not f.exists()]
    for outcome in fan_out(make, tasks, jobs=args.jobs, progress="reference"):
        if outcome.error:
            print(f"failed: {tasks[outcome.index].file.name}: {outcome.error}")


if __name__ == "__main__":
    main()
