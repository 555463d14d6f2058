"""From a trained decoder to what is shipped: checkpoint, card, and the latent table of the published models."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from noble_prob.decoder.checkpoint import save_decoder
from noble_prob.decoder.noble import NobleDecoder
from noble_prob.latent import Latent
from noble_prob.population.latents import HELD_OUT_MODELS, SPACES
from noble_prob.training.data import HELD_OUT, TRAIN, VALIDATION, TrainingData

LATENT_TABLE = "hof_latents.csv"

INTENDED_USE = (
    "Ensembles and posteriors of neurons like the named cell, under somatic square current steps within the window "
    "and the current range of this card."
)
LIMITS = (
    "Learned from biophysical models of one human cell: other cell types, species and temperatures are outside. The "
    "voltages carry the models' errors about the cell. One spike at most is rendered after the end of a step. Neurons "
    "far from the training population (support above 1) are extrapolation."
)


def publish(
    decoder: NobleDecoder, data: TrainingData, folder: Path, *, metrics: Mapping[str, Any], training: Mapping[str, Any]
) -> None:
    """Write everything of a cell that ships, except its prior.

    Args:
        decoder: Trained, with its error measured.
        data: What it was trained on.
        folder: The cell's folder.
        metrics: Validation figures.
        training: Provenance: sources, schedules, machine, wall time, seed.
    """
    counts = {
        name: int((data.split == s).sum())
        for name, s in (("train", TRAIN), ("validation", VALIDATION), ("held_out", HELD_OUT))
    }
    facts = {
        "cell": data.responses.cell,
        "title": f"Phase-modulated Fourier neural operator of {data.responses.cell}",
        "licence": "MIT",
        "intended_use": INTENDED_USE,
        "limits": LIMITS,
        "models": counts,
        "rejected_models": data.rejected,
        "sweeps_per_model": data.responses.current_pa.shape[1],
        "training": dict(training),
        "metrics": dict(metrics),
        "versions": _versions("torch", "neuraloperator", "numpy", "arbor"),
    }
    save_decoder(decoder, folder, facts)
    write_latent_table(data, folder / LATENT_TABLE)


def write_latent_table(data: TrainingData, path: Path) -> None:
    """Latents of the published models, from simulated responses: ``model, split``, then one column per latent."""
    published = torch.nonzero(data.responses.model >= 0).flatten()
    order = published[data.responses.model[published].argsort()]
    names = [item.name for item in _latents(data)]
    partial = path.with_suffix(".partial")
    with partial.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "split", *names])
        for i in order.tolist():
            model = int(data.responses.model[i])
            split = "held_out" if model in HELD_OUT_MODELS else "train"
            writer.writerow([model, split, *(f"{v:.6g}" for v in data.latents[i].tolist())])
    os.replace(partial, path)


def read_latent_table(path: Path) -> tuple[list[str], np.ndarray, list[str], np.ndarray]:
    """Names of the latents, model numbers, splits and values ``(model, latent)`` of a latent table."""
    with path.open(newline="") as file:
        header, *rows = list(csv.reader(file))
    values = np.array([[float(v) for v in row[2:]] for row in rows])
    return header[2:], np.array([int(row[0]) for row in rows]), [row[1] for row in rows], values


def _latents(data: TrainingData) -> tuple[Latent, ...]:
    """The named space of this many latents."""
    return next(space for space in SPACES.values() if len(space) == data.latents.shape[1])


def _versions(*packages: str) -> dict[str, str]:
    """Installed versions, by package."""
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
