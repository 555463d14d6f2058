"""Traces per second of the decoder's paths, and of a simulator, on this machine.

  noble-prob bench --cell pvalb-689331391 --json speed.json

times the shipped decoder at several batch sizes on every path, states its error against float64, the latency of
gradients, and, with --simulator-cores 1,2, Arbor on the same machine.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from typing import Any

from noble_prob.cli.options import positive
from noble_prob.cli.output import new_file, write_json

JSON_FILE = True


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this verb."""
    parser.add_argument("--cell", default="pvalb-689331391", help="shipped cell or checkpoint folder (pvalb-689331391)")
    parser.add_argument("--batches", type=counts, default=[1, 8, 64], help="traces per call (1,8,64)")
    parser.add_argument("--paths", default="fast,reference", help="fast, reference, triton (fast,reference)")
    parser.add_argument("--repeats", type=positive, default=5, help="calls per row (5)")
    parser.add_argument(
        "--simulator-cores", type=counts, default=None, help="also time Arbor on these numbers of processes, as 1,2"
    )


def counts(text: str) -> list[int]:
    """Whole numbers separated by commas."""
    return [positive(part) for part in text.split(",")]


def run(args: argparse.Namespace) -> int:
    """Time, print a table, write the JSON file."""
    from noble_prob.bench import bench_decoder, bench_gradients, bench_simulator, describe_machine
    from noble_prob.cells import require_device

    with ExitStack() as stack:
        draft = stack.enter_context(new_file(args.json)) if args.json else None
        require_device(args.device)
        rows = bench_decoder(args.cell, batches=args.batches, paths=args.paths.split(","), device=args.device,
                             repeats=args.repeats)  # fmt: skip
        gradients = bench_gradients(args.cell, device=args.device, repeats=args.repeats)
        simulator = bench_simulator(cores=args.simulator_cores) if args.simulator_cores else []
        report = {"machine": describe_machine(args.device), "device": args.device, "results": rows,
                  "gradients": gradients, "simulator": simulator}  # fmt: skip
        if draft:
            write_json(draft, report)
    _show(report)
    return 0


def _show(report: dict[str, Any]) -> None:
    """The figures as a table."""
    machine = report["machine"]
    print(f"{machine['processor']}, {machine['threads']} threads, torch {machine['torch']}")
    print(f"{'path':<12}{'batch':>6}{'traces/s':>12}{'ms/trace':>12}{'ms/call':>12}{'error':>12}")
    for r in report["results"]:
        times = f"{r['traces_per_s']:>12.1f}{1000 / r['traces_per_s']:>12.2f}{r['latency_ms']:>12.2f}"
        print(f"{r['path']:<12}{r['batch']:>6}{times}{r['rel_error']:>12.1e}")
    for g in report["gradients"]:
        print(f"gradient of {g['what']} ({g['path']}), batch {g['batch']}: {g['latency_ms']:.1f} ms")
    for s in report["simulator"]:
        print(f"{s['name']}, {s['cores']} process(es): {s['traces_per_s']:.2f} traces/s")
