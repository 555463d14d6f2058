"""The file that `simulate` writes: several models under the same steps; no recording, which is of one neuron."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

if TYPE_CHECKING:
    from noble_prob.recording import Recording

FIELDS = {"voltage_mv", "time_ms", "models", "amps_na", "provenance"}


def is_traces(path: Path) -> bool:
    """Whether a file is one that `simulate` has written."""
    import numpy as np

    if not path.is_file():  # a pipe would be waited for
        return False
    try:
        with np.load(path) as file:
            return set(file.files) == FIELDS
    except (OSError, ValueError, EOFError, BadZipFile, AttributeError, TypeError):
        return False


def write_recordings(recording: Recording, labels: tuple[str, ...], folder: Path) -> None:
    """One file per model, its steps as the sweeps of a recording; sweeps that failed are left out.

    Args:
        recording: Responses of several models, axis ``neuron``.
        labels: Names of the models.
        folder: Where ``LABEL.npz`` goes.
    """
    from noble_prob.readers import write_npz

    for k, label in enumerate(labels):
        one = replace(recording.members(k).squeeze(), provenance={**recording.provenance, "model": label})
        whole = one.voltage_mv.isfinite().all(-1).nonzero().flatten().tolist()
        if whole:
            write_npz(one.select(whole), folder / f"{label}.npz")
