"""The posterior of a neuron's latent features from its recording.

Reads .abf, .nwb, .ibw, .csv or .npz (see docs/formats.md), takes the sweeps that are current steps of 100 ms or more
within the decoder's currents, and samples the latents that explain their spike times and sub-threshold voltage.

  noble-prob infer cell.abf --cell pvalb-689331391 --method nuts --seed 1 --out posterior

writes posterior/posterior.nc (opens with arviz.from_netcdf; units in attributes) and posterior/posterior.json (per
latent mean, sd, 89 % interval, R-hat, effective sample sizes; wall time; findings). Read the findings: a posterior
exists for any recording, also for one of a cell that the decoder knows nothing about.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from noble_prob.cli.options import add_cell, add_out, add_sampling, load_cell, read, sampling
from noble_prob.cli.output import new_folder, tell, write_json


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this verb."""
    parser.add_argument("file", type=Path, nargs="+", metavar="FILE",
                        help="a recording; several .ibw files, or their folder, are one recording")  # fmt: skip
    add_cell(parser)
    add_sampling(parser)
    add_out(parser, "folder for posterior.nc and posterior.json")


def run(args: argparse.Namespace) -> int:
    """Read, infer, judge, write."""
    import noble_prob as nb
    from noble_prob.inference import to_datatree, to_json
    from noble_prob.report import render
    from noble_prob.report.parts import posterior_part

    with new_folder(args.out) as folder:
        recording = read(args, args.file[0] if len(args.file) == 1 else args.file)
        cell = load_cell(args)
        posterior = nb.infer(recording, decoder=cell.decoder, prior=cell.prior, **sampling(args, cell))
        findings = [f for f in nb.judge(posterior) if f not in posterior.notes]
        values = {"file": args.file[0].name, "cell": cell.name, **to_json(posterior, findings)}
        to_datatree(posterior).to_netcdf(folder / "posterior.nc")
        write_json(folder / "posterior.json", values)
    tell(args, render(posterior_part(posterior, findings=findings), "text"), values)
    return 0
