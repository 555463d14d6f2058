"""From the configuration of a cell to its training data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from noble_prob.errors import listed, require
from noble_prob.population.latents import SPACES
from noble_prob.training.config import CellData, TrainConfig
from noble_prob.training.data import TRAIN, VALIDATION, ResponseSet, TrainingData, concatenate, prepare
from noble_prob.training.publish import require_published
from noble_prob.training.sources import from_parts, from_store


def gather(cell: CellData, config: TrainConfig) -> TrainingData:
    """Read, measure and split the responses of one cell.

    Args:
        cell: Where they are.
        config: Latent space, number of validation and training models, seed.

    Raises:
        UsageError: If a source is missing or damaged, or the models are too few.
    """
    sets = list(_sets(cell))
    data = prepare(
        concatenate(sets),
        latents=SPACES[config.latent_space],
        validation=config.validation,
        seed=config.seed,
        held_out=cell.held_out,
    )
    data = replace(data, published=config.published)
    data = data if config.train_models is None else with_fewer(data, config.train_models, config.seed)
    require_published(data)
    return data


def unseen(stores: Sequence[Path], cell: str, space: str, *, held_out: Iterable[int]) -> TrainingData:
    """Models of data sets that were made apart from all training data: every one counts as a validation model.

    Args:
        stores: Folders of the data sets, with the same number of currents.
        cell: Name of the cell.
        space: Name of the latent space.
        held_out: Numbers of the published models that this cell keeps apart.

    Raises:
        UsageError: If a set is missing or damaged, holds a held-out model or one perturbed from it, or has no neuron.
    """
    apart = tuple(held_out)
    sets = [from_store(store, cell=cell, held_out=apart) for store in stores]
    data = prepare(concatenate(sets), latents=SPACES[space], validation=1, seed=0, held_out=apart)
    return replace(data, split=torch.full_like(data.split, VALIDATION))


def _sets(cell: CellData) -> Iterator[ResponseSet]:
    parts = [path for pattern in cell.parts for path in _matching(pattern)]
    for name, paths in (("stores", cell.stores), ("parts", parts)):
        twice = [path.name for path, n in Counter(path.resolve() for path in paths).items() if n > 1]
        require(
            not twice,
            f"cells.{name}",
            "named once each",
            f"{listed(twice)} more than once",
            "name others, made with another `--seed`",
        )
    if parts:
        yield from_parts(parts, cell=cell.name)
    for store in cell.stores:
        yield from_store(store, cell=cell.name, held_out=cell.held_out)


def _matching(pattern: Path) -> list[Path]:
    """Files of a pattern, in order."""
    found = sorted(pattern.parent.glob(pattern.name))
    require(bool(found), "cells.parts", "files that exist", str(pattern), "check the path")
    return found


def with_fewer(data: TrainingData, n: int, seed: int) -> TrainingData:
    """The same data with ``n`` training models: published ones first, then perturbed ones drawn by seed.

    Args:
        data: All there is; validation and held-out models are kept.
        n: Training models to keep, with all their rows.
        seed: Of the choice.

    Raises:
        UsageError: If there are fewer.
    """
    model = data.responses.model
    train = torch.nonzero((data.split == TRAIN) & data.firsts()).flatten()
    require(1 < n <= len(train), "train_models", f"from 2 to {len(train)}, the number there is", n, "choose fewer")
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
    chosen = train[order][(model[train[order]] < 0).to(torch.int8).argsort(stable=True)][:n]
    keep = (data.split != TRAIN) | torch.isin(data.first_row(), chosen)
    kept = torch.nonzero(keep).flatten()
    return replace(
        data,
        responses=data.responses.take(kept),
        latents=data.latents[kept],
        spikes_ms=data.spikes_ms[kept],
        n_spikes=data.n_spikes[kept],
        summary=data.summary[kept],
        split=data.split[kept],
    )
