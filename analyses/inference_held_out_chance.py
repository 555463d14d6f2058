"""How far the coverage of ten neurons strays from 89 % by chance, where every posterior is calibrated.

``inference_held_out.py`` asks for 89 % intervals that hold 80 to 97 % of the truths of every latent, over ten held-out
models. Here neurons of the cell's prior, recorded by the program itself, take the place of these models, ten after ten,
in the same experiment: as many repeats, the same sets of sweeps. The posteriors are right by construction
(``inference_sbc.py``): whatever leaves that range does so because ten neurons are few, and the posteriors of one neuron
share its place in the prior. The decoder's error is drawn anew in every repeat, where a model has one: the chance of
real models is, if anything, larger.

Run: ``python analyses/inference_held_out_chance.py --groups 24 --folder out/chance``; killed, it continues.
"""

import argparse
import json
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from inference_held_out import currents, sweep_set
from tqdm import tqdm

import noble_prob as nb
from noble_prob.calibration.batches import thinned_draws
from noble_prob.calibration.sbc import judge_ranks
from noble_prob.inference.predict import predict
from noble_prob.inference.task import Task
from noble_prob.noise import Design, Evidence, NoisePrior
from noble_prob.program import program

LOW, HIGH = 0.80, 0.97


def recorded(cell: nb.Cell, z: torch.Tensor, repeats: int, seed: int) -> list[Evidence]:
    """Repeats of the neuron with standardised latents ``z``, recorded by the program at all currents."""
    current = torch.tensor(currents(cell), dtype=torch.float64)
    design = Design(
        current_pa=current,
        end_ms=torch.full_like(current, cell.decoder.window.duration_ms),
        summary_names=cell.decoder.summary_names,
    )
    nothing = torch.full((len(design), len(design.summary_names)), torch.nan, dtype=torch.float64)
    blank = Evidence(design=design, times_ms=torch.full((len(design), 1), torch.inf).double(), summary=nothing)
    model = partial(program, cell.decoder, cell.prior, design, noise=NoisePrior(), robust=True)
    answers = predict(model, cell.prior, {"z": z.expand(1, repeats, -1)}, blank, n=repeats, seed=seed)
    return [
        Evidence(design=design, times_ms=t, summary=s) for t, s in zip(answers.times_ms, answers.summary, strict=True)
    ]


def experiment(cell: nb.Cell, args: argparse.Namespace) -> tuple[torch.Tensor, list[Evidence]]:
    """Truths and recordings of all groups, those of one neuron next to each other."""
    neurons, rng = (
        cell.prior.sample_standardised(args.groups * args.neurons, seed=args.seed),
        np.random.default_rng(args.seed),
    )
    each = args.repeats * args.sets
    evidence = [
        repeat.take(sweep_set(cell, rng))
        for k, z in enumerate(tqdm(neurons, desc="record"))
        for repeat in recorded(cell, z, args.repeats, args.seed + k)
        for _ in range(args.sets)
    ]
    return neurons.repeat_interleave(each, 0), evidence


def shares(names: tuple[str, ...], truth: np.ndarray, draws: np.ndarray, groups: int) -> np.ndarray:
    """Share of truths in their 89 % intervals, shape (group, latent)."""
    u = judge_ranks(names, truth, draws).u
    return np.stack([(np.abs(part - 0.5) < 0.445).mean(1) for part in np.split(u, groups, axis=1)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cell", default="pvalb-689331391")
    parser.add_argument("--groups", type=int, default=24, help="how often the experiment is made")
    parser.add_argument("--neurons", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--sets", type=int, default=3)
    parser.add_argument("--batch", type=int, default=40)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    began = time.perf_counter()
    truth, evidence = experiment(nb.load_cell(args.cell), args)
    cell = nb.load_cell(args.cell, device=args.device)
    prior = cell.prior.to(args.device)
    task = Task(
        decoder=cell.decoder, prior=prior, robust=True, method="npe", estimator=cell.estimator, device=args.device
    )
    draws = thinned_draws(
        task, evidence, seed=args.seed, batch=args.batch, jobs=args.jobs, folder=args.folder, title="infer"
    )
    held = shares(cell.decoder.space.names, truth.numpy(), draws, args.groups)
    inside = ((held >= LOW) & (held <= HIGH)).sum(1)
    print(f"{'latent':24s}    all  5th, 95th of groups  groups outside {100 * LOW:.0f} to {100 * HIGH:.0f} %")
    for k, name in enumerate(cell.decoder.space.names):
        low, high = np.quantile(held[:, k], [0.05, 0.95])
        outside = ((held[:, k] < LOW) | (held[:, k] > HIGH)).mean()
        print(f"{name:24s} {100 * held[:, k].mean():5.1f}% {100 * low:8.0f}% {100 * high:6.0f}% {100 * outside:14.0f}%")
    print(f"latents of {held.shape[1]} inside, per group: {sorted(inside.tolist())}, median {np.median(inside):g}")
    print(f"{len(truth)} posteriors in {time.perf_counter() - began:.0f} s")
    if args.json:
        args.json.write_text(json.dumps({"coverage_89": held.tolist(), "inside": inside.tolist()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
