"""Train decoders as a file says; run it again to continue after a stop, a kill or a crash.

  noble-prob train config.toml
  torchrun --nproc-per-node 2 -m noble_prob train config.toml      several GPUs of one host

The file names the data, the networks and how long to train them (docs/training.md lists its keys; analyses/configs/
has those of the shipped decoders). States and logs (CSV, TensorBoard where asked for) go below its folder `out`, the
finished checkpoint of every cell to out/CELL, which `--cell out/CELL` of the other verbs takes.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from noble_prob.cli.options import positive
from noble_prob.cli.output import tell


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this verb."""
    parser.add_argument("config", type=Path, metavar="CONFIG.toml", help="what to train; --device cuda overrules it")
    parser.add_argument("--out", type=Path, default=None, metavar="DIR", help="another folder than the file's")
    parser.add_argument("--max-minutes", type=positive, default=None, help="save and stop after this time (never)")


def run(args: argparse.Namespace) -> int:
    """Train, and say where the checkpoints are or how to go on."""
    from noble_prob.decoder.device import require_device
    from noble_prob.training import processes
    from noble_prob.training.config import read_config
    from noble_prob.training.loop import OutOfTimeError
    from noble_prob.training.run import train
    from noble_prob.training.sources import unfinished

    config = read_config(args.config)
    config = replace(config, out=args.out or config.out, device=args.device if args.device != "cpu" else config.device)
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
