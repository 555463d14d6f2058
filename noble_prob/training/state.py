"""The state of a training run on disk: weights, their average, the optimiser's moments, the history.

One safetensors file, never a pickle, replaced atomically. Its header says under which settings it was made: a run can
be continued under the same settings only, because anything else would be neither the old run nor a new one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from noble_prob.errors import UsageError, listed, require
from noble_prob.jobs.whole import write_atomically
from noble_prob.training.history import Row

AGAIN = "delete this file to begin anew"
ANEW = "restore what differs, or choose another folder (`--out`) to begin anew"


class OtherRunError(UsageError):
    """A state that another run made.

    Args:
        file: Name of the state's file.
        settings: Old and new value of every setting that differs.
        hashed: Names of what differs in content, and of which only a hash is known.
    """

    def __init__(self, file: str, settings: Mapping[str, tuple[Any, Any]], hashed: Sequence[str] = ()):
        self.file, self.settings, self.hashed = file, dict(settings), tuple(hashed)
        before = "".join(f", {name} = {old!r}" for name, (old, _) in settings.items())
        after = [*(f"{name} = {new!r}" for name, (_, new) in settings.items()), *(f"other {name}" for name in hashed)]
        super().__init__(
            listed([*settings, *hashed]), f"as in the run that is there ({file}{before})", listed(after), ANEW
        )

    def __reduce__(self) -> Any:
        """Made again from its parts."""
        return type(self), (self.file, self.settings, self.hashed)


@dataclass(kw_only=True)
class State:
    """Where a run stands.

    Attributes:
        step: Steps done.
        params: The weights themselves (not copies).
        optimiser: The optimiser over them.
        average: Their running average; empty without one.
        best: The best weights so far, by validation; empty if they are not kept.
        history: Rows of the log.
        finished: Whether nothing is left to do.
    """

    params: list[Tensor]
    optimiser: torch.optim.Optimizer
    step: int = 0
    average: list[Tensor] = field(default_factory=list)
    best: list[Tensor] = field(default_factory=list)
    history: list[Row] = field(default_factory=list)
    finished: bool = False

    def save(self, path: Path, settings: Mapping[str, Any]) -> None:
        """Write the state; complex weights and moments included.

        Args:
            path: File, replaced atomically.
            settings: Everything the weights depend on, JSON values.
        """
        tensors = _numbered("param", self.params) | _numbered("average", self.average) | _numbered("best", self.best)
        for i, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optim.{i}.{name}": value for name, value in moments.items()}
        header = {"step": self.step, "finished": self.finished, "settings": settings, "history": self.history}
        plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, save(plain, metadata={"run": json.dumps(header)}))

    def load(self, path: Path, settings: Mapping[str, Any]) -> None:
        """Continue from a file.

        Args:
            path: File of :meth:`save`.
            settings: Those of the run that is to continue.

        Raises:
            UsageError: If the file is damaged, or of other settings or another network; it says what differs.
        """
        header, tensors = _read(path, str(self.params[0].device))
        _require_same(header["settings"], json.loads(json.dumps(settings)), path)
        stored = _numbered_back("param", tensors)
        same = [tuple(p.shape) for p in stored] == [tuple(p.shape) for p in self.params]
        require(same, "architecture", f"that of the run in {path.parent.name!r}", "other sizes", ANEW)
        with torch.no_grad():
            torch._foreach_copy_(self.params, stored)
        self.average, self.best = _numbered_back("average", tensors), _numbered_back("best", tensors)
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": _moments(tensors, groups[0]["capturable"]), "param_groups": groups})
        self.step, self.finished, self.history = header["step"], header["finished"], header["history"]


def _numbered(name: str, tensors: Sequence[Tensor]) -> dict[str, Tensor]:
    return {f"{name}.{i}": tensor for i, tensor in enumerate(tensors)}


def _numbered_back(name: str, tensors: Mapping[str, Tensor]) -> list[Tensor]:
    n = sum(key.startswith(f"{name}.") for key in tensors)
    return [tensors[f"{name}.{i}"] for i in range(n)]


def _moments(tensors: Mapping[str, Tensor], captured: bool) -> dict[int, dict[str, Tensor]]:
    """The optimiser's state by parameter; its step counts live on the CPU unless a graph holds the step."""
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optim."):
            _, i, name = key.split(".")
            moments.setdefault(int(i), {})[name] = value.cpu() if name == "step" and not captured else value
    return moments


def _read(path: Path, device: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Header and tensors of a state file."""
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {})["run"])
        missing = {"step", "finished", "settings", "history"} - set(header)
        require(not missing, "folder", "one whose state can be read", f"{path.name} without {sorted(missing)}", AGAIN)
        return header, load_file(path, device=device)
    except UsageError:
        raise
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise UsageError("folder", "one whose state can be read", f"{path.name}: {error}", AGAIN) from error


def _require_same(old: Mapping[str, Any], new: Mapping[str, Any], path: Path) -> None:
    """Refuse to continue a run under other settings, and say which."""
    different = {name: (old.get(name), new.get(name)) for name in {**old, **new} if old.get(name) != new.get(name)}
    if different:
        hashes = [name for name, pair in different.items() if any(map(_is_hash, pair))]
        raise OtherRunError(path.name, {k: v for k, v in different.items() if k not in hashes}, hashes)


def _is_hash(value: Any) -> bool:
    """Whether a setting is a digest, or a list of digests, which tells nobody anything."""
    every = value if isinstance(value, list) else [value]
    return bool(every) and all(isinstance(word, str) and len(word) == 64 for word in every)
