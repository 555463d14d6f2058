"""Posteriors of held-out biophysical models cover their measured latents at about the stated rate.

Ten published models that no training, prior or choice has seen are simulated at 24 currents (the folder of reference
traces). Posteriors are made from random sets of six of these sweeps: one hyperpolarising, five depolarising. The
truth of every latent is the one measured on the model's own noiseless responses to the standard protocol. The decoder
only approximates these responses: this is the honest test of its error model, which simulation-based calibration on
the program's own draws (``noble_prob.calibration.sbc``) can not be.

Run: ``python analyses/inference_held_out.py --reference ../shared/reference/pvalb-689331391 --sets 4 --json out.json``
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

import noble_prob as nb
from noble_prob.calibration.sbc import judge_ranks
from noble_prob.inference import observe
from noble_prob.inference.batch import Task, draw_latents
from noble_prob.noise import NoisePrior
from noble_prob.recording import Protocol, Recording, Step


def reference(folder: Path, model: int) -> Recording:
    """The reference sweeps of one model (float32 millivolt; the step begins 15 ms after the first sample)."""
    with np.load(folder / f"s{model // 20 + 1}_h{model % 20}.npz") as data:
        voltage = torch.tensor(data["V"].astype(np.float32) * float(data["scale"]))
        amplitudes = data["amps"] * 1000.0
    time = torch.arange(voltage.shape[1], dtype=torch.float64) * 0.02
    steps = tuple(Step(onset_ms=15.0, duration_ms=400.0, amplitude_pa=float(a)) for a in amplitudes)
    on = (time >= 15.0) & (time < 415.0)
    protocol = Protocol(time_ms=time, current_pa=torch.tensor(amplitudes)[:, None] * on, steps=steps)
    return Recording(protocol=protocol, voltage_mv=voltage)


def sweep_set(recording: Recording, rng: np.random.Generator) -> list[int]:
    """One hyperpolarising and five depolarising sweeps."""
    current = recording.protocol.amplitudes_pa.numpy()
    low = rng.choice(np.flatnonzero(current < -40), 1)
    return [*low.tolist(), *np.sort(rng.choice(np.flatnonzero(current >= 10), 5, replace=False)).tolist()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument("--cell", default="pvalb-689331391")
    parser.add_argument("--sets", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--simulated", action="store_true", help="switch trial noise off, as for noiseless simulations")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    cell = nb.load_cell(args.cell)
    rng = np.random.default_rng(args.seed)
    noise = NoisePrior.simulated() if args.simulated else NoisePrior()
    evidence, truth = [], []
    for label, value in zip(cell.held_out.labels, cell.held_out.value, strict=True):
        recording = reference(args.reference, int(label))
        for _ in range(args.sets):
            evidence.append(observe(recording.select(sweep_set(recording, rng)), cell.decoder).evidence)
            truth.append(cell.decoder.space.standardise(value))
    task = Task(decoder=cell.decoder, prior=cell.prior, noise=noise, robust=True, method="hmc", chains=4, warmup=200,
                draws=250)  # fmt: skip
    draws = draw_latents(task, evidence, seed=args.seed).flatten(1, 2)
    thin = draws[:, :: max(1, draws.shape[1] // 250)].numpy()
    true = torch.stack(truth).numpy()
    result = judge_ranks(cell.decoder.space.names, true, thin)
    z = (true - thin.mean(1)) / thin.std(1)
    shrink = 1 - thin.std(1).mean(0) / cell.prior.moments[1].diagonal().sqrt().numpy()
    cover50, cover89 = result.coverage(0.5), result.coverage(0.89)
    print(f"{len(true)} posteriors of {len(cell.held_out)} held-out models")
    print(f"{'latent':24s} {'cover 50 %':>10s} {'cover 89 %':>10s} {'rms z':>7s} {'median |z|':>10s} {'shrinkage':>9s}")
    for k, name in enumerate(result.names):
        spread = np.sqrt((z[:, k] ** 2).mean())
        print(f"{name:24s} {100 * cover50[name]:9.0f}% {100 * cover89[name]:9.0f}% {spread:7.2f} "
              f"{np.median(np.abs(z[:, k])):10.2f} {100 * shrink[k]:8.0f}%")  # fmt: skip
    if args.json:
        rows = {name: {"coverage_50": cover50[name], "coverage_89": cover89[name]} for name in result.names}
        args.json.write_text(json.dumps({"n": len(true), "latents": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
