"""Checkpoints that describe themselves: ``card.json`` beside ``weights.safetensors``, never a pickle.

The card holds all that rebuilds the decoder (architecture, latent space, window, error model), what it was trained
on and
how well it does, versions, licence, intended use and limits, and the SHA-256 of the weights, which is checked on
loading: a truncated or altered file is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save_file

from noble_prob.decoder.base import DecoderError, Window
from noble_prob.decoder.noble import Architecture, NobleDecoder
from noble_prob.errors import UsageError, require
from noble_prob.latent import LatentSpace

FORMAT = 1
CARD, WEIGHTS = "card.json", "weights.safetensors"


def shipped_cells() -> list[str]:
    """Names of the cells whose decoder comes with the package."""
    root = Path(str(files("noble_prob") / "data"))
    return sorted(path.parent.name for path in root.glob(f"*/{CARD}"))


def cell_folder(cell: str) -> Path:
    """Folder of a shipped cell.

    Raises:
        UsageError: If no such cell is shipped.
    """
    require(cell in shipped_cells(), "cell", f"one of {', '.join(shipped_cells())}", repr(cell),
            "choose a shipped cell or pass the folder of a checkpoint")  # fmt: skip
    return Path(str(files("noble_prob") / "data" / cell))


def save_decoder(decoder: NobleDecoder, folder: Path, facts: Mapping[str, Any]) -> None:
    """Write a checkpoint atomically.

    Args:
        decoder: A decoder whose error has been measured.
        folder: Where ``card.json`` and ``weights.safetensors`` go.
        facts: Further entries of the card: training data, metrics, versions, licence, intended use, limits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: value.detach().cpu().contiguous() for name, value in decoder.state_dict().items() if name != "_metadata"
    }
    partial = folder / (WEIGHTS + ".partial")
    save_file(tensors, partial)
    card = {
        "format": FORMAT,
        **facts,
        "architecture": asdict(decoder.architecture),
        "latent_space": decoder.space.to_dict(),
        "window": asdict(decoder.window),
        "summary_names": list(decoder.summary_names),
        "error": {**asdict(decoder.error), "summary_sd": decoder.error.summary_sd.tolist()},
        "weights_sha256": hashlib.sha256(partial.read_bytes()).hexdigest(),
        "parameters": sum(p.numel() for p in decoder.parameters()),
    }
    partial.chmod(0o644)
    os.replace(partial, folder / WEIGHTS)
    card_partial = folder / (CARD + ".partial")
    card_partial.write_text(json.dumps(card, indent=2) + "\n")
    os.replace(card_partial, folder / CARD)


def read_card(folder: Path) -> dict[str, Any]:
    """The card of a checkpoint.

    Raises:
        UsageError: If it is missing or damaged.
    """
    path = folder / CARD
    require(
        path.is_file(),
        "checkpoint",
        f"a folder that holds {CARD} and {WEIGHTS}",
        str(folder),
        "check the path or train a decoder",
    )
    try:
        card = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            "checkpoint", "a readable card.json", f"damage ({error})", "restore the folder from its source"
        ) from error
    require(isinstance(card, dict) and card.get("format") == FORMAT, "checkpoint", f"format {FORMAT}",
            card.get("format") if isinstance(card, dict) else type(card).__name__,
            "use the package version that wrote it")  # fmt: skip
    return card


def load_decoder(where: str | Path, *, device: str | torch.device = "cpu") -> NobleDecoder:
    """Load a decoder by the name of a shipped cell or from a checkpoint folder.

    Args:
        where: Cell name such as ``"pvalb-689331391"``, or a folder.
        device: Where the weights go.

    Raises:
        UsageError: If there is no such checkpoint, or it is truncated or altered.
    """
    folder = Path(where) if Path(where).is_dir() else cell_folder(str(where))
    card = read_card(folder)
    path = folder / WEIGHTS
    require(
        path.is_file(),
        "checkpoint",
        f"a folder that holds {WEIGHTS}",
        f"{folder} without it",
        "restore the file from its source",
    )
    raw = path.read_bytes()
    digest = hashlib.sha256(raw).hexdigest()
    require(digest == card["weights_sha256"], "checkpoint", f"weights with SHA-256 {card['weights_sha256'][:12]}...",
            f"{digest[:12]}... (truncated or altered)", "restore the file from its source")  # fmt: skip
    decoder = _build(card)
    decoder.load_state_dict(load(raw))
    return decoder.to(device).eval().requires_grad_(False)


def _build(card: Mapping[str, Any]) -> NobleDecoder:
    """An untrained decoder of the card's shape."""
    error = dict(card["error"])
    window = dict(card["window"])
    return NobleDecoder(
        space=LatentSpace.from_dict(card["latent_space"]),
        window=Window(**{**window, "current_range_pa": tuple(window["current_range_pa"])}),
        summary_names=tuple(card["summary_names"]),
        architecture=Architecture(**card["architecture"]),
        error=DecoderError(**{**error, "summary_sd": torch.tensor(error["summary_sd"])}),
    )
