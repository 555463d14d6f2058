"""What a voltage trace costs through each path of the decoder, and through the simulator, in one run.

Claim: the fast path computes the same voltages as plain ``neuraloperator`` modules (relative error below 1e-3) in a
fraction of the time, and a decoder on one core answers orders of magnitude faster than the simulator it learned from.

    python analyses/benchmark_speed.py [--batches 1,8] [--device cpu] [--threads 2] [--plot speed.png]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from noble_prob.bench import bench_decoder, bench_simulator, describe_machine


def plot(rows: list[dict[str, float]], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 3.5), layout="constrained")
    for name in sorted({str(r["path"]) for r in rows}):
        mine = [r for r in rows if r["path"] == name]
        axes.loglog([r["batch"] for r in mine], [r["traces_per_s"] for r in mine], "o-", label=name)
    axes.set(xlabel="traces per call", ylabel="traces per second")
    axes.legend()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--plot", type=Path, default=None)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    batches = [int(b) for b in args.batches.split(",")]
    rows = bench_decoder("pvalb-689331391", batches=batches, device=args.device)
    simulator = bench_simulator()[0]["traces_per_s"]
    print(describe_machine(args.device))
    print("| path | batch | traces/s | ms per trace | error | times Arbor on one core |")
    print("| --- | --- | --- | --- | --- | --- |")
    for r in rows:
        speed = r["traces_per_s"]
        print(f"| {r['path']} | {r['batch']} | {speed:.1f} | {1000 / speed:.1f} | {r['rel_error']:.0e} "
              f"| {speed / simulator:.0f} |")  # fmt: skip
    print(f"Arbor, one core: {simulator:.2f} traces/s")
    if args.plot is not None:
        plot(rows, args.plot)


if __name__ == "__main__":
    main()
