"""Several parts, one page."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from typing import Any

from noble_prob.report.data import ReportData

PACKAGES = ("noble_prob", "torch", "pyro-ppl", "neuraloperator", "arviz", "numpy", "scipy", "matplotlib")


def merge(
    title: str, parts: Sequence[ReportData], *, subtitle: str = "", provenance: Mapping[str, Any] | None = None
) -> ReportData:
    """One report from parts, in their order; equal findings and paragraphs appear once.

    Args:
        title: What was examined.
        parts: Made by the functions of this package; their titles are dropped.
        subtitle: Cell, decoder, method in one line.
        provenance: Seeds, hashes, wall time; versions of the packages are added.
    """
    listed: dict[str, list[Any]] = {
        name: [item for part in parts for item in getattr(part, name)]
        for name in ("verdicts", "findings", "latents", "overlays", "rasters", "features", "coverage", "fi", "tables")
    }
    listed["findings"] = [f for k, f in enumerate(listed["findings"]) if f not in listed["findings"][:k]]
    pairs = next((part.pairs for part in parts if part.pairs is not None), None)
    values: dict[str, Any] = {}
    known: dict[str, Any] = {**versions(), **(provenance or {})}
    for part in parts:
        values |= part.values
        known |= part.provenance
    paragraphs = dict.fromkeys(text for part in parts for text in part.methods)
    return ReportData(
        title=title,
        subtitle=subtitle,
        pairs=pairs,
        provenance=known,
        values=values,
        methods=(*paragraphs, software(known)),
        **listed,
    )


def versions() -> dict[str, str]:
    """Versions of this package, of Python, and of the packages that numbers depend on, where installed."""
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def software(known: Mapping[str, Any]) -> str:
    """The sentence about software, ready to paste."""
    named = [f"{name} {known[name]}" for name in ("Python", *PACKAGES) if name in known]
    seed = f" The random seed was {known['seed']}." if "seed" in known else ""
    return f"Software: {', '.join(named)}.{seed}"
