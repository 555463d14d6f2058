"""Claim: one decoder for both cells, told apart by their latents alone, can stand in for one decoder each.

Reads a training run of several cells (`configs/joint.toml`: everything shared), and trains it, and every cell by itself
on the same data with its share of the steps, so that a cell's traces are seen equally often and as much GPU time is
spent. Then asks all of them for reference traces (`noble-prob evaluate`), of models and currents they have not seen,
and prints the errors side by side. Killed, it continues; `--only` trains a part (on one GPU several at a time):

    python analyses/decoder_joint.py analyses/configs/joint.toml --device cuda --only joint
    python analyses/decoder_joint.py analyses/configs/joint.toml --json OUT \
        --reference pvalb-689331391=DIR vip-650077366=DIR
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import noble_prob as nb
from noble_prob.training.config import TrainConfig, read_config
from noble_prob.training.run import train

JOINT = "joint"
FIGURES = {
    "voltage_rel_l2": "voltage, relative L2 (%)", "aligned_rel_l2": "the same, aligned (%)",
    "spike_count_error": "spike count (%)", "spiking_mismatch": "fires or not (%)", "ap1_width_error": "AP width (%)",
    "mean_ap_amplitude_error": "AP amplitude (%)", "steady_state_voltage_error": "steady state (%)",
    "sag_amplitude_error": "sag (%)", "spike_time_error_ms": "median spike time (ms)",
}  # fmt: skip


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


def compare(runs: dict[str, TrainConfig], references: dict[str, Path], device: str) -> dict[str, Any]:
    """Errors of every cell's two decoders, from its reference traces."""
    found: dict[str, Any] = {}
    for name, folder in references.items():
        for label, run in (("alone", runs[name]), (JOINT, runs[JOINT])):
            cell = nb.load_cell(run.out / name, device=device)
            result = nb.evaluate(cell.decoder, folder, trained_currents_pa=cell.trained_currents_pa, device=device,
                                 progress=True)  # fmt: skip
            found.setdefault(name, {})[label] = {"wall_s": cell.card["training"].get("wall_s"), **result}
    return found


def show(found: dict[str, Any]) -> None:
    """The errors side by side."""
    for name, results in found.items():
        print(f"\n{name:28s}{'training models':>22s}{'held-out models':>22s}")
        print(f"{'':28s}" + 2 * "".join(f"{label:>11s}" for label in results))
        for key, title in FIGURES.items():
            factor = 1 if key.endswith("_ms") else 100
            row = [factor * r[split][key] for split in ("train_models", "held_out_models") for r in results.values()]
            print(f"{title:28s}" + "".join(f"{value:11.3g}" for value in row))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--only", nargs="*", help=f"train these alone: {JOINT}, or names of cells; none with no name")
    parser.add_argument("--reference", nargs="+", default=[], metavar="CELL=DIR", help="reference traces of each cell")
    parser.add_argument("--device", help="overrules the file")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    joint = read_config(args.config)
    runs = configs(replace(joint, device=args.device) if args.device else joint)
    for name in runs if args.only is None else args.only:
        train(runs[name])
    references = {name: Path(folder) for name, _, folder in (item.partition("=") for item in args.reference)}
    found = compare(runs, references, args.device or "cpu")
    show(found)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
