"""Train decoders as a file says; run it again to continue after a stop, a kill or a crash.

  noble-prob train config.toml
  torchrun --nproc-per-node 2 -m noble_prob train config.toml      several GPUs of one host

The file names the data, the networks and how long to train them (keys: python -m pydoc noble_prob.training.config; a
schedule's: python -m pydoc noble_prob.training.schedule). Data to try it on, and a short file for them:

  noble-prob populate --hof builtin --design builtin --n-models 40 --include-base --seed 1 --out set

    out = "run"                  # states, logs and the finished checkpoint
    validation = 8
    device = "cpu"

    [[cells]]
    name = "builtin"
    stores = ["set"]             # data sets of `noble-prob populate`
    held_out = []                # numbers of published models that nothing is learned from

    [architecture]               # what is not said keeps its default
    width = 12

    [schedules.operator]
    steps = 400

Paths are relative to the file. States and logs (CSV, TensorBoard where asked for) go below its folder `out`, the
finished checkpoint of every cell to out/CELL, which `--cell out/CELL` of the other verbs takes.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from noble_prob.cli.options import above_zero
from noble_prob.cli.output import tell

DEVICE = False
"""Of the common options: the file names a device, so that ``--device`` has another default here."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this verb."""
    parser.add_argument("config", type=Path, metavar="CONFIG.toml", help="what to train")
    parser.add_argument("--out", type=Path, default=None, metavar="DIR", help="another folder than the file's")
    parser.add_argument("--max-minutes", type=above_zero, default=None, help="save and stop after this time (never)")
    parser.add_argument("--device", default=None, help="cpu, cuda or cuda:N (the file's, which it overrules)")


def run(args: argparse.Namespace) -> int:
    """Train, and say where the checkpoints are or how to go on."""
    from noble_prob.decoder.device import require_device
    from noble_prob.training import processes
    from noble_prob.training.config import read_config
    from noble_prob.training.loop import OutOfTimeError
    from noble_prob.training.run import train
    from noble_prob.training.sources import unfinished

    config = read_config(args.config)
    config = replace(config, out=args.out or config.out, device=args.device or config.device)
    require_device(config.device)
    for sentence in unfinished(path for cell in config.cells for path in cell.stores):
        if processes.first() and not args.quiet:
            print(f"noble-prob train: {sentence}", file=sys.stderr)
    try:
        folders = train(config, max_minutes=args.max_minutes, progress=not args.quiet)
    except OutOfTimeError as stop:
        if processes.first():
            tell(args, f"{stop}; the same command continues", {"finished": False, "stopped": str(stop)})
        return 0
    if processes.first():
        found = {name: str(folder) for name, folder in folders.items()}
        tell(args, "\n".join(f"{name}: {folder}" for name, folder in found.items()), {"finished": True, "cells": found})
    return 0
