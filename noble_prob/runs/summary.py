"""One row per recording: what became of it, how well it was sampled, what was found, and its latents."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from noble_prob.cells import Cell
from noble_prob.jobs.whole import write_atomically
from noble_prob.runs.record import Record
from noble_prob.runs.sources import Source
from noble_prob.strict_json import dumps

HEAD = ("recording", "status", "sweeps", "method", "wall_s", "r_hat", "ess", "k_hat", "issues", "cautions", "why")
FIGURES = ("mean", "sd", "low", "high")
"""What is told of each latent."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What came of a run.

    Attributes:
        cell: Kind of neuron the recordings were taken for.
        rows: One per recording: the columns of :data:`HEAD`, and per latent ``unit``, ``mean``, ``sd``, ``low`` and
            ``high`` (of the 89 % interval) under ``latents``. ``status`` is ``done`` or ``refused``.
    """

    cell: str
    rows: Sequence[Mapping[str, Any]]

    @property
    def refused(self) -> list[Mapping[str, Any]]:
        """Rows without a posterior."""
        return [row for row in self.rows if row["status"] != "done"]

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        done = len(self.rows) - len(self.refused)
        return {
            "cell": self.cell,
            "recordings": len(self.rows),
            "done": done,
            "refused": len(self.refused),
            "rows": [dict(row) for row in self.rows],
        }

    def to_csv(self) -> str:
        """The rows as a table: per latent its name followed by mean, sd, low, high; then the same with its unit.

        The former are in the latent's own unit, which may be a logarithm. The latter say theirs: of
        ``log_latency_25pa`` follow ``latency_25pa_ms_mean``, ``_low`` and ``_high``, exp of what they are before, and
        ``latency_25pa_sd_percent``. A name that says its unit is not repeated.
        """
        cells = [
            {k: v for name, f in (row["latents"] or {}).items() for k, v in _own(name, f).items()}
            | {k: v for name, f in (row["latents"] or {}).items() for k, v in _with_unit(name, f).items()}
            for row in self.rows
        ]
        heads = next((list(found) for found in cells if found), [])
        out = io.StringIO()
        table = csv.writer(out, lineterminator="\n")
        table.writerow([*HEAD, *heads])
        for row, found in zip(self.rows, cells, strict=True):
            table.writerow([_cell(v) for v in (*(row[key] for key in HEAD), *(found.get(head) for head in heads))])
        return out.getvalue()

    def to_text(self) -> str:
        """For a terminal: the worst news first."""
        done = len(self.rows) - len(self.refused)
        lines = [f"{done} of {len(self.rows)} recordings have a posterior"]
        for row in sorted(self.rows, key=lambda r: (r["status"] == "done", not r["issues"])):
            if row["status"] != "done":
                lines.append(f"  {row['recording']}: no posterior. {row['why']}")
            elif row["issues"]:
                lines.append(f"  {row['recording']}: issues {', '.join(row['issues'])}; see its posterior.json")
        return "\n".join(lines)


def summarise(record: Record, sources: Sequence[Source], cell: Cell) -> Summary:
    """Read every result of a run and write ``summary.csv`` and ``summary.json``.

    Args:
        record: The folder.
        sources: Recordings, in the order of the rows.
        cell: Kind of neuron.
    """
    summary = Summary(cell=cell.name, rows=[_row(s.name, record.result(s.name) or {}) for s in sources])
    for name, text in {"summary.csv": summary.to_csv(), "summary.json": dumps(summary.to_dict())}.items():
        write_atomically(record.folder / name, text.encode(errors="backslashreplace"))  # a file name that is no text
    return summary


def _row(name: str, found: Mapping[str, Any]) -> dict[str, Any]:
    if "latents" not in found:
        return _refused(name, found.get("refused", "nothing is known of it"))
    figures = [*found["latents"].values(), *found["noise"].values()]
    r_hat = [f["r_hat"] for f in figures if f["r_hat"] is not None]
    ess = [f[kind] for f in figures for kind in ("ess_bulk", "ess_tail") if f[kind] is not None]
    codes = {
        level: sorted({f["code"] for f in found["findings"] if f["severity"] == level})
        for level in ("issue", "caution")
    }
    return {
        "recording": name,
        "status": "done",
        "sweeps": len(found["sweeps"]),
        "method": found["method"],
        "wall_s": found["wall_s"],
        "r_hat": max(r_hat, default=None),
        "ess": min(ess, default=None),
        "k_hat": found["provenance"].get("k_hat"),
        "issues": codes["issue"],
        "cautions": codes["caution"],
        "why": None,
        "latents": {name: _figures(told) for name, told in found["latents"].items()},
    }


def _refused(name: str, why: str) -> dict[str, Any]:
    """The row of a recording without a posterior."""
    told: dict[str, Any] = {"issues": [], "cautions": [], "why": why, "latents": None}
    return {**dict.fromkeys(HEAD), "recording": name, "status": "refused", **told}


def _figures(told: Mapping[str, Any]) -> dict[str, Any]:
    """Unit and figures of a latent."""
    low, high = told["interval_89"]
    return {"unit": told["unit"], "mean": told["mean"], "sd": told["sd"], "low": low, "high": high}


def _own(name: str, figures: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of a latent as it is."""
    return {f"{name}_{figure}": figures[figure] for figure in FIGURES}


def _with_unit(name: str, figures: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of a latent that say their unit; none where its name does."""
    unit = figures["unit"]
    if unit.startswith("ln("):
        plain, suffix = name.removeprefix("log_"), unit[3:-1].lower()
        ends = {f"{plain}_{suffix}_{figure}": math.exp(figures[figure]) for figure in FIGURES if figure != "sd"}
        return {**ends, f"{plain}_sd_percent": 100 * figures["sd"]}
    suffix = unit.lower()
    return {} if f"_{suffix}_" in f"{name}_" else _own(f"{name}_{suffix}", figures)


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return " ".join(value)
    return f"{value:.6g}" if isinstance(value, float) else value
