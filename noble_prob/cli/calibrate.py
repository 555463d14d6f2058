"""A report: does the model foresee these recordings, or this population of cells?

  noble-prob calibrate cell.abf --cell pvalb-689331391 --seed 1 --out report
  noble-prob calibrate day1/*.abf --cell pvalb-689331391 --out report
  noble-prob calibrate --population cells.csv --cell pvalb-689331391 --out report

writes report/report.html (one page, opens anywhere, loads nothing) and report/report.json (the same findings and
numbers). For recordings: posterior, posterior predictive checks of spike counts, latencies, intervals, spike shape and
sub-threshold voltage, and the spread over repeats where steps were repeated. Among several files a broken one is told
and left out. For a table (one row per cell, columns named as latents or as features of docs/features.md): the spread
between neurons, with the power of the comparison.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from noble_prob.cli.options import CommandError, add_cell, add_out, add_sampling, finite, load_cell, read, sampling
from noble_prob.cli.output import new_folder, tell, write_report


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this verb."""
    parser.add_argument("files", type=Path, nargs="*", metavar="FILE", help="recordings")
    parser.add_argument("--population", type=Path, default=None, metavar="TABLE", help="CSV with one row per cell")
    parser.add_argument("--current-pa", type=finite, default=180.0,
                        help="step at which the table's features were measured (180)")  # fmt: skip
    add_cell(parser)
    add_sampling(parser)
    add_out(parser, "folder for report.html and report.json")


def run(args: argparse.Namespace) -> int:
    """Examine files, a table, or both; write one page."""
    if not args.files and args.population is None:
        raise CommandError("give recordings, or --population TABLE; see `noble-prob calibrate --help`.")
    from noble_prob.calibration import FeatureTable
    from noble_prob.examination import examine_files, examine_population
    from noble_prob.report.parts import calibration_part, merge, session_report

    with new_folder(args.out) as folder:
        table = FeatureTable.from_csv(args.population, axis="neuron") if args.population else None
        cell, parts = load_cell(args), []
        if args.files:
            session = examine_files(args.files, cell, reader=lambda path: read(args, path), **sampling(args, cell))
            parts.append(session_report(session, f"{len(args.files)} recordings"))
        if table is not None:
            parts.append(calibration_part(examine_population(
                table, cell, current_pa=args.current_pa, seed=args.seed, progress=not args.quiet, device=args.device
            )))  # fmt: skip
        title = parts[0].title if args.files else args.population.name
        report = parts[0] if len(parts) == 1 and args.files else merge(title, parts, subtitle=f"decoder of {cell.name}")
        text, values = write_report(report, folder)
    tell(args, text, values)
    return 0
