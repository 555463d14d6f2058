"""Real recordings of other cells than the decoder's: every one is told apart, none is quietly given a posterior.

Runs inference and the calibration checks on a fast-spiking interneuron, on rat layer 5 pyramidal cells and on what else
lies in a folder of published recordings, with the decoder of a human PVALB interneuron. For each it prints the findings
that are issues or cautions. What must be seen: NP107 (outside the decoder's support) is an issue for every pyramidal
cell; a recording without steps is refused in one sentence.

    python analyses/inference_real_recordings.py --folder DIR [--cells 3] [--json OUT]
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

import noble_prob as nb
from noble_prob.examination import Examination
from noble_prob.recording import Step

FILES = (
    "fsi/2019_07_24_0055_fsi.abf",
    "bbp_sscx_l5pc/raw_C060109A1",
    "bluepyefe/99111002.nwb",
    "bluepyefe/B6",
    "gif_cell3",
)


def table_cells(folder: Path, n: int) -> Iterator[tuple[str, nb.Recording]]:
    """The first cells of a table of step responses (one row per sweep, all sweeps on one grid)."""
    with (folder / "idrest_index.csv").open(newline="") as file:
        index = list(csv.DictReader(file))
    with np.load(folder / "idrest.npz") as data:
        voltage, scale, dt_ms = data["V"], float(data["V_scale_mV"]), 1000 * float(data["dt_s"])
    for name in sorted({row["cell"] for row in index})[:n]:
        rows = [k for k, row in enumerate(index) if row["cell"] == name]
        time = torch.arange(voltage.shape[1], dtype=torch.float64) * dt_ms
        steps = [
            Step(
                onset_ms=float(index[k]["stim_on_ms"]),
                amplitude_pa=float(index[k]["step_pA"]),
                duration_ms=float(index[k]["stim_off_ms"]) - float(index[k]["stim_on_ms"]),
            )
            for k in rows
        ]
        current = torch.stack(
            [s.amplitude_pa * ((time >= s.onset_ms) & (time < s.onset_ms + s.duration_ms)) for s in steps]
        )
        protocol = nb.Protocol(time_ms=time, current_pa=current, steps=tuple(steps))
        yield name, nb.Recording(protocol=protocol, voltage_mv=torch.from_numpy(voltage[rows] * np.float32(scale)))


def summary(examination: Examination) -> dict[str, Any]:
    """What the findings say, and the figures of the sampler."""
    posterior = examination.posterior
    findings = [*nb.judge(posterior), *nb.judge(examination.check)]
    loud = [f for f in findings if f.severity in ("issue", "caution")]
    return {
        "sweeps": len(posterior.sweeps),
        "wall_s": posterior.wall_s,
        "severity": {f.code: f.severity for f in findings if f.code != "NP221"},
        "sentences": [f"{f.severity} {f.code}: {f.sentence}" for f in loud],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--cell", default="pvalb-689331391")
    parser.add_argument("--cells", type=int, default=3, help="pyramidal cells of the table")
    parser.add_argument("--method", default="hmc")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    cell = nb.load_cell(args.cell)
    found: dict[str, Any] = {}
    sources: list[tuple[str, Any]] = [(name, args.folder / name) for name in FILES]
    for name, source in [*sources, *table_cells(args.folder / "bbp_sscx_l5pc", args.cells)]:
        try:
            recording = source if isinstance(source, nb.Recording) else nb.read(source)
            found[name] = summary(nb.examine(recording, cell, method=args.method, seed=args.seed))
            print(f"\n{name}: {found[name]['sweeps']} sweeps, {found[name]['wall_s']:.0f} s")
            for sentence in found[name]["sentences"]:
                print(f"  {sentence}")
        except nb.UsageError as error:
            found[name] = {"refused": str(error)}
            print(f"\n{name}: refused. {error}")
    if args.json:
        args.json.write_text(json.dumps(found, indent=1, default=str) + "\n")


if __name__ == "__main__":
    main()
