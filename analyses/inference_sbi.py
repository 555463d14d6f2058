"""Neural posterior estimation by the package sbi beside ours, with the same simulations, on the same problem.

Both see ``--n`` recordings drawn from the program of a shipped cell. sbi's NPE trains a neural spline flow for one
fixed set of six steps on the rows of numbers that our network sees. Ours trains one network for any set of steps, and
its draws start importance sampling through the exact density. Test recordings are drawn from the program, so both
should cover truths at the stated rates; narrower intervals at the right rate are better.

Needs sbi: ``pip install sbi`` (0.27 was used). Run:
``python analyses/inference_sbi.py --n 20000 --test 200 --json out.json``
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import noble_prob as nb
from noble_prob.amortised import Estimator
from noble_prob.amortised.tokens import tokens
from noble_prob.calibration.batches import thinned_draws
from noble_prob.calibration.sbc import judge_ranks, recordings_from_program
from noble_prob.inference import train_estimator
from noble_prob.inference.amortise import USUAL
from noble_prob.inference.observe import stack
from noble_prob.inference.task import Task
from noble_prob.noise import Evidence, NoisePrior

KEEP = 200


def rows(evidences: list[Evidence], estimator: Estimator) -> torch.Tensor:
    """All numbers of a recording in one row."""
    scales = estimator.tensors["feature_centre"], estimator.tensors["feature_scale"]
    parts = [tokens(stack(evidences[at : at + 500]), *scales)[0].flatten(1) for at in range(0, len(evidences), 500)]
    return torch.cat(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cell", default="pvalb-689331391")
    parser.add_argument("--n", type=int, default=20_000)
    parser.add_argument("--steps", type=int, default=USUAL.steps, help="steps of training of ours")
    parser.add_argument("--test", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    cell, noise = nb.load_cell(args.cell), NoisePrior()
    design = cell.steps()

    def drawn(n: int, seed: int) -> tuple[torch.Tensor, list[Evidence]]:
        return recordings_from_program(cell.decoder, cell.prior, design, n, noise=noise, robust=True, seed=seed)

    truth, test = drawn(args.test, args.seed + 1)
    began = time.perf_counter()
    estimator = train_estimator(
        cell.decoder, cell.prior, n=args.n, seed=args.seed, progress=True, schedule=replace(USUAL, steps=args.steps)
    )
    trained = time.perf_counter() - began
    task = Task(
        decoder=cell.decoder,
        prior=cell.prior,
        noise=noise,
        robust=True,
        method="npe",
        chains=2,
        warmup=100,
        draws=250,
        estimator=estimator,
    )
    began = time.perf_counter()
    ours = thinned_draws(task, test, seed=args.seed, batch=20, keep=KEEP, jobs=args.jobs, title="ours")
    each = (time.perf_counter() - began) / args.test
    began = time.perf_counter()
    plain = np.stack([raw_draws(estimator, e, len(cell.prior.space)) for e in test])
    alone = (time.perf_counter() - began) / args.test
    print("ours, weighted; ours, the flow alone; sbi NPE:")
    report = {
        "ours, weighted": figures(cell, truth, ours, trained, each),
        "ours, the flow alone": figures(cell, truth, plain, trained, alone),
    }
    began = time.perf_counter()
    theta, evidence = drawn(args.n, args.seed + 2)
    from sbi.inference import NPE  # so that --help does without it

    engine = NPE(density_estimator="nsf")
    with torch.random.fork_rng():
        torch.manual_seed(args.seed)
        density = engine.append_simulations(theta.float(), rows(evidence, estimator)).train()
        trained = time.perf_counter() - began
        began = time.perf_counter()
        with torch.no_grad():
            draws = density.sample((KEEP,), condition=rows(test, estimator)).transpose(0, 1).numpy()
    report["sbi NPE"] = figures(cell, truth, draws, trained, (time.perf_counter() - began) / args.test)
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")


def raw_draws(estimator: Estimator, evidence: Evidence, latents: int) -> np.ndarray:
    """Draws of the flow before any weighting (latents come first)."""
    return estimator.given(evidence).sample(KEEP, seed=0)[:, :latents].numpy()


def figures(cell: nb.Cell, truth: torch.Tensor, draws: np.ndarray, trained: float, each: float) -> dict[str, float]:
    """Coverage over latents, ranks, sharpness and time; printed as a row."""
    result = judge_ranks(cell.prior.space.names, truth.numpy(), draws.astype(np.float64))
    fifty, ninety = list(result.coverage(0.5).values()), list(result.coverage(0.89).values())
    inside = sum(result.inside_band().values())
    width = float(np.exp(np.log(draws.std(1)).mean()))
    row = {
        "train_s": trained,
        "each_s": each,
        "coverage_50": [min(fifty), max(fifty)],
        "latents_in_band": inside,
        "coverage_89": [min(ninety), max(ninety)],
        "sd": width,
    }
    print(
        f"train {trained:6.0f} s, each {each:6.3f} s, 50 %: {100 * min(fifty):.0f}..{100 * max(fifty):.0f}, "
        f"89 %: {100 * min(ninety):.0f}..{100 * max(ninety):.0f}, {inside} of {len(fifty)} latents in the band, "
        f"geometric mean SD {width:.3f} of the population's"
    )
    return row


if __name__ == "__main__":
    main()
