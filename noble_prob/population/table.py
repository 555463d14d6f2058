"""The table of a cell's models: their latents by split, as ``hof_latents.csv`` holds them."""

from __future__ import annotations

import csv
from pathlib import Path

import torch

from noble_prob.errors import UsageError, require
from noble_prob.latent import LatentSpace, Neurons

TABLE, TRAIN, HELD_OUT = "hof_latents.csv", "train", "held_out"


def read_table(path: Path, space: LatentSpace) -> dict[str, Neurons]:
    """Neurons of each split of a latent table; models that lack a latent are left out.

    Args:
        path: The table: columns ``model``, ``split`` and the latents (coordinate units).
        space: Its latents.

    Raises:
        UsageError: If the table is missing, damaged, of other latents, or without training models.
    """
    require(path.is_file(), "cell", f"a folder with {TABLE}", f"{path.parent.name} without it", "restore the folder")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
    except (ValueError, csv.Error) as error:
        raise UsageError(
            "cell", f"a {TABLE} with a header and rows", "an empty file, or no text", "restore the folder"
        ) from error
    wanted = ["model", "split", *space.names]
    require(
        header[: len(wanted)] == wanted,
        "cell",
        f"a {TABLE} with the columns {', '.join(wanted)}",
        ", ".join(header),
        "use the table that belongs to the decoder",
    )
    try:
        values = torch.tensor([[float(v) for v in row[2 : len(wanted)]] for row in rows], dtype=torch.float64)
        splits = [row[1] for row in rows]
    except (ValueError, IndexError) as error:
        raise UsageError("cell", f"a whole {TABLE}", "a row with gaps", "restore the folder") from error
    out = {}
    for split in sorted(set(splits)):
        kept = [k for k in range(len(rows)) if splits[k] == split and bool(torch.isfinite(values[k]).all())]
        labels = tuple(rows[k][0] for k in kept)
        out[split] = Neurons(space=space, value=values[kept], axis="neuron", labels=labels)
    require(TRAIN in out, "cell", f"a {TABLE} with training models", "none", "mark them 'train' in its column split")
    return out
