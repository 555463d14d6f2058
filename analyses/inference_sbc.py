"""The sampler recovers what the program draws: simulation-based calibration with a shipped decoder, and its power.

Latents are drawn from the cell's prior, noise scales from theirs, recordings of six steps from the program; every
posterior ranks its truth. Passed: each latent's rank ECDF inside the 99 % simultaneous band (Bonferroni over
latents), 50 % intervals holding 50 +- 5 % and 89 % intervals 89 +- 3 % of the truths. The same experiment must call
posteriors of half the SD and posteriors shifted by half an SD wrong. It says nothing about whether the decoder is
right about neurons: that is ``inference_held_out.py``.

Run: ``python analyses/inference_sbc.py --n 500 --method npe --jobs 2 --json out.json``; killed, it continues.
"""

import argparse
import json
import shutil
import time
from pathlib import Path

import torch

import noble_prob as nb
from noble_prob.calibration.sbc import sbc
from noble_prob.inference.task import Task
from noble_prob.noise import Design


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cell", default="pvalb-689331391")
    parser.add_argument("--n", type=int, default=500)
    parser.add_argument("--currents-pa", type=float, nargs="+", default=[-110.0, 40.0, 80.0, 130.0, 180.0, 240.0])
    parser.add_argument("--method", choices=("hmc", "importance", "npe"), default="hmc")
    parser.add_argument("--gaussian", action="store_true", help="in place of Student's t, the default of infer")
    parser.add_argument("--batch", type=int, default=25)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    cell = nb.load_cell(args.cell, device=args.device)
    began = time.perf_counter()
    current = torch.tensor(args.currents_pa, dtype=torch.float64)
    design = Design(
        current_pa=current,
        end_ms=torch.full_like(current, cell.decoder.window.duration_ms),
        summary_names=cell.decoder.summary_names,
    )
    parts = args.json.with_name(args.json.name + ".parts") if args.json else None
    task = Task(
        decoder=cell.decoder,
        prior=cell.prior,
        robust=not args.gaussian,
        method=args.method,
        estimator=cell.estimator,
        device=args.device,
        progress=True,
    )
    result = sbc(task, design, args.n, seed=args.seed, batch=args.batch, jobs=args.jobs, folder=parts)
    report = result.to_dict()
    print(f"{'latent':24s} {'cover 50 %':>10s} {'cover 89 %':>10s} {'in band':>8s}")
    for name in result.names:
        inside = "yes" if report["rank_ecdf_inside_band"][name] else "NO"
        shares = [100 * report[key][name] for key in ("coverage_50", "coverage_89")]
        print(f"{name:24s} {shares[0]:10.1f} {shares[1]:10.1f} {inside:>8s}")
    print(f"joint p = {report['joint_p_value']:.3f} {report['joint']}")
    for change in ({"scale": 0.5}, {"scale": 2.0}, {"shift": 0.5}):
        wrong = result.distorted(**change)
        caught = sum(not inside for inside in wrong.inside_band().values())
        p = wrong.to_dict()["joint_p_value"]
        print(f"{change}: {caught} of {len(result.names)} latents caught, joint p = {p:.1e}")
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")
        shutil.rmtree(parts)
    print(f"{args.n} recordings by {args.method} in {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
