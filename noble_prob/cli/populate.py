"""A data set of perturbed models; run the same command again to continue it, even after kill -9.

  noble-prob populate --hof DIR --design pvalb --out SET --n-models 3200 --seed 10 --include-base --jobs 16

Which models are accepted: python -m pydoc noble_prob.population.accept, and .targets; the format: python -m pydoc
noble_prob.population.store. Where only the simulator is installed: python -m noble_prob.cli.populate.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from noble_prob.cli.given import refuse, require_engine
from noble_prob.cli.options import MOST_NA, above_zero, finite, numbers, positive, seed, whole
from noble_prob.cli.output import tell
from noble_prob.cli.simulate import add_engine
from noble_prob.errors import listed, require

if TYPE_CHECKING:
    from noble_prob.population.accept import Criterion
    from noble_prob.population.hof import HallOfFame
    from noble_prob.population.populate import Plan
    from noble_prob.population.standard import Design

DEVICE = False
"""Of the common options: the simulator runs on processors."""
DESIGN_NAMES = ("builtin", "pvalb", "vip", "vip-close")
"""Names of the currents that can be asked for."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this verb."""
    parser.add_argument("--hof", required=True, help="folder of a Hall of Fame, or 'builtin'")
    parser.add_argument("--design", choices=DESIGN_NAMES, required=True, help="currents")
    parser.add_argument("--out", type=Path, required=True, help="folder of the data set; continued if it exists")
    parser.add_argument("--n-models", type=positive, required=True, help="number of models to try")
    parser.add_argument(
        "--n-random", type=whole, default=4, help="random currents per model, besides the standard protocol (4)"
    )
    parser.add_argument("--range-pa", type=numbers, default=None, help="lowest,highest random current (of the design)")
    parser.add_argument("--near-share", type=finite, default=0.5, help="share of random currents near threshold (0.5)")
    _add_models(parser)
    parser.add_argument(
        "--random-duration-ms",
        type=numbers,
        default=None,
        help="shortest,longest random pulse duration (that of the standard protocol)",
    )
    parser.add_argument("--random-duration-share", type=finite, default=1.0, help="share of models that get them (1)")
    parser.add_argument("--total-ms", type=above_zero, default=512.0, help="length of a trace (512)")
    parser.add_argument("--chunk-models", type=positive, default=8, help="models per chunk (8)")
    parser.add_argument("--chunks", default=None, help="make only these chunks, such as 0-99 (all that are missing)")
    parser.add_argument("--max-minutes", type=above_zero, default=None, help="begin nothing after so many minutes")
    add_engine(parser)


def _add_models(parser: argparse.ArgumentParser) -> None:
    """Options of which models are made and which of them are accepted."""
    parser.add_argument(
        "--held-out",
        default=None,
        metavar="LIST",
        help="models never perturbed, as 3,10-12, or none (the ten of the paper, also of a Hall of "
        "Fame of your own; none of builtin)",
    )
    parser.add_argument("--include-base", action="store_true", help="the base models come first")
    parser.add_argument("--noise-sd", type=finite, default=0.15, help="noise, in SDs of the base models (0.15)")
    parser.add_argument("--seed", type=seed, default=0, help="seed of the population (0)")
    parser.add_argument(
        "--targets",
        default="fires",
        help="'fires' (5 spikes at 180 pA), 'base' (the base models' own features) or a CSV file (fires)",
    )
    parser.add_argument(
        "--k-sd", type=above_zero, default=3.0, help="acceptable distance from a target of 'base' or a file, in SDs (3)"
    )


def run(args: argparse.Namespace) -> int:
    """Make the data set and print how many models were accepted, rejected (by reason) or failed."""
    from noble_prob.population.hof import parse_keys
    from noble_prob.population.populate import populate
    from noble_prob.population.progress import progress
    from noble_prob.population.store import Store

    _refuse_idle(args)
    plan = _plan(args)
    chunks = None if args.chunks is None else parse_keys(args.chunks, "chunks")
    tally = populate(
        plan,
        args.out,
        jobs=args.jobs,
        chunks=chunks,
        max_minutes=args.max_minutes,
        timeout_s=args.timeout_s,
        engine=args.engine,
        address=args.address,
        progress=not args.quiet,
    )
    found = progress(Store(args.out))
    lines = [f"{count:6d}  {status}" for status, count in sorted(tally.items())]
    tell(args, "\n".join([*lines, found.sentence]), {**tally, "set": found.to_dict()})
    return 1 if any(status.startswith("chunk failed") for status in tally) else 0


def _refuse_idle(args: argparse.Namespace) -> None:
    """Refuse options about what is not asked for."""
    require_engine(args, also_here=args.targets == "base")
    if args.targets == "fires":
        refuse(args, ["--k-sd"], "'fires' is no target with an SD", "give --targets base or a CSV file")
    if not args.n_random:
        idle = ("--range-pa", "--near-share", "--random-duration-ms", "--random-duration-share")
        refuse(args, idle, "there are no random currents", "give --n-random 1 or more")
    if not args.random_duration_ms:
        refuse(args, ["--random-duration-share"], "no duration is random", "give --random-duration-ms 100,2000")


def _plan(args: argparse.Namespace) -> Plan:
    """What to make."""
    from noble_prob.population.accept import FIRES
    from noble_prob.population.populate import Plan
    from noble_prob.population.targets import read_targets, targets_of_models
    from noble_prob.population.trace import Numerics

    design, base = _design(args), _base(args)
    numerics = Numerics(dt_ms=args.dt_ms, cv_um=args.cv_um)
    criteria: Sequence[Criterion]
    if args.targets == "fires":
        criteria = FIRES
    elif args.targets == "base":
        criteria = targets_of_models(
            base, design, k_sd=args.k_sd, numerics=numerics, jobs=args.jobs, progress=not args.quiet
        )
    else:
        criteria = read_targets(args.targets, k_sd=args.k_sd)
    return Plan(
        base=base,
        n_models=args.n_models,
        seed=args.seed,
        design=design,
        noise_sd=args.noise_sd,
        criteria=criteria,
        chunk_models=args.chunk_models,
        include_base=args.include_base,
        numerics=numerics,
    )


def _base(args: argparse.Namespace) -> HallOfFame:
    """The models to perturb: all but those that are held out."""
    from noble_prob.population.builtin import open_hof
    from noble_prob.population.latents import HELD_OUT_MODELS
    from noble_prob.population.numbering import number_in

    usual = () if args.hof == "builtin" else HELD_OUT_MODELS
    apart = usual if args.held_out is None else _apart(args.held_out)
    hof = open_hof(args.hof)
    unknown = sorted(set(() if args.held_out is None else apart) - set(hof.keys))
    require(not unknown, "held_out", f"numbers among {listed(hof.keys)}", listed(unknown), "hold out existing models")
    if not args.quiet and args.hof != "builtin" and any(number_in(model.label) is None for model in hof.models):
        numbers = ", ".join(f"{key} {model.label}" for key, model in zip(hof.keys, hof.models, strict=True))
        print(f"noble-prob populate: models are numbered by the order of their names: {numbers}", file=sys.stderr)
    return hof.without(apart)


def _apart(text: str) -> tuple[int, ...]:
    """Numbers of models that are kept apart; nothing, or the word none, for none."""
    from noble_prob.population.hof import parse_keys

    return () if text.strip().lower() in ("", "none") else parse_keys(text, "held_out")


def _design(args: argparse.Namespace) -> Design:
    """The currents asked for."""
    from noble_prob.population.standard import DESIGNS

    known, most = DESIGNS[args.design], 1000 * MOST_NA
    strongest = max(args.range_pa or known.range_pa, key=abs)
    require(
        abs(strongest) <= most,
        "range_pa",
        f"in pA, within -{most:g}..{most:g}",
        f"{strongest:g}",
        "give the lowest and highest current in pA",
    )
    return replace(
        known,
        n_random=args.n_random,
        total_ms=args.total_ms,
        near_share=args.near_share,
        range_pa=_two(args.range_pa, "range_pa", "-110,280") or known.range_pa,
        random_duration_ms=_two(args.random_duration_ms, "random_duration_ms", "100,2000"),
        random_duration_share=args.random_duration_share,
    )


def _two(given: Sequence[float] | None, name: str, example: str) -> tuple[float, float] | None:
    """Two increasing numbers, or None."""
    if not given:
        return None
    require(
        len(given) == 2 and given[0] < given[1], name, "lowest,highest", given, f"give two numbers such as {example}"
    )
    return given[0], given[1]


def main(argv: list[str] | None = None) -> int:
    """This verb alone, for a machine where only the simulator is installed: ``python -m noble_prob.cli.populate``."""
    from noble_prob.cli import main as program

    return program(["populate", *(sys.argv[1:] if argv is None else argv)])


if __name__ == "__main__":
    sys.exit(main())
