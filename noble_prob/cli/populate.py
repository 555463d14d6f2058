"""``noble-prob populate``: a data set of perturbed neurons; run it again to continue it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from noble_prob.cli.simulate import add_engine
from noble_prob.population.accept import FIRES, Criterion
from noble_prob.population.builtin import open_hof
from noble_prob.population.hof import HallOfFame, parse_keys
from noble_prob.population.latents import HELD_OUT_MODELS
from noble_prob.population.populate import Plan, populate
from noble_prob.population.standard import DESIGNS, Design
from noble_prob.population.targets import read_targets, targets_of_models
from noble_prob.population.trace import Numerics


def add_parser(subparsers: Any) -> None:
    """Add the verb ``populate``."""
    parser = subparsers.add_parser("populate", help="make a data set of perturbed models, resumable")
    add_options(parser)
    parser.set_defaults(run=run)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this verb."""
    parser.add_argument("--hof", required=True, help="folder of a Hall of Fame, or 'builtin'")
    parser.add_argument("--design", choices=sorted(DESIGNS), required=True, help="currents")
    parser.add_argument("--out", type=Path, required=True, help="folder of the data set; continued if it exists")
    parser.add_argument("--n-models", type=int, required=True, help="number of models to try")
    parser.add_argument("--n-random", type=int, default=4, help="random currents per model, besides the standard 4 (4)")
    parser.add_argument("--held-out", type=parse_keys, default=None, help=f"models never perturbed {HELD_OUT_MODELS}")
    parser.add_argument("--include-base", action="store_true", help="the base models come first")
    parser.add_argument("--noise-sd", type=float, default=0.15, help="noise, in SDs of the base models (0.15)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the population (0)")
    parser.add_argument("--targets", default="fires", help="'fires' (5 spikes at 180 pA), 'base' (the base models' own "
                        "features) or a CSV file")  # fmt: skip
    parser.add_argument("--k-sd", type=float, default=3.0, help="acceptable distance from a target, in SDs (3)")
    parser.add_argument("--random-duration-ms", default=None, help="shortest,longest random pulse duration")
    parser.add_argument("--random-duration-share", type=float, default=1.0, help="share of models that get them (1)")
    parser.add_argument("--total-ms", type=float, default=512.0, help="length of a trace (512)")
    parser.add_argument("--chunk-models", type=int, default=8, help="models per chunk (8)")
    parser.add_argument("--chunks", default=None, help="make only these chunks, such as 0-99 (all that are missing)")
    parser.add_argument("--max-minutes", type=float, default=None, help="begin nothing after so many minutes")
    add_engine(parser)


def run(args: argparse.Namespace) -> int:
    """Make the data set and print how many models were accepted, rejected (by reason) or failed."""
    design = replace(DESIGNS[args.design], n_random=args.n_random, total_ms=args.total_ms)
    if args.random_duration_ms:
        low, high = (float(x) for x in args.random_duration_ms.split(","))
        design = replace(design, random_duration_ms=(low, high), random_duration_share=args.random_duration_share)
    held_out = args.held_out or (() if args.hof == "builtin" else HELD_OUT_MODELS)
    base = open_hof(args.hof).without(held_out)
    numerics = Numerics(dt_ms=args.dt_ms, cv_um=args.cv_um)
    plan = Plan(
        base=base, n_models=args.n_models, seed=args.seed, design=design, noise_sd=args.noise_sd,
        chunk_models=args.chunk_models, include_base=args.include_base,
        numerics=numerics, criteria=_criteria(args, base, design, numerics),
    )  # fmt: skip
    chunks = None if args.chunks is None else parse_keys(args.chunks)
    tally = populate(
        plan, args.out, jobs=args.jobs, chunks=chunks, max_minutes=args.max_minutes, timeout_s=args.timeout_s,
        engine=args.engine, address=args.address,
    )  # fmt: skip
    for status, count in sorted(tally.items()):
        print(f"{count:6d}  {status}")
    return 1 if any(status.startswith("chunk failed") for status in tally) else 0


def _criteria(args: argparse.Namespace, base: HallOfFame, design: Design, numerics: Numerics) -> Sequence[Criterion]:
    if args.targets == "fires":
        return FIRES
    if args.targets == "base":
        return targets_of_models(base, design, k_sd=args.k_sd, numerics=numerics, jobs=args.jobs)
    return read_targets(args.targets, k_sd=args.k_sd)


def main(argv: list[str] | None = None) -> int:
    """This verb alone, for a machine where only the simulator is installed: ``python -m noble_prob.cli.populate``."""
    parser = argparse.ArgumentParser(prog="populate")
    add_options(parser)
    return run(parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
