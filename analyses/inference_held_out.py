"""Posteriors of held-out biophysical models, with noise, cover their measured latents at about the stated rate.

Ten published models that no training, prior or choice has seen are simulated under steps with a background current
(Ornstein-Uhlenbeck, 3 ms), several repeats each. Every posterior is made from six sweeps of one repeat, one of them
hyperpolarising. The truth of a latent is the one measured on the model's own noiseless responses to the standard
protocol, at the same numerics and sampling. The decoder only approximates these models and the program only
approximates the noise: this is the honest test, which simulation-based calibration on the program's own draws
(``inference_sbc.py``) can not be. Posteriors of one model share the decoder's error about it, so the uncertainty of
every figure is taken over models.

Ten models leave that uncertainty at five to ten per cent. With ``--folds`` the fifty training models take their place,
each under a prior fitted without its fold: the decoder knows them, the prior does not.

Run: ``python analyses/inference_held_out.py --hof DIR --repeats 4 --sets 3 --method npe --jobs 2 --folder out/held``,
``python analyses/inference_held_out.py --hof DIR --folds 5 --models 50 --repeats 1 --sets 2 --method importance
--jobs 2 --folder out/folds``. Simulations and posteriors are kept in the folder; killed, it continues.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import noble_prob as nb
from noble_prob.calibration.batches import thinned_draws
from noble_prob.calibration.sbc import judge_ranks
from noble_prob.inference import observe
from noble_prob.inference.task import Task
from noble_prob.noise import Design, Evidence, NoisePrior
from noble_prob.population.hof import HallOfFame, import_hof
from noble_prob.population.stimuli import OUNoise
from noble_prob.population.trace import Numerics
from noble_prob.recording import Protocol

CURRENTS = (-110, -90, -70, -50, -30, 10, 20, 30, 40, 50, 60, 80, 100, 120, 140, 160, 180, 200, 220, 250, 275)


def simulated(args: argparse.Namespace, cell: nb.Cell, model: int, hof: HallOfFame) -> list[Evidence]:
    """What the likelihood sees of every repeat of one model; simulated once, then read."""
    name = f"model_{model:02d}_sd{args.noise_sd_na:g}_n{args.repeats}_seed{args.seed}_dt{args.dt_ms:g}.npz"
    path = args.folder / name
    if not path.is_file():
        w = cell.decoder.window
        protocol = Protocol.step_family(
            currents(cell),
            onset_ms=w.onset_ms,
            duration_ms=w.duration_ms,
            total_ms=w.n_samples * w.dt_ms,
            dt_ms=w.dt_ms,
        )
        noise = OUNoise(sd_pa=1000 * args.noise_sd_na, seed=1000 * args.seed + model) if args.noise_sd_na else None
        answer = nb.simulate(
            hof.select([model]).models[0],
            protocol,
            numerics=Numerics(dt_ms=args.dt_ms),
            noise=noise,
            trials=args.repeats,
            jobs=args.jobs,
        )
        seen = observe(answer, cell.decoder).evidence
        draft = path.with_suffix(".part.npz")
        np.savez(
            draft,
            times=seen.times_ms.numpy(),
            summary=seen.summary.numpy(),
            current=seen.design.current_pa.numpy(),
            end=seen.design.end_ms.numpy(),
        )
        draft.rename(path)
    with np.load(path) as data:
        t = {name: torch.from_numpy(data[name]).unflatten(0, (args.repeats, -1)) for name in data}
    names = cell.decoder.summary_names
    return [
        Evidence(
            design=Design(current_pa=t["current"][r], end_ms=t["end"][r], summary_names=names),
            times_ms=t["times"][r],
            summary=t["summary"][r],
        )
        for r in range(args.repeats)
    ]


def currents(cell: nb.Cell) -> list[float]:
    """Those of the protocol that the decoder knows."""
    return [float(c) for c in CURRENTS if cell.decoder.window.admits(c)]


def sweep_set(cell: nb.Cell, rng: np.random.Generator) -> torch.Tensor:
    """One hyperpolarising and five depolarising sweeps."""
    current = np.array(currents(cell))
    low = rng.choice(np.flatnonzero(current < -40), 1)
    return torch.from_numpy(np.concatenate([low, np.sort(rng.choice(np.flatnonzero(current > 0), 5, replace=False))]))


def groups(cell: nb.Cell, folds: int, most: int) -> list[tuple[nb.Neurons, nb.Prior]]:
    """Models and a prior that does not know them: held-out ones and the cell's, or folds of the training models."""
    if not folds:
        return [(some(cell.held_out, list(range(len(cell.held_out)))[:most]), cell.prior)]
    order = np.random.default_rng(5).permutation(len(cell.models)).tolist()
    out = [order[k::folds] for k in range(folds)]
    kept = [[k for k in order if k not in fold] for fold in out]
    share = -(-most // folds)
    return [(some(cell.models, a[:share]), nb.fit_prior(some(cell.models, b))) for a, b in zip(out, kept, strict=True)]


def some(neurons: nb.Neurons, which: list[int]) -> nb.Neurons:
    """Some of the neurons."""
    labels = [neurons.labels[k] for k in which]
    return replace(neurons, value=neurons.value[which], weight=None, labels=labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hof", type=Path, required=True)
    parser.add_argument("--cell", default="pvalb-689331391")
    parser.add_argument("--models", type=int, default=10, help="how many models, the first of the cell's list")
    parser.add_argument("--folds", type=int, default=0, help="training models under priors fitted without their fold")
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--sets", type=int, default=3)
    parser.add_argument("--noise-sd-na", type=float, default=0.005)
    parser.add_argument("--dt-ms", type=float, default=0.02, help="time step; the truths were simulated with 0.02 ms")
    parser.add_argument("--method", choices=("hmc", "importance", "npe"), default="hmc")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.folds and args.method == "npe":
        parser.error("--folds infers under other priors than the estimator knows: use importance or hmc")
    args.folder.mkdir(parents=True, exist_ok=True)
    cell, began = nb.load_cell(args.cell), time.perf_counter()
    hof, rng = import_hof(args.hof), np.random.default_rng(args.seed)
    noise = NoisePrior() if args.noise_sd_na else NoisePrior.simulated()
    truth, draws, owner = [], [], []
    for k, (models, prior) in enumerate(groups(cell, args.folds, args.models)):
        evidence = []
        for label, value in zip(models.labels, models.value, strict=True):
            for repeat in simulated(args, cell, int(label), hof):
                evidence += [repeat.take(sweep_set(cell, rng)) for _ in range(args.sets)]
            truth += [cell.decoder.space.standardise(value)] * args.repeats * args.sets
            owner += [int(label)] * args.repeats * args.sets
        print(f"{len(evidence)} recordings after {time.perf_counter() - began:.0f} s")
        task = Task(
            decoder=cell.decoder,
            prior=prior,
            noise=noise,
            robust=True,
            method=args.method,
            chains=4,
            warmup=200,
            draws=250,
            estimator=cell.estimator,
        )
        draws.append(
            thinned_draws(
                task,
                evidence,
                seed=args.seed,
                batch=8,
                keep=250,
                jobs=args.jobs,
                title="infer",
                folder=args.folder / f"draws-{args.method}-{k}",
            )
        )
    report = table(cell, torch.stack(truth).numpy(), np.concatenate(draws), np.array(owner))
    print(f"{len(truth)} posteriors in {time.perf_counter() - began:.0f} s")
    if args.json:
        args.json.write_text(json.dumps({"n": len(truth), "latents": report}, indent=1) + "\n")


def table(cell: nb.Cell, truth: np.ndarray, draws: np.ndarray, owner: np.ndarray) -> dict[str, dict[str, float]]:
    """Coverage of every latent, with the standard error over models, and how far truths lie from means."""
    result = judge_ranks(cell.decoder.space.names, truth, draws)
    z = (truth - draws.mean(1)) / draws.std(1)
    shrink = 1 - draws.std(1).mean(0) / cell.prior.moments[1].diagonal().sqrt().numpy()
    inside = np.abs(result.u - 0.5) < 0.445
    share = np.stack([inside[:, owner == model].mean(1) for model in np.unique(owner)])
    fifty, ninety = result.coverage(0.5), result.coverage(0.89)
    print(f"{'latent':24s}   50 %   89 %   +-  rms z  bias z shrinkage")
    report = {}
    for k, name in enumerate(result.names):
        error, rms = share[:, k].std(ddof=1) / len(share) ** 0.5, np.sqrt((z[:, k] ** 2).mean())
        report[name] = {
            "coverage_50": fifty[name],
            "coverage_89": ninety[name],
            "standard_error": float(error),
            "rms_z": float(rms),
            "mean_z": float(z[:, k].mean()),
            "shrinkage": float(shrink[k]),
        }
        print(
            f"{name:24s} {100 * fifty[name]:5.0f}% {100 * ninety[name]:5.0f}% {100 * error:4.0f} {rms:6.2f} "
            f"{z[:, k].mean():7.2f} {100 * shrink[k]:8.0f}%"
        )
    return report


if __name__ == "__main__":
    main()
