"""The posterior of a neuron's latent features from its recording; or of many neurons, from a folder of recordings.

Reads .abf, .nwb, .ibw, .npz or .csv (its columns: python -m pydoc noble_prob.readers.csv_table), takes the sweeps that
are current steps of 100 ms or more within the decoder's currents, and samples the latents that explain their spike
times and sub-threshold voltage.
A posterior takes 10 to 60 s on two cores with `nuts`, 1 to 2 s with `npe`; where `npe`'s weights fail, chains are run
instead, which can take minutes. A line says so before they begin, with the reason, and --no-chains declines them.

  noble-prob infer cell.abf --cell pvalb-689331391 --method nuts --seed 1 --out posterior

writes posterior/posterior.nc (opens with arviz.from_netcdf; units in attributes) and posterior/posterior.json (per
latent mean, sd, 89 % interval, R-hat, effective sample sizes; wall time; findings). Read the findings: a posterior
exists for any recording, also for one of a cell that the decoder knows nothing about. The hardest test is a sweep that
the inference has not seen: with --leave-out 2,4 it does without sweeps 2 and 4, predicts them, and tells how they came.

  noble-prob infer recordings/ --cell pvalb-689331391 --method hmc --seed 1 --out posteriors

takes several files, or a folder of them, as one recording each: posteriors/NAME/ for each, and a table of all in
posteriors/summary.csv and .json. A recording that can not be used is told and the rest goes on; files in folders
further inside are counted, not read. Run the same command again to continue, even after kill -9.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from noble_prob.cli.chains import refuse_no_chains
from noble_prob.cli.given import refuse, refuse_warmup, require_engine
from noble_prob.cli.held import part
from noble_prob.cli.options import (
    add_cell,
    add_out,
    add_processes,
    add_sampling,
    load_cell,
    positive,
    read,
    reading,
    sampling,
)
from noble_prob.cli.output import new_folder, tell, write_json
from noble_prob.cli.traces import is_traces
from noble_prob.errors import UsageError, listed, require

if TYPE_CHECKING:
    from collections.abc import Sequence

    from noble_prob.runs import Settings, Source


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this verb."""
    parser.add_argument(
        "file",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="recordings or their folder (several .ibw files, or their folder, are one)",
    )
    add_cell(parser)
    add_sampling(parser)
    parser.add_argument(
        "--leave-out",
        default=None,
        metavar="LIST",
        help="sweeps of one recording, numbered as by --sweeps, to infer without and then to predict (none)",
    )
    add_out(parser, "folder for posterior.nc and posterior.json")
    many = parser.add_argument_group("many recordings")
    many.add_argument("--each", action="store_true", help="every file is a recording, also a single one")
    many.add_argument("--batch", type=positive, default=16, help="recordings sampled side by side; nuts takes one (16)")
    add_processes(many)


def run(args: argparse.Namespace) -> int:
    """Read, infer, judge, write."""
    from noble_prob.runs import is_many

    refuse_no_chains(args)
    refuse_warmup(args)
    traces = [path.name for path in args.file if is_traces(path)]
    require(
        not traces,
        "file",
        "a recording of one neuron",
        f"{listed(traces)}, all models of a `simulate`",
        "run that `simulate` with `--recordings DIR` too, and infer DIR or a file of it",
    )
    many = args.each or is_many(args.file)
    _tell_further_inside(args, many=many)
    if many:
        require_engine(args)
        refuse(args, ["--leave-out"], "these are several recordings", "infer one of them")
        return _run_many(args)
    refuse(args, ("--batch", "--jobs", "--engine", "--address"), "this is one recording", "add --each")
    return _run_one(args)


def _tell_further_inside(args: argparse.Namespace, *, many: bool) -> None:
    """Say which files in folders of folders are not read; refuse a folder that holds nothing else."""
    from noble_prob.runs import passed_over

    deeper = passed_over(args.file, args.out)
    folders = listed(dict.fromkeys(str(path.parent) for path in deeper), 3)
    require(
        many or not deeper,
        "file",
        "a recording, or a folder that holds some",
        f"{str(args.file[0])!r} with {len(deeper)} further inside",
        f"name their folders: {folders}",
    )
    if deeper:
        print(
            f"noble-prob infer: {len(deeper)} files further inside are not read; to take them, name {folders}.",
            file=sys.stderr,
        )


def _run_one(args: argparse.Namespace) -> int:
    """One recording, one folder."""
    import noble_prob as nb
    from noble_prob.inference import to_json, write_posterior
    from noble_prob.report import render
    from noble_prob.report.parts import left_out_part, merge, posterior_part

    with new_folder(args.out, "posterior.nc", "posterior.json") as folder:
        recording = read(args, args.file[0] if len(args.file) == 1 else args.file)
        cell = load_cell(args)
        recording, held = part(recording, args.sweeps, args.leave_out)
        posterior = nb.infer(recording, decoder=cell.decoder, prior=cell.prior, **sampling(args, cell))
        findings = [f for f in nb.judge(posterior) if f not in posterior.notes]
        values = {"file": args.file[0].name, "cell": cell.name, **to_json(posterior, findings)}
        shown = posterior_part(posterior, findings=findings)
        if held is not None:
            found = nb.check_left_out(posterior, held, decoder=cell.decoder, prior=cell.prior, seed=args.seed)
            told = left_out_part(found)
            values, shown = {**values, **told.values}, merge(shown.title, [shown, told], subtitle=shown.subtitle)
        write_posterior(posterior, folder)
        write_json(folder / "posterior.json", values)
    tell(args, render(shown, "text"), values)
    return 0


def _run_many(args: argparse.Namespace) -> int:
    """Many recordings, one folder each, and a table."""
    from noble_prob.runs import find_recordings, infer_many

    sources = find_recordings(args.file)
    _tell_alike(sources)
    summary = infer_many(
        sources,
        args.out,
        _settings(args),
        device=args.device,
        jobs=args.jobs,
        engine=args.engine,
        address=args.address,
        progress=not args.quiet,
    )
    tell(args, f"{summary.to_text()}\nThe table: {args.out / 'summary.csv'}", summary.to_dict())
    if len(summary.refused) == len(summary.rows):
        first = summary.refused[0]
        raise UsageError(
            "files",
            "at least one that can be used",
            f"{len(summary.rows)} that can not (first {first['recording']}: {first['why']})",
            "check the files one by one",
        )
    if summary.refused and args.json:
        refused = f"{len(summary.refused)} of {len(summary.rows)} recordings have no posterior"
        print(f"noble-prob infer: {refused}; {args.out / 'summary.csv'} says why.", file=sys.stderr)
    return 0


def _tell_alike(sources: Sequence[Source]) -> None:
    """Say which recordings are copies of each other: each is inferred, and a population must count them once."""
    same: dict[str, list[str]] = {}
    for source in sources:
        same.setdefault(source.sha256, []).append(source.name)
    copies = [" = ".join(names) for digest, names in same.items() if digest and len(names) > 1]
    if copies:
        print(
            f"noble-prob infer: files of equal content, each of which is inferred: {listed(copies, 3)}.",
            file=sys.stderr,
        )


def _settings(args: argparse.Namespace) -> Settings:
    """How each of many recordings is read and inferred."""
    from noble_prob.runs import Settings

    return Settings(
        cell=args.cell,
        prior=args.prior,
        method=args.method,
        seed=args.seed,
        chains=args.chains,
        warmup=args.warmup,
        draws=args.draws,
        noiseless=args.noiseless,
        fall_back=not args.no_chains,
        batch=args.batch,
        **reading(args),
    )
