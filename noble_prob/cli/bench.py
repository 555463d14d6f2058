"""Traces per second of the decoder's paths, and of what they are compared with, on this machine.

  noble-prob bench --cell pvalb-689331391 --json speed.json
  noble-prob bench --device cuda --batches 1,64,1024 --ensemble 1000000 --simulator-cores 1,16 --json speed.json

times the shipped decoder and the paper's architecture at several batch sizes along their paths, with their error
against float64, gradients, the machine's limits, and, where asked for, training steps, a whole ensemble and the
simulator.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from typing import Any

from noble_prob.cli.given import refuse
from noble_prob.cli.options import add_cell, positive
from noble_prob.cli.output import new_file, show, write_json

JSON_FILE = True
PATHS = ("fast", "products", "reference")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this verb."""
    add_cell(parser, prior=False, toy=False)
    parser.add_argument("--batches", type=counts, default=[1, 8, 64], help="traces per call (1,8,64)")
    parser.add_argument(
        "--paths", type=paths, default=["fast", "reference"], help="fast, products, reference (fast,reference)"
    )
    parser.add_argument("--repeats", type=positive, default=5, help="calls per row (5)")
    parser.add_argument("--no-paper", action="store_true", help="leave out the paper's architecture")
    parser.add_argument("--training", type=counts, default=None, help="also time training steps of so many traces")
    parser.add_argument("--ensemble", type=positive, default=None, help="also draw, render and measure so many neurons")
    parser.add_argument(
        "--simulator-cores", type=counts, default=None, help="also time Arbor on these numbers of processes, as 1,2"
    )
    parser.add_argument(
        "--hof", default="builtin", metavar="DIR", help="models that Arbor takes the first of (builtin)"
    )


def counts(text: str) -> list[int]:
    """Whole numbers separated by commas."""
    return [positive(part) for part in text.split(",")]


def paths(text: str) -> list[str]:
    """Paths of the decoder, separated by commas."""
    found = [part.strip() for part in text.split(",")]
    if not set(found) <= set(PATHS):
        raise argparse.ArgumentTypeError(f"should be among {', '.join(PATHS)}, separated by commas; found {text!r}")
    return found


def run(args: argparse.Namespace) -> int:
    """Time, print a table, write the JSON file."""
    from noble_prob.bench import benchmark
    from noble_prob.decoder.device import require_device

    if not args.simulator_cores:
        refuse(args, ["--hof"], "its models are those that Arbor simulates", "add --simulator-cores 1")
    with ExitStack() as stack:
        draft = stack.enter_context(new_file(args.json, "json")) if args.json else None
        require_device(args.device)
        report = benchmark(
            args.cell,
            batches=args.batches,
            paths=args.paths,
            device=args.device,
            repeats=args.repeats,
            paper=not args.no_paper,
            training=args.training or (),
            ensemble=args.ensemble,
            simulator_cores=args.simulator_cores or (),
            hof=args.hof,
        )
        if draft:
            write_json(draft, report)
    show(args, _table(report))
    return 0


def _table(report: dict[str, Any]) -> str:
    """The figures as a table."""
    machine = report["machine"]
    name = machine.get("accelerator", machine["processor"])
    lines = [
        f"{name}, {machine['threads']} threads, torch {machine['torch']}",
        f"{'decoder':<9}{'path':<11}{'type':<9}{'batch':>6}{'traces/s':>12}{'ms/trace':>10}{'ms/call':>10}"
        f"{'error':>10}{'MB':>8}",
    ]
    for r in report["results"]:
        times = f"{r['traces_per_s']:>12.1f}{1000 / r['traces_per_s']:>10.3f}{r['latency_ms']:>10.2f}"
        memory = "" if r["peak_memory_mb"] is None else f"{r['peak_memory_mb']:>8.0f}"
        lines.append(
            f"{r['decoder']:<9}{r['path']:<11}{r['dtype']:<9}{r['batch']:>6}{times}{r['rel_error']:>10.1e}{memory}"
        )
    return "\n".join([*lines, *_further(report)])


def _further(report: dict[str, Any]) -> list[str]:
    """Lines about what is no row of the table."""
    lines = []
    for g in report["gradients"]:
        lines.append(
            f"gradient of {g['what']} ({g['path']}), batch {g['batch']}: {g['latency_ms']:.2f} ms, "
            f"error {g['rel_error']:.0e}"
        )
    for t in report["training"]:
        how = f"{t['path']}{', recorded' if t['graph'] else ''}, {t['dtype']}"
        lines.append(f"training step ({how}), batch {t['batch']}: {t['traces_per_s']:.0f} traces/s")
    for e in report["ensemble"]:
        memory = "" if e["peak_memory_mb"] is None else f", at most {e['peak_memory_mb']:.0f} MB of the device"
        lines.append(
            f"{e['traces']} neurons drawn, rendered, {e['features']} features measured: {e['seconds']:.1f} s{memory}"
        )
    for x in report["limits"]:
        lines.append(
            f"limits of {x['decoder']}: {x['traces_per_s_by_bytes']:.0f} traces/s by {x['bandwidth_gb_s']:.0f} GB/s, "
            f"{x['traces_per_s_by_flop']:.0f} by {x['matrix_tflop_s']:.2f} TFLOP/s"
        )
    for s in report["simulator"]:
        lines.append(f"{s['name']}, {s['cores']} process(es): {s['traces_per_s']:.2f} traces/s")
    return lines
