"""Simulation-based calibration: does the posterior know what it does not know?

Draws neurons from the prior and recordings from the program, infers each, and asks where the true latents fall among
the posterior's draws. Right if uniformly: then 50 % and 89 % intervals hold 50 % and 89 % of the truths.

  noble-prob sbc --cell pvalb-689331391 --n 500 --seed 1 --json sbc.json

The file holds, per latent, coverage_50, coverage_89 and rank_ecdf_inside_band (99 %, Bonferroni over latents), and
joint_p_value of a joint test. Finished batches wait in OUT.parts until all are done: stopped or killed, the same
command continues (without --json nothing is kept). --jobs N uses N processes, --device cuda a GPU.
"""

from __future__ import annotations

import argparse
import shutil
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from noble_prob.cli.options import add_cell, enough, load_cell, numbers, positive, seed, several
from noble_prob.cli.output import new_file, show, write_json

if TYPE_CHECKING:
    from noble_prob.cells import Cell
    from noble_prob.inference.task import Task

JSON_FILE = True


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this verb."""
    add_cell(parser)
    parser.add_argument("--n", type=several, default=100, help="recordings (100)")
    parser.add_argument("--seed", type=seed, default=0, help="seed of everything (0)")
    parser.add_argument(
        "--currents-pa",
        type=numbers,
        default=None,
        metavar="LIST",
        help="steps of every recording, comma separated (six over the decoder's range)",
    )
    parser.add_argument("--chains", type=positive, default=2, help="chains per recording (2)")
    parser.add_argument("--draws", type=enough, default=200, help="draws per chain (200)")
    parser.add_argument("--method", choices=("hmc", "importance", "npe"), default="hmc", help="how to infer (hmc)")
    parser.add_argument(
        "--gaussian", action="store_true", help="features with a Gaussian likelihood (Student's t, as `infer` takes)"
    )
    parser.add_argument("--batch", type=positive, default=50, help="recordings inferred side by side (50)")
    parser.add_argument("--jobs", type=positive, default=1, help="processes (1)")


def run(args: argparse.Namespace) -> int:
    """Simulate, infer, rank, write."""
    from noble_prob.calibration.sbc import sbc
    from noble_prob.jobs.place import locked

    parts = args.json.parent / f"{args.json.name}.parts" if args.json else None
    with locked(parts, "json") if parts else nullcontext():
        with new_file(args.json, "json") if args.json else nullcontext() as draft:
            cell = load_cell(args)
            result = sbc(
                _task(args, cell),
                cell.steps(args.currents_pa),
                args.n,
                seed=args.seed,
                batch=args.batch,
                jobs=args.jobs,
                folder=parts,
            ).to_dict()
            if draft:
                write_json(draft, {"cell": cell.name, **result})
        if parts:
            shutil.rmtree(parts)
    show(args, _table(result))
    return 0


def _task(args: argparse.Namespace, cell: Cell) -> Task:
    """How each recording is inferred."""
    from noble_prob.inference.task import Task

    return Task(
        decoder=cell.decoder,
        prior=cell.prior,
        robust=not args.gaussian,
        method=args.method,
        chains=args.chains,
        draws=args.draws,
        estimator=cell.estimator,
        device=args.device,
        progress=not args.quiet,
    )


def _table(result: dict[str, Any]) -> str:
    """The figures of every latent."""
    lines = [f"{'latent':<22}{'50 % holds':>12}{'89 % holds':>12}{'ranks uniform':>15}"]
    for name, inside in result["rank_ecdf_inside_band"].items():
        fifty, ninety = 100 * result["coverage_50"][name], 100 * result["coverage_89"][name]
        lines.append(f"{name:<22}{fifty:>10.1f} %{ninety:>10.1f} %{'yes' if inside else 'NO':>15}")
    return "\n".join([*lines, f"{result['n']} recordings, joint p value {result['joint_p_value']:.3f}"])
