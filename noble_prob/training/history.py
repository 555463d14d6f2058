"""What happened during training, step by step: a table in memory, a CSV on disk, TensorBoard if wanted.

The table is part of a run's resumable state. After ``kill -9`` and resume it therefore holds every row once and equals
that of an uninterrupted run, apart from the column ``seconds``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from noble_prob.errors import require
from noble_prob.jobs.whole import write_atomically

Row = dict[str, float]


def write_csv(rows: Sequence[Mapping[str, float]], path: Path) -> None:
    """Write rows, whole or not at all; a row's missing columns are left empty."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.getvalue().encode())


class Board:
    """TensorBoard's event files of one run.

    Args:
        folder: Where they go.
        step: Step that a resumed run begins from: events after it, from before a kill, are hidden.

    Raises:
        UsageError: If TensorBoard is not installed.
    """

    def __init__(self, folder: Path, *, step: int = 0):
        require(
            board_installed(),
            "tensorboard",
            "false, or the package tensorboard installed",
            "true without it",
            "pip install 'noble_prob[train]'",
        )
        from torch.utils.tensorboard import SummaryWriter  # takes a second: only who asks for it pays

        self._writer: Any = SummaryWriter(str(folder), purge_step=step + 1)

    def add(self, row: Mapping[str, float]) -> None:
        """Write one row."""
        for name, value in row.items():
            if name != "step":
                self._writer.add_scalar(name, value, int(row["step"]))

    def close(self) -> None:
        """Write what is pending."""
        self._writer.close()


def board_installed() -> bool:
    """Whether TensorBoard can be written."""
    return find_spec("tensorboard") is not None
