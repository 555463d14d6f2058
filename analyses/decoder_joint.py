"""Claim: one decoder for both cells, told apart by their latents alone, can stand in for one decoder each.

Reads a training run of several cells (`configs/joint.toml`: everything shared), and trains it, and every cell by itself
on the same data with its share of the steps, so that a cell's traces are seen equally often and as many steps are made.
Killed, it continues; `--only` trains a part (on one GPU several at a time). Their errors are those of `noble-prob
evaluate`, side by side by `decoder_tables.py`:

    python analyses/decoder_joint.py analyses/configs/joint.toml --device cuda [--only joint]
    noble-prob evaluate --cell out/joint/joint/CELL --reference DIR --json joint.json
    noble-prob evaluate --cell out/joint/alone/CELL/CELL --reference DIR --json alone.json
    python analyses/decoder_tables.py alone=alone.json joint=joint.json
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from noble_prob.training.config import TrainConfig, read_config
from noble_prob.training.run import train

JOINT = "joint"


def configs(joint: TrainConfig) -> dict[str, TrainConfig]:
    """The joint run and one run per cell, by name."""
    n = len(joint.cells)
    shorter = {k: replace(s, steps=s.steps // n) for k, s in joint.schedules.items()}
    alone = {
        cell.name: replace(
            joint, cells=(cell,), share="nothing", schedules=shorter, out=joint.out / "alone" / cell.name
        )
        for cell in joint.cells
    }
    return {JOINT: replace(joint, out=joint.out / JOINT), **alone}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--only", nargs="+", help=f"train these alone: {JOINT}, or names of cells")
    parser.add_argument("--device", help="overrules the file")
    args = parser.parse_args()
    joint = read_config(args.config)
    runs = configs(replace(joint, device=args.device) if args.device else joint)
    for name in args.only or runs:
        train(runs[name])


if __name__ == "__main__":
    main()
