"""From a trained decoder to what is shipped: checkpoint, card, and the latent table of the published models."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from noble_prob.decoder.checkpoint import TrainedDecoder, save_decoder
from noble_prob.decoder.noble import NobleDecoder
from noble_prob.errors import require
from noble_prob.jobs.whole import write_atomically
from noble_prob.latent import FEWEST_CELLS
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
PAPER_USE = "A yardstick: the configuration of the NOBLE paper (arXiv 2506.04536), for comparison on equal data."
PAPER_LIMITS = (
    "Spike times are not predicted but left to the operator, which misses them on neurons it has not seen. Its error "
    "is not modelled: ensembles and evaluation work, inference does not."
)


def publish(
    decoder: TrainedDecoder,
    data: TrainingData,
    folder: Path,
    *,
    metrics: Mapping[str, Any],
    training: Mapping[str, Any],
) -> None:
    """Write everything of a cell that ships, except its prior.

    Args:
        decoder: Trained, with its error measured.
        data: What it was trained on.
        folder: The cell's folder.
        metrics: Validation figures.
        training: Provenance: sources, schedules, machine, wall time, seed.
    """
    ours = isinstance(decoder, NobleDecoder)
    kind = "Phase-modulated Fourier neural operator" if ours else "Fourier neural operator as in the NOBLE paper"
    facts = {
        "cell": data.responses.cell,
        "title": f"{kind} of {data.responses.cell}",
        "licence": "MIT",
        "intended_use": INTENDED_USE if ours else PAPER_USE,
        "limits": LIMITS if ours else PAPER_LIMITS,
        "models": model_counts(data),
        "rejected_models": data.rejected,
        "shared_currents_pa": shared_currents(data),
        "sweeps_per_model": data.responses.current_pa.shape[1],
        "training": dict(training),
        "metrics": dict(metrics),
        "versions": _versions("noble_prob", "torch", "neuraloperator", "numpy", "arbor"),
    }
    save_decoder(decoder, folder, facts)
    write_latent_table(data, decoder.space.names, folder / LATENT_TABLE)


def shared_currents(data: TrainingData) -> list[float]:
    """Currents that every model was trained on (pA)."""
    current = data.responses.current_pa
    shared = current[0, (current == current[:1]).all(0)]
    return sorted(round(value, 6) for value in shared.tolist())


def model_counts(data: TrainingData) -> dict[str, int]:
    """Number of models by what they are used for, however many rows each has."""
    names = {TRAIN: "train", VALIDATION: "validation", HELD_OUT: "held_out"}
    first = data.firsts()
    return {name: int(((data.split == split) & first).sum()) for split, name in names.items()}


def require_published(data: TrainingData) -> None:
    """Refuse data with too few published models: the latent table, and with it every prior, is made of them.

    Raises:
        UsageError: If fewer than :data:`FEWEST_CELLS` published models are among the training models.
    """
    n = int(((data.responses.model >= 0) & data.firsts() & (data.split == TRAIN)).sum())
    lost = data.rejected.get("latent undefined", 0)
    found = f"{n} in {data.responses.cell!r}" + (f" ({lost} models dropped, which lack a latent)" if lost else "")
    wanted = f"data with at least {FEWEST_CELLS} published models to train on, for the prior"
    require(
        n >= FEWEST_CELLS,
        "cells",
        wanted,
        found,
        "make the data set of more of them, with `--include-base`, or hold out fewer",
    )


def write_latent_table(data: TrainingData, names: tuple[str, ...], path: Path) -> None:
    """Latents of the published models, from simulated responses: ``model, split``, then one column per latent.

    Args:
        data: Responses and latents.
        names: Of the latents.
        path: CSV file.
    """
    published = torch.nonzero((data.responses.model >= 0) & data.firsts()).flatten()
    order = published[data.responses.model[published].argsort()]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["model", "split", *names])
    for i in order.tolist():
        split = "held_out" if int(data.split[i]) == HELD_OUT else "train"
        writer.writerow([int(data.responses.model[i]), split, *(f"{v:.6g}" for v in data.latents[i].tolist())])
    write_atomically(path, text.getvalue().encode())


def _versions(*packages: str) -> dict[str, str]:
    """Installed versions, by package."""
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
