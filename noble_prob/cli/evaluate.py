"""A decoder's errors against simulated reference traces.

Asks the shipped checkpoint (or one in a folder) for the responses of biophysical models, of which it is told nothing
but their latent features, and compares voltage, spikes and features with the simulation. `train_models`: published
models of the training set at currents they were not trained on; `held_out_models`: published models that nothing was
trained, scaled or chosen on, as the cell itself says (its hof_latents.csv and card). No trace is dropped.

  noble-prob evaluate --cell pvalb-689331391 --reference DIR --json metrics.json

DIR holds one sS_hH.npz per model: V int16 (current, time), scale (mV per count), amps (nA); every 0.02 ms, the 400 ms
step 15 ms after the first sample. analyses/population_reference.py of the repository makes it.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from noble_prob.cli.options import add_cell, load_cell
from noble_prob.cli.output import new_file, show, write_json
from noble_prob.errors import listed

if TYPE_CHECKING:
    from noble_prob.cells import Cell

JSON_FILE = True


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this verb."""
    add_cell(parser, prior=False)
    parser.add_argument("--reference", type=Path, required=True, metavar="DIR", help="folder of reference traces")


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the table, write the file."""
    import noble_prob as nb
    from noble_prob.evaluation import table

    with ExitStack() as stack:
        draft = stack.enter_context(new_file(args.json, "json")) if args.json else None
        cell = load_cell(args)
        result = nb.evaluate(
            cell.decoder,
            args.reference,
            held_out=cell.held_out_numbers,
            trained_currents_pa=cell.trained_currents_pa,
            device=args.device,
            progress=not args.quiet,
        )
        missing = _missing(cell, args.reference)
        if draft:
            known = {"cell": cell.name, "weights_sha256": cell.card.get("weights_sha256")}
            write_json(draft, {**known, "without_reference": missing, **result})
    show(args, table(result))
    return 0


def _missing(cell: Cell, reference: Path) -> list[int]:
    """Models of the cell without a reference, which is said: one that was stopped looks like a whole one."""
    from noble_prob.evaluation import reference_files

    models = {int(label) for label in cell.models.labels if label.isdecimal()} | set(cell.held_out_numbers)
    missing = sorted(models - set(reference_files(reference)))
    if missing:
        there = f"{len(models) - len(missing)} of the cell's {len(models)} models have a reference"
        print(f"noble-prob evaluate: {there}; missing: {listed(missing)}.", file=sys.stderr)
    return missing
