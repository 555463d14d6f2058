"""Everything at once, on data that came along.

A posterior takes 10 to 60 s on two cores with `nuts`, 1 to 2 s with `npe`; where `npe`'s weights fail, chains are run
instead, which can take minutes.

Draws novel neurons of the cell; then takes a noise-free simulation of a held-out biophysical model (nothing was trained
on it), infers its latent features with trial noise switched off, and compares with what they really are.

  noble-prob demo --out demo

prints the truth inside or outside each interval and writes demo/report.html and demo/report.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from noble_prob.cli.chains import refuse_no_chains
from noble_prob.cli.given import refuse_warmup
from noble_prob.cli.options import add_cell, add_sampling, finite, load_cell, positive, sampling
from noble_prob.cli.output import hint_na, new_folder, tell, write_report
from noble_prob.errors import require


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this verb."""
    add_cell(parser)
    add_sampling(parser, file=False)
    parser.set_defaults(warmup=160)  # and draws until the chains agree
    parser.add_argument("--neurons", type=positive, default=40, help="novel neurons (40)")
    parser.add_argument("--current-pa", type=finite, default=150.0, help="step that they get (150)")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("noble-prob-demo"),
        metavar="DIR",
        help="folder for report.html and report.json (noble-prob-demo)",
    )


def run(args: argparse.Namespace) -> int:
    """Sample, infer, compare, report."""
    from noble_prob.examination import examine
    from noble_prob.report.parts import ensemble_part, examination_report
    from noble_prob.sampling import sample_ensemble

    refuse_no_chains(args)
    hint_na([args.current_pa], "demo")
    refuse_warmup(args)
    with new_folder(args.out, "report.html", "report.json") as folder:
        cell = load_cell(args)
        require(
            cell.demo is not None,
            "cell",
            "a cell that comes with a demo recording",
            repr(args.cell),
            "choose pvalb-689331391",
        )
        recording, truth = cell.demo
        ensemble = sample_ensemble(
            cell,
            draws=args.neurons,
            current_pa=args.current_pa,
            seed=args.seed,
            device=args.device,
            progress=not args.quiet,
        )
        found = examine(recording, cell, truth=truth, **sampling(args, cell))
        title = f"Demo: a held-out model of {cell.name}"
        text, values = write_report(examination_report(found, title, further=[ensemble_part(ensemble)]), folder)
    tell(args, f"{text}\nThe page: {args.out / 'report.html'}", values)
    return 0
