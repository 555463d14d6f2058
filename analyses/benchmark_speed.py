"""What a voltage trace costs through each path of the decoder, and through the simulator, in one run.

Claims: the fast path computes the same voltages as float64 (relative error below 1e-3) in a fraction of the time that
plain ``neuraloperator`` modules take; on an H100 beyond 30,000 traces/s, with the paper's architecture beyond ten times
its own eager throughput. Named for comparison: the NOBLE paper gives 10,000 traces in 8.59 s on an RTX 4090 and
36,200 s with a serial solver (arXiv 2506.04536); these two figures are theirs, not measured here.

    python analyses/benchmark_speed.py                                       # a laptop
    python analyses/benchmark_speed.py --device cuda --batches 1,16,64,256,1024 --training 64,256 --ensemble 1000000 \
        --simulator-cores 1,16 --json speed.json                             # a GPU
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import torch

from noble_prob.bench import benchmark

PAPER_GPU, PAPER_SOLVER = 10_000 / 8.59, 10_000 / 36_200
"""Traces per second of the NOBLE paper's decoder and of its serial solver."""


def table(report: dict[str, Any]) -> None:
    """Markdown, with the ratios that the claims are about."""
    eager = {(r["decoder"], r["batch"]): r["traces_per_s"] for r in report["results"] if r["path"] == "reference"}
    print("| decoder | path | arithmetic | batch | traces/s | ms per call | error | times eager | MB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for r in report["results"]:
        ratio = r["traces_per_s"] / eager.get((r["decoder"], r["batch"]), float("nan"))
        memory = "" if r["peak_memory_mb"] is None else f"{r['peak_memory_mb']:.0f}"
        print(
            f"| {r['decoder']} | {r['path']} | {r['dtype']} | {r['batch']} | {r['traces_per_s']:,.0f} "
            f"| {r['latency_ms']:.2f} | {r['rel_error']:.0e} | {ratio:.1f} | {memory} |"
        )
    best = max(r["traces_per_s"] for r in report["results"] if r["decoder"] == "shipped" and r["rel_error"] < 1e-3)
    for s in report["simulator"]:
        print(
            f"Arbor, {s['cores']} process(es): {s['traces_per_s']:.2f} traces/s; the decoder is "
            f"{best / s['traces_per_s']:,.0f} times faster"
        )
    print(
        f"the paper's figures: decoder {PAPER_GPU:,.0f} traces/s ({best / PAPER_GPU:.1f} times less than here), "
        f"serial solver {PAPER_SOLVER:.3f} traces/s ({best / PAPER_SOLVER:,.0f} times less)"
    )
    for x in report["limits"]:
        fastest = max(
            (r["traces_per_s"] for r in report["results"] if r["decoder"] == x["decoder"] and r["path"] == "fast"),
            default=float("nan"),
        )
        print(
            f"{x['decoder']}: {fastest / x['traces_per_s_by_bytes']:.0%} of {x['traces_per_s_by_bytes']:,.0f} "
            f"traces/s ({x['bytes_per_trace'] / 1e6:.1f} MB at {x['bandwidth_gb_s']:,.0f} GB/s), "
            f"{fastest / x['traces_per_s_by_flop']:.1%} of {x['traces_per_s_by_flop']:,.0f} traces/s "
            f"({x['flop_per_trace'] / 1e9:.2f} GFLOP at {x['matrix_tflop_s']:.1f} TFLOP/s)"
        )
    for row in report["gradients"] + report["training"] + report["ensemble"]:
        print({k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()})


def numbers(text: str) -> list[int]:
    return [int(b) for b in text.split(",")] if text else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cell", default="pvalb-689331391")
    parser.add_argument("--batches", type=numbers, default=[1, 64])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--training", type=numbers, default=[])
    parser.add_argument("--ensemble", type=int, default=None)
    parser.add_argument("--simulator-cores", type=numbers, default=[])
    parser.add_argument("--hof", default="builtin", help="models that the simulator takes the first of")
    parser.add_argument("--json", type=Path, default=None)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    report = benchmark(
        args.cell,
        batches=args.batches,
        device=args.device,
        repeats=args.repeats,
        training=args.training,
        ensemble=args.ensemble,
        simulator_cores=args.simulator_cores,
        hof=args.hof,
    )
    print(report["machine"])
    table(report)
    if args.json is not None:
        args.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
