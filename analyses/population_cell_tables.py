"""What a cell ships beside its decoder is made from simulations alone: latents of the published models, prior, demo.

    python analyses/population_cell_tables.py --hof DIR --cell pvalb-689331391 --demo-model 16

simulates the standard protocol (-110, 50, 180 pA, 400 ms) for all published models, writes ``hof_latents.csv``, fits
the Gaussian prior to the 50 training models only, and records six sweeps of a held-out model as ``demo_recording.npz``.
"""

from __future__ import annotations

import argparse
import csv
import os
from pathlib import Path

import torch

from noble_prob.decoder.checkpoint import cell_folder, load_decoder
from noble_prob.latent import Neurons
from noble_prob.population.hof import HallOfFame, import_hof
from noble_prob.population.latents import HELD_OUT_MODELS, STANDARD_CURRENTS_PA, latent_values
from noble_prob.population.simulate import simulate
from noble_prob.priors import fit_prior
from noble_prob.readers import write_npz
from noble_prob.recording import Protocol

DEMO_PA = {"pvalb-689331391": (-110, -50, 40, 90, 150, 220), "vip-650077366": (-110, -50, 30, 70, 120, 160)}


def write_latents(path: Path, names: tuple[str, ...], keys: list[int], values: torch.Tensor) -> None:
    """One row per published model, replaced atomically."""
    partial = path.with_suffix(".partial")
    with partial.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "split", *names])
        for key, row in zip(keys, values.tolist(), strict=True):
            writer.writerow([key, "held_out" if key in HELD_OUT_MODELS else "train", *(f"{v:.7g}" for v in row)])
    os.replace(partial, path)


def demo(hof: HallOfFame, model: int, cell: str, path: Path) -> None:
    """Six sweeps of one held-out model."""
    assert model in HELD_OUT_MODELS
    recording = simulate(hof.select([model]).models[0], Protocol.step_family(DEMO_PA[cell]))
    write_npz(recording, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hof", type=Path, required=True)
    parser.add_argument("--cell", required=True)
    parser.add_argument("--demo-model", type=int, default=16)
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    hof, folder = import_hof(args.hof), cell_folder(args.cell)
    responses = simulate(hof, Protocol.step_family(STANDARD_CURRENTS_PA), jobs=args.jobs, progress=True)
    values, complete = latent_values(responses)
    assert bool(complete.all())
    space = load_decoder(args.cell).space
    keys = list(hof.keys)
    write_latents(folder / "hof_latents.csv", space.names, keys, values)
    train = torch.tensor([key not in HELD_OUT_MODELS for key in keys])
    labels = [f"hof {k}" for k in keys if k not in HELD_OUT_MODELS]
    neurons = Neurons(space=space, value=values[train], axis="neuron", labels=labels)
    fit_prior(neurons, "gaussian", seed=0).save(folder / "prior")
    demo(hof, args.demo_model, args.cell, folder / "demo_recording.npz")
    print(f"{args.cell}: {len(hof)} models, prior from {len(neurons)}, demo from model {args.demo_model}")


if __name__ == "__main__":
    main()
