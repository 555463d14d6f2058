"""Perturbed models that no training saw, as one small file: what a test asks of every shipped checkpoint.

Latents, spike times (in steps of 0.01 ms) and summary features of all models of a data set, without its voltages. With
it ``tests/statistics/test_decoder_stated_error.py`` measures how wrong the shipped decoder is and compares that with
what its card says. The sets were made by

    noble-prob populate --hof HOF --design pvalb --n-models 160 --n-random 12 --near-share 0.15 --range-pa=-110,300 \
        --seed 301 --dt-ms 0.02 --chunk-models 4 --out out/unseen-pvalb

and, for VIP, ``--design vip-close --n-models 240 --range-pa=-110,220 --seed 302``.

Run: ``python analyses/decoder_unseen.py --store out/unseen-pvalb --cell pvalb-689331391 --out tests/unseen``
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from noble_prob.cells import load_cell
from noble_prob.population.store import Store
from noble_prob.training.gather import unseen

STEP_MS, NEVER = 0.01, 65535


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--cell", required=True)
    parser.add_argument("--folder", type=Path, help="its checkpoint; the shipped one if not given")
    parser.add_argument("--space", help="latent space; the checkpoint's if not given")
    parser.add_argument("--out", type=Path, required=True, help="folder; the file takes the name of the cell")
    args = parser.parse_args()
    cell = load_cell(args.folder or args.cell)
    space = args.space or cell.decoder.space.name
    data = unseen([args.store], args.cell, space, held_out=cell.held_out_numbers)
    during = (data.spikes_ms >= 0) & (data.spikes_ms < 400)
    most = int(during.sum(-1).max())
    steps = np.where(during[..., :most], np.round(data.spikes_ms[..., :most] / STEP_MS), NEVER)
    args.out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        args.out / f"{args.cell}.npz",
        latents=data.latents.numpy(),
        spikes=steps.astype(np.uint16),
        current_pa=data.responses.current_pa.numpy(),
        summary=data.summary.numpy().astype(np.float32),
        seed=Store(args.store).manifest["seed"],
    )
    print(f"{len(data.latents)} models of {args.store}")


if __name__ == "__main__":
    main()
