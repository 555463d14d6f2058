"""``noble-prob bench``: traces per second of the decoder's paths, and of a simulator, on this machine."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from noble_prob.bench import bench_decoder, bench_gradients, bench_simulator, describe_machine


def add_parser(subparsers: Any) -> None:
    """Add the verb ``bench``."""
    parser = subparsers.add_parser("bench", help="time the decoder on this machine")
    add_options(parser)
    parser.set_defaults(run=run)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this verb."""
    parser.add_argument("--json", type=Path, default=None, help="file to write the rows to")
    parser.add_argument("--cell", default="pvalb-689331391", help="shipped cell or checkpoint folder (pvalb-689331391)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (cpu)")
    parser.add_argument("--batches", default="1,8,64", help="traces per call (1,8,64)")
    parser.add_argument("--paths", default="fast,reference", help="fast, reference, triton (fast,reference)")
    parser.add_argument("--repeats", type=int, default=5, help="calls per row (5)")
    parser.add_argument("--simulator-cores", default="", help="also time Arbor on these numbers of processes, as 1,2")


def run(args: argparse.Namespace) -> int:
    """Time, print a table, write the JSON file."""
    batches, paths = [int(b) for b in args.batches.split(",")], args.paths.split(",")
    rows = bench_decoder(args.cell, batches=batches, paths=paths, device=args.device, repeats=args.repeats)
    gradients = bench_gradients(args.cell, device=args.device, repeats=args.repeats)
    simulator = bench_simulator(cores=[int(n) for n in args.simulator_cores.split(",")]) if args.simulator_cores else []
    machine = describe_machine(args.device)
    print(f"{machine['processor']}, {machine['threads']} threads, torch {machine['torch']}")
    print(f"{'path':<12}{'batch':>6}{'traces/s':>12}{'ms/trace':>12}{'ms/call':>12}{'error':>12}")
    for r in rows:
        each = 1000 / r["traces_per_s"]
        print(f"{r['path']:<12}{r['batch']:>6}{r['traces_per_s']:>12.1f}{each:>12.2f}{r['latency_ms']:>12.2f}"
              f"{r['rel_error']:>12.1e}")  # fmt: skip
    for g in gradients:
        print(f"gradient of {g['what']} ({g['path']}), batch {g['batch']}: {g['latency_ms']:.1f} ms")
    for s in simulator:
        print(f"{s['name']}, {s['cores']} process(es): {s['traces_per_s']:.2f} traces/s")
    if args.json is not None:
        report = {"machine": machine, "device": args.device, "results": rows, "gradients": gradients,
                  "simulator": simulator}  # fmt: skip
        args.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0
