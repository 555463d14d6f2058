"""A page about a posterior that was inferred before, without sampling again.

  noble-prob infer cell.abf --cell pvalb-689331391 --out posterior
  noble-prob report posterior --out page

reads posterior/posterior.nc, judges it again, prints the findings and the table of latents, and writes
page/report.html and page/report.json. With the recording (--recording cell.abf) the page shows its voltage over that
of posterior draws. Cell and prior are those of the posterior, a cell of your own in the folder where it was (--cell DIR
where it is now); another cell, prior or recording is refused. Of a run over a folder of recordings take one of its
folders: posteriors/NAME.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from noble_prob.cli.given import refuse
from noble_prob.cli.options import READING, add_cell, add_out, add_reading, load_cell, read
from noble_prob.cli.output import new_folder, tell, write_report
from noble_prob.errors import listed, require


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this verb."""
    parser.add_argument("posterior", type=Path, metavar="POSTERIOR", help="posterior.nc, or the folder that holds it")
    parser.add_argument(
        "--recording", type=Path, default=None, metavar="FILE", help="the recording it was inferred from"
    )
    add_cell(parser, default=None)
    add_reading(parser)
    add_out(parser, "folder for report.html and report.json")


def run(args: argparse.Namespace) -> int:
    """Read, judge, render."""
    from noble_prob.examination import examine_posterior
    from noble_prob.inference.restore import read_posterior, stored
    from noble_prob.report.parts import examination_report

    if args.recording is None:
        refuse(args, READING, "no recording is read", "give --recording FILE")
    _require_one(args.posterior)
    with new_folder(args.out, "report.html", "report.json") as folder:
        made = stored(args.posterior)
        args.cell = args.cell or _word(made, "cell_folder") or _word(made, "cell")
        require(
            args.cell is not None,
            "posterior",
            "one that names its cell",
            "no cell in it: its decoder was not one that load_cell gives",
            "pass --cell NAME, or the folder of the cell it was inferred with",
        )
        args.prior = args.prior or _word(made, "prior")
        cell = load_cell(args)
        posterior = read_posterior(args.posterior, decoder=cell.decoder, prior=cell.prior)
        recording = None if args.recording is None else read(args, args.recording)
        found = examine_posterior(posterior, cell, recording, seed=posterior.seed)
        file = posterior.provenance.get("recording", {}).get("file", args.posterior.name)
        text, values = write_report(examination_report(found, str(file)), folder)
    tell(args, text, values)
    return 0


def _require_one(place: Path) -> None:
    """Refuse the folder of a run over several recordings, naming those that have a posterior."""
    from noble_prob.inference.restore import FILE

    if place.is_dir() and not (place / FILE).exists():
        inside = sorted(path.parent.name for path in place.glob(f"*/{FILE}"))
        require(
            not inside,
            "posterior",
            "a posterior.nc, or the folder of one recording",
            f"{str(place)!r}, a run with those of {listed(inside, 4)}",
            f"make a page of one: `noble-prob report {place / next(iter(inside), '')} --out page`",
        )


def _word(made: Mapping[str, Any], name: str) -> str | None:
    """What a posterior says about its making in one word; None where it says nothing."""
    word = made.get(name)
    require(
        word is None or isinstance(word, str),
        "posterior",
        f"a posterior.nc whose attribute {name} is a word",
        repr(word)[:40],
        f"pass --{name}, or infer again",
    )
    return word
