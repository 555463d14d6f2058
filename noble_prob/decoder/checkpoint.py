"""Checkpoints that describe themselves: ``card.json`` beside ``weights.safetensors``, never a pickle.

The card holds all that rebuilds the decoder (its kind, architecture, latent space, window, error model), what it was
trained on and how well it does, versions, licence, intended use and limits, and the SHA-256 of the weights, which is
checked on loading: a truncated or altered file is refused.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from noble_prob.decoder.architecture import Architecture
from noble_prob.decoder.base import DecoderError, Window
from noble_prob.decoder.noble import NobleDecoder
from noble_prob.decoder.paper import PaperArchitecture, PaperDecoder
from noble_prob.errors import UsageError, require
from noble_prob.jobs.whole import write_atomically
from noble_prob.latent import LatentSpace

FORMAT = 1
CARD, WEIGHTS = "card.json", "weights.safetensors"
MOST_PA = 10_000.0
"""Strongest step (pA) that a card may allow: far beyond any that a patched neuron survives."""
REMEDY = "restore the folder from its source, or use the package version that wrote it"

TrainedDecoder = NobleDecoder | PaperDecoder
KINDS: dict[str, tuple[type[TrainedDecoder], type[Any]]] = {
    "noble": (NobleDecoder, Architecture),
    "paper": (PaperDecoder, PaperArchitecture),
}
"""Decoders by the name that a card gives them, with the sizes they take; a card without a name means ``noble``."""


def shipped_cells() -> list[str]:
    """Names of the cells whose decoder comes with the package."""
    root = Path(str(files("noble_prob") / "data"))
    return sorted(path.parent.name for path in root.glob(f"*/{CARD}"))


def cell_folder(cell: str) -> Path:
    """Folder of a shipped cell.

    Raises:
        UsageError: If no such cell is shipped.
    """
    require(
        cell in shipped_cells(),
        "cell",
        f"one of {', '.join(shipped_cells())}",
        repr(cell),
        "choose a shipped cell or pass the folder of a checkpoint",
    )
    return Path(str(files("noble_prob") / "data" / cell))


def save_decoder(decoder: TrainedDecoder, folder: Path, facts: Mapping[str, Any]) -> None:
    """Write card and weights, each whole or not at all; nothing else is left behind.

    Args:
        decoder: A decoder whose error has been measured (the paper's may go without).
        folder: Where ``card.json`` and ``weights.safetensors`` go.
        facts: Further entries of the card: training data, metrics, versions, licence, intended use, limits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: value.detach().cpu().contiguous() for name, value in decoder.state_dict().items() if name != "_metadata"
    }
    weights = save(tensors)
    card = {
        "format": FORMAT,
        **facts,
        **_describe(decoder),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "parameters": sum(p.numel() for p in decoder.parameters()),
    }
    text = _text(card)
    write_atomically(folder / WEIGHTS, weights)  # a stop before the next line is seen by the hash
    write_atomically(folder / CARD, text)


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
    require(
        isinstance(card, dict) and card.get("format") == FORMAT,
        "checkpoint",
        f"format {FORMAT}",
        card.get("format") if isinstance(card, dict) else type(card).__name__,
        "use the package version that wrote it",
    )
    return card


def load_decoder(where: str | Path, *, device: str | torch.device = "cpu") -> TrainedDecoder:
    """Load a decoder by the name of a shipped cell or from a checkpoint folder.

    Args:
        where: Cell name such as ``"pvalb-689331391"``, or a folder; a name goes before a folder that is called so.
        device: Where the weights go.

    Raises:
        UsageError: If there is no such checkpoint, or it is truncated or altered.
    """
    here = where not in shipped_cells() and os.path.isdir(where)  # a name that is too long is no folder
    folder = Path(where) if here else cell_folder(str(where))
    card = read_card(folder)
    raw = _weights(folder, card)
    kind = str(card.get("decoder", "noble"))
    require(kind in KINDS, "checkpoint", f"a decoder of kind {' or '.join(KINDS)}", repr(kind), REMEDY)
    try:
        decoder = _build(card, *KINDS[kind])
        decoder.load_state_dict(load(raw))
    except UsageError:
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:100]}"
        raise UsageError("checkpoint", f"a {CARD} that fits its weights", why, REMEDY) from error
    return decoder.to(device).eval().requires_grad_(False)


def _weights(folder: Path, card: Mapping[str, Any]) -> bytes:
    """The file of weights, which must be the one that the card was written for."""
    path = folder / WEIGHTS
    require(
        path.is_file(),
        "checkpoint",
        f"a folder that holds {WEIGHTS}",
        f"{folder} without it",
        "restore the file from its source",
    )
    raw = path.read_bytes()
    expected, digest = str(card.get("weights_sha256")), hashlib.sha256(raw).hexdigest()
    require("weights_sha256" in card, "checkpoint", f"a {CARD} with weights_sha256", "none", REMEDY)
    require(
        digest == expected,
        "checkpoint",
        f"weights with SHA-256 {expected[:12]}...",
        f"{digest[:12]}... (truncated or altered)",
        "restore the file from its source",
    )
    return raw


def _describe(decoder: TrainedDecoder) -> dict[str, Any]:
    """What rebuilds a decoder."""
    error = decoder.measured_error
    return {
        "decoder": next(name for name, (kind, _) in KINDS.items() if type(decoder) is kind),
        "architecture": asdict(decoder.architecture),
        "latent_space": decoder.space.to_dict(),
        "window": asdict(decoder.window),
        "summary_names": list(decoder.summary_names),
        "error": None if error is None else _plain(error),
    }


def _build(card: Mapping[str, Any], kind: type[TrainedDecoder], sizes: type[Any]) -> TrainedDecoder:
    """An untrained decoder of the card's shape."""
    error = card["error"]
    if error is not None:
        error = _error(error, len(card["summary_names"]))
    return kind(
        space=LatentSpace.from_dict(card["latent_space"]),
        window=_window(card["window"]),
        summary_names=tuple(card["summary_names"]),
        architecture=sizes(**card["architecture"]),
        error=error,
    )


def _window(card: Mapping[str, Any]) -> Window:
    """The window of a card; numbers that no patch-clamp experiment has are refused, for no hash protects them."""
    low, high = card["current_range_pa"]
    window = Window(**{**card, "current_range_pa": (low, high)})
    numbers = (window.dt_ms, window.n_samples, window.onset_ms, window.duration_ms, low, high)
    plain = all(isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x) for x in numbers)
    sound = plain and low < high and max(-low, high) <= MOST_PA and window.dt_ms > 0 and window.onset_ms >= 0
    require(
        sound and 0 < window.onset_ms + window.duration_ms <= window.n_samples * window.dt_ms,
        "window",
        f"positive lengths and currents within {MOST_PA:g} pA",
        str(dict(card))[:160],
        REMEDY,
    )
    return window


def write_error(folder: Path, error: DecoderError) -> None:
    """Replace the error model of a checkpoint whose weights stay as they are.

    Args:
        folder: The checkpoint.
        error: Measured anew.
    """
    write_atomically(folder / CARD, _text({**read_card(folder), "error": _plain(error)}))


def _text(card: Mapping[str, Any]) -> bytes:
    """A card as it is written."""
    return (json.dumps(card, indent=2) + "\n").encode()


def _plain(error: DecoderError) -> dict[str, Any]:
    """JSON values of an error model."""
    return {k: v.tolist() if isinstance(v, torch.Tensor) else v for k, v in vars(error).items()}


def _error(card: Mapping[str, Any], features: int) -> DecoderError:
    """The error model of a card; what an older card does not say stays at its default.

    Raises:
        ValueError: If an entry is not what it should be (or another error that says the same).
    """
    tensors = {k: torch.tensor(card[k], dtype=torch.float64) for k in ("summary_sd", "summary_factor") if card.get(k)}
    lists = ("summary_knots_pa", "summary_lengths_pa", "summary_shares")
    tuples = {k: tuple(float(x) for x in card.get(k, ())) for k in lists}
    for name in card.keys() - {"summary_sd", "summary_factor", *tuples}:
        float(card[name])  # or it is not what it should be
    knots, lengths, shares = (torch.tensor(tuples[k], dtype=torch.float64) for k in lists)
    sd, factor = tensors["summary_sd"], tensors.get("summary_factor", torch.ones(len(knots), features))
    sound = {
        "summary_sd": sd.shape == (features,) and bool((sd >= 0).all()),
        "summary_factor": factor.shape == (len(knots), features) and bool((factor > 0).all()),
        "summary_knots_pa": bool((knots.diff() > 0).all() and torch.isfinite(knots).all()),
        "summary_lengths_pa": len(lengths) in (0, features) and bool((lengths > 0).all()),
        "summary_shares": len(shares) in (0, features) and bool(((shares >= 0) & (shares <= 1)).all()),
    }
    wrong = [name for name, fine in sound.items() if not fine]
    if wrong:
        raise ValueError(f"error.{wrong[0]} of the wrong length or size")
    return DecoderError(**{**card, **tensors, **tuples})
