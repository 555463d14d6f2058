"""A report: does the model foresee these recordings, or this population of cells?

  noble-prob calibrate cell.abf --cell pvalb-689331391 --seed 1 --out report
  noble-prob calibrate day1/*.abf --cell pvalb-689331391 --out report
  noble-prob calibrate --population cells.csv --where cell_type=PVALB --recalibrate both --out report
  noble-prob calibrate --repeats repeats.csv --ensemble predicted.csv --out report
  noble-prob calibrate --population lab_a.csv --experiment lab_b.csv --out report

writes report/report.html (one page, opens anywhere, loads nothing) and report/report.json (the same findings and
numbers). For recordings: posterior, posterior predictive checks of spike counts, latencies, intervals, spike shape and
sub-threshold voltage, and the spread over repeats where steps were repeated. Among several files a broken one is told
and left out. For a table of cells (one row per cell, columns named as latents, as in noble_prob.features.FEATURES, or
as published after eFEL): the spread between neurons of the cell's prior against it, with the power of the comparison;
--recalibrate reweights the prior (tilt), moves its latents (widen), or both, and shows what is left. With --ensemble or
--experiment two tables are compared, rows being cells (--population) or repeats of one (--repeats); no decoder is used.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from noble_prob.cli.chains import refuse_no_chains
from noble_prob.cli.given import refuse, refuse_warmup
from noble_prob.cli.options import (
    READING,
    SAMPLING,
    CommandError,
    add_cell,
    add_out,
    add_sampling,
    finite,
    load_cell,
    read,
    sampling,
    several,
)
from noble_prob.cli.output import hint_na, new_folder, tell, write_report
from noble_prob.errors import UsageError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this verb."""
    parser.add_argument("files", type=Path, nargs="*", metavar="FILE", help="recordings")
    parser.add_argument("--population", type=Path, default=None, metavar="TABLE", help="CSV with one row per cell")
    parser.add_argument("--repeats", type=Path, default=None, metavar="TABLE", help="CSV with one row per repeat")
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--ensemble", type=Path, default=None, metavar="TABLE", help="CSV of an ensemble, same columns")
    other.add_argument("--experiment", type=Path, default=None, metavar="TABLE", help="CSV of a second experiment")
    parser.add_argument(
        "--where",
        action="append",
        type=condition,
        default=None,
        metavar="COLUMN=WORD",
        help="only rows of the first table in which the column holds the word",
    )
    parser.add_argument(
        "--recalibrate",
        choices=("none", "tilt", "widen", "both"),
        default="none",
        help="what to do about the prior (none)",
    )
    parser.add_argument("--neurons", type=several, default=400, help="size of the prior ensemble (400)")
    parser.add_argument(
        "--current-pa", type=finite, default=180.0, help="step at which the table's features were measured (180)"
    )
    add_cell(parser)
    add_sampling(parser)
    add_out(parser, "folder for report.html and report.json")


def run(args: argparse.Namespace) -> int:
    """Examine files, tables, or both; write one page."""
    from noble_prob.report.parts import merge

    _check(args)
    refuse_no_chains(args)
    _require_different(args.files)
    hint_na([args.current_pa], "calibrate")
    with new_folder(args.out, "report.html", "report.json") as folder:
        tables = _tables(args)
        cell = None if "other" in tables and not args.files else load_cell(args)
        parts = [*_of_files(args, cell), *_of_tables(args, tables, cell)]
        title = parts[0].title if args.files else (args.population or args.repeats).name
        subtitle = f"decoder of {cell.name}" if cell else f"against {(args.ensemble or args.experiment).name}"
        whole = len(parts) == 1 and args.files
        report = parts[0] if whole else merge(title, parts, subtitle=subtitle, provenance={"seed": args.seed})
        text, values = write_report(report, folder)
    tell(args, text, values)
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    other = args.ensemble or args.experiment
    if not args.files and args.population is None and args.repeats is None:
        raise CommandError("give recordings, --population TABLE or --repeats TABLE; see `noble-prob calibrate --help`.")
    if args.population and args.repeats:
        raise CommandError("give --population or --repeats, not both: cells and repeats are never mixed.")
    if args.repeats and not other:
        raise CommandError("--repeats needs --ensemble TABLE or --experiment TABLE to be compared with.")
    if other and not (args.population or args.repeats):
        raise CommandError("--ensemble and --experiment need --population TABLE or --repeats TABLE.")
    if args.recalibrate != "none" and (other or not args.population):
        raise CommandError("--recalibrate moves a cell's prior: give --population TABLE and no second table.")
    _refuse_idle(args)


def _refuse_idle(args: argparse.Namespace) -> None:
    """Refuse options about what is not examined."""
    other = args.ensemble or args.experiment
    if not args.files:
        refuse(args, (*SAMPLING, *READING), "no recording is examined", "give recordings too")
    refuse_warmup(args)
    if other and not args.files:
        refuse(args, ("--cell", "--prior", "--device"), "two tables are compared without a decoder", "give one table")
    if other or not args.population:
        about = "the cell's prior is compared with no table"
        refuse(args, ("--neurons", "--current-pa"), about, "give --population TABLE and no second table")
    if not (args.population or args.repeats):
        refuse(args, ("--where",), "there is no table", "give --population TABLE")


def _tables(args: argparse.Namespace) -> dict[str, Any]:
    """The tables that were given, read before any work is done."""
    from noble_prob.calibration import FeatureTable
    from noble_prob.examination.columns import require_measured, require_spread

    first, second = args.population or args.repeats, args.ensemble or args.experiment
    axis: Any = "trial" if args.repeats else "neuron"
    found = {}
    if first:
        found["first"] = FeatureTable.from_csv(first, axis=axis, where=dict(args.where or ()))
    if second:
        found["other"] = FeatureTable.from_csv(second, axis=axis)
    for table in found.values():
        require_measured(table)
    if args.recalibrate != "none":
        require_spread(found["first"])
    return found


def _require_different(files: list[Path]) -> None:
    """Refuse a recording that is given twice, also as both waves of a pair: it would count as two."""
    from noble_prob.runs.sources import WAVE, Source

    sizes = {path: path.stat().st_size for path in files if path.is_file() and path.suffix.lower() != WAVE}
    if len(files) == len(sizes) == len(set(sizes.values())):
        return
    seen: dict[str, Path] = {}
    for path in (p for p in files if p.is_file() and os.access(p, os.R_OK)):
        content = Source(name=path.name, path=path).sha256
        first = seen.setdefault(content, path)
        if content and first is not path:
            raise UsageError(
                "files",
                "different recordings",
                f"{first.name} and {path.name}, which are the same",
                "name every recording once",
            )


def _of_files(args: argparse.Namespace, cell: Any) -> list[Any]:
    """The part about recordings."""
    from noble_prob.examination import examine_files
    from noble_prob.report.parts import session_report

    if not args.files:
        return []
    session = examine_files(args.files, cell, reader=lambda path: read(args, path), **sampling(args, cell))
    return [session_report(session, f"{len(args.files)} recordings")]


def _of_tables(args: argparse.Namespace, tables: dict[str, Any], cell: Any) -> list[Any]:
    """The part about tables."""
    from noble_prob.examination import examine_population, examine_tables
    from noble_prob.report.parts import calibration_part, population_part

    if "other" in tables:
        found = examine_tables(tables["first"], tables["other"], experiment=bool(args.experiment), seed=args.seed)
        return [calibration_part(found)]
    if "first" not in tables:
        return []
    return [
        population_part(
            examine_population(
                tables["first"],
                cell,
                current_pa=args.current_pa,
                neurons=args.neurons,
                recalibrate=args.recalibrate,
                seed=args.seed,
                progress=not args.quiet,
                device=args.device,
            )
        )
    ]


def condition(text: str) -> tuple[str, str]:
    """A column and the word it should hold."""
    column, sign, word = text.partition("=")
    if not (sign and column.strip() and word.strip()):
        raise argparse.ArgumentTypeError(f"should be COLUMN=WORD; found {text!r}")
    return column.strip(), word.strip()
