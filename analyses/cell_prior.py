"""What a cell ships beside its decoder: the prior of its neurons, and a recording to try.

    python analyses/cell_prior.py --cell pvalb-689331391 [--hof DIR --demo-model 16]

fits the Student-t prior to the training models of the cell's ``hof_latents.csv`` (held-out models never enter it), and
if a Hall of Fame is given, simulates six sweeps of one of its held-out models as ``demo_recording.npz``; for a cell of
one's own, over its range of currents.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from noble_prob.cells import load_cell
from noble_prob.decoder.checkpoint import cell_folder
from noble_prob.errors import require
from noble_prob.population.hof import import_hof
from noble_prob.population.simulate import simulate
from noble_prob.readers import write_npz
from noble_prob.recording import Protocol

DEMO_PA = {"pvalb-689331391": (-110, -50, 40, 90, 150, 220), "vip-650077366": (-110, -50, 30, 70, 120, 160)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cell", required=True, help="name of a shipped cell, or the folder of a checkpoint")
    parser.add_argument("--hof", type=Path)
    parser.add_argument("--demo-model", type=int, default=16)
    args = parser.parse_args()
    folder = Path(args.cell) if Path(args.cell).is_dir() else cell_folder(args.cell)
    shutil.rmtree(folder / "prior", ignore_errors=True)
    cell = load_cell(folder)  # without a stored prior one is fitted
    cell.prior.save(folder / "prior")
    share = float(cell.prior.tensors["share"])
    print(f"{cell.name}: prior from {len(cell.models)} models, correlations smaller by {share:.2%}")
    if args.hof:
        require(
            args.demo_model in cell.held_out_numbers,
            "demo_model",
            f"one of {cell.held_out_numbers}, held out",
            args.demo_model,
            "choose a model that nothing was learned from",
        )
        currents = DEMO_PA.get(cell.name) or cell.steps().current_pa.tolist()
        model = import_hof(args.hof).select([args.demo_model]).models[0]
        write_npz(simulate(model, Protocol.step_family(currents)), folder / "demo_recording.npz")
        print(f"demo recording of held-out model {args.demo_model}")


if __name__ == "__main__":
    main()
