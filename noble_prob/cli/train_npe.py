"""Train the amortised posterior of a cell: what `infer --method npe` begins from.

Draws recordings of random steps from the cell's prior and decoder, and trains a normalising flow that is conditioned
on a set of sweeps. Interrupted, the same command continues. A rough flow is enough: importance weights correct it, and
where they can not, infer says so and runs chains.

  noble-prob train-npe --cell pvalb-689331391 --seed 1 --out FOLDER

writes npe.json and npe.safetensors to FOLDER; in a cell's own folder they are found by `--cell`. They belong to one
decoder and prior, whose hash they carry; after either has changed, train again.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

from noble_prob.cli.options import add_cell, load_cell, positive, seed
from noble_prob.cli.output import tell


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this verb."""
    add_cell(parser)
    parser.add_argument("--n", type=positive, default=40_000, help="recordings to train on (40000)")
    parser.add_argument("--steps", type=positive, default=6000, help="steps of training (6000)")
    parser.add_argument("--batch", type=positive, default=512, help="recordings per step (512)")
    parser.add_argument("--seed", type=seed, default=0, help="seed of everything (0)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for npe.json, npe.safetensors")


def run(args: argparse.Namespace) -> int:
    """Draw, train, write, clear away the state of training."""
    from noble_prob.amortised.estimator import CARD, WEIGHTS
    from noble_prob.inference.amortise import USUAL, train_estimator
    from noble_prob.jobs.place import locked

    cell = load_cell(args)
    state = args.out / ".npe-training"
    schedule = replace(USUAL, steps=args.steps, batch=args.batch)
    with locked(state):
        estimator = train_estimator(
            cell.decoder,
            cell.prior,
            n=args.n,
            schedule=schedule,
            seed=args.seed,
            device=args.device,
            folder=state,
            progress=not args.quiet,
        )
        estimator.save(args.out)
        shutil.rmtree(state)
    size = (args.out / WEIGHTS).stat().st_size / 1e6
    text = (
        f"{args.out / CARD}: {size:.2f} MB, {estimator.facts['recordings']} recordings, "
        f"validation {estimator.facts['validation']:.2f} nats, {estimator.facts['wall_s']:.0f} s"
    )
    tell(args, text, {"finished": True, "folder": str(args.out), **estimator.facts})
    return 0
