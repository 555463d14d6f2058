r"""Claim: with a penalty on bending more latents teach timing, up to twenty-one; more models hardly do.

Trains the spike map alone (minutes on a GPU), for several numbers of training models, latent spaces and seeds, on data
sets of `noble-prob populate`, and looks at the published models that were held out: at their random currents, which are
no part of the standard protocol. Prints a table, writes the figures as JSON and a plot.

    python analyses/decoder_learning_curve.py --stores out/data/pvalb out/data/pvalb-held-out --cell pvalb-689331391 \
        --sizes 100,300,1000,3000 --spaces noble2,features10,features13,features16,features21 --seeds 3 \
        --device cuda --out OUT
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from noble_prob.decoder.architecture import Architecture
from noble_prob.population.latents import SPACES, STANDARD_CURRENTS_PA
from noble_prob.training.data import HELD_OUT, VALIDATION, TrainingData, concatenate, prepare
from noble_prob.training.decoder import new_decoder
from noble_prob.training.gather import with_fewer
from noble_prob.training.loop import fit
from noble_prob.training.schedule import Schedule
from noble_prob.training.sources import from_store
from noble_prob.training.tasks import SpikeMapTask, timing_figures
from noble_prob.training.traces import Traces

SPLITS = {"validation": ("o", "perturbed models, validation"), "held_out": ("s", "published models, held out")}
"""Marker and name of each split in the picture."""
FIGURES = ("spike_time_error_ms", "spike_count_error", "spiking_mismatch")


def runs(args: argparse.Namespace) -> Iterator[tuple[str, int, int]]:
    """(latent space, models, seed): all sizes in the last space, all spaces at the last size, more seeds there."""
    sizes = [int(n) for n in args.sizes.split(",")]
    spaces = args.spaces.split(",")
    yield from ((spaces[-1], n, 0) for n in sizes)
    yield from ((space, sizes[-1], 0) for space in spaces[:-1])
    yield from ((spaces[-1], sizes[-1], seed) for seed in range(1, args.seeds))


def unseen(decoder: Any, data: TrainingData, split: int, device: torch.device) -> dict[str, float]:
    """Timing figures of a split at currents that are no part of the standard protocol."""
    traces = Traces(data, split, decoder.space, device)
    known = torch.tensor(STANDARD_CURRENTS_PA, device=device)
    rows = torch.nonzero(((traces.current[:, None] - known).abs() > 0.25).all(1)).flatten()
    for name in ("x", "current", "spikes", "n"):
        setattr(traces, name, getattr(traces, name)[rows])
    with torch.no_grad():
        predicted = decoder.spike_map.mean_times(traces.x, traces.current)
    return timing_figures(predicted, traces, decoder.window.duration_ms)


def train_one(data: TrainingData, space: str, n: int, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """One spike map, and how it does on models it has not seen."""
    device = torch.device(args.device)
    some = with_fewer(data, n, seed)
    decoder = new_decoder(some, space=space, architecture=Architecture(map_members=3), seed=seed).to(device)
    schedule = Schedule(
        steps=args.steps,
        batch=2048,
        peak_lr=2e-3,
        ema=0.999,
        seed=seed,
        validate_every=args.steps,
        straight=args.straight,
        straight_left=0.01,
    )
    rows = fit(SpikeMapTask(some, decoder), schedule, name=f"{space}, {n} models, seed {seed}")
    named = {"validation": VALIDATION, "held_out": HELD_OUT}
    return {
        "space": space,
        "models": n,
        "seed": seed,
        "seconds": rows[-1]["seconds"],
        **{name: unseen(decoder, data, split, device) for name, split in named.items()},
    }


def plot(results: list[dict[str, Any]], path: Path) -> None:
    """Held-out spike-time error against the number of training models, and for each latent space."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    best, largest = results[0]["space"], max(r["models"] for r in results)
    for name, (marker, label) in SPLITS.items():
        rows = [r for r in results if r["space"] == best]
        left.loglog([r["models"] for r in rows], [r[name]["spike_time_error_ms"] for r in rows], marker, label=label)
        rows = [r for r in results if r["models"] == largest and r["seed"] == 0]
        right.semilogy([len(SPACES[r["space"]]) for r in rows], [r[name]["spike_time_error_ms"] for r in rows], marker)
    seeds = sum(r["space"] == best and r["models"] == largest for r in results)
    each = f" ({seeds} seeds at {largest})" if seeds > 1 else ""
    ylabel = "median spike-time error (ms)"
    left.set(xlabel="training models", ylabel=ylabel, title=f"{len(SPACES[best])} latent features{each}")
    right.set(xlabel="latent features", ylabel=ylabel, title=f"{largest} training models")
    left.set_xticks(sorted({r["models"] for r in results}), labels=sorted({r["models"] for r in results}))
    for axis in (left, right):
        axis.minorticks_off()
        axis.set_yticks([0.1, 0.2, 0.5, 1.0, 2.0], labels=["0.1", "0.2", "0.5", "1", "2"])
    left.legend(frameon=False)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", type=Path, nargs="+", required=True)
    parser.add_argument("--cell", required=True)
    parser.add_argument("--sizes", default="100,300,1000")
    parser.add_argument("--spaces", default="noble2,features10,features13,features16,features21")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=15000)
    parser.add_argument("--straight", type=float, default=10.0, help="penalty on bending between neurons, at first")
    parser.add_argument("--validation", type=int, default=200, help="perturbed models that are set aside")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_float32_matmul_precision("high")
    responses = concatenate([from_store(path, cell=args.cell) for path in args.stores])
    prepared: dict[str, TrainingData] = {}
    results = []
    print(
        f"{'latents':<12}{'models':>8}{'seed':>6}{'time error (ms)':>18}{'count error':>13}{'mismatch':>10}  (held out)"
    )
    for space, n, seed in runs(args):
        if space not in prepared:
            prepared[space] = prepare(responses, latents=SPACES[space], validation=args.validation, seed=0)
        results.append(train_one(prepared[space], space, n, seed, args))
        time, count, mismatch = (results[-1]["held_out"][k] for k in FIGURES)
        print(f"{space:<12}{n:>8}{seed:>6}{time:>18.3f}{count:>13.2%}{mismatch:>10.2%}", flush=True)
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "learning_curve.json").write_text(json.dumps(results, indent=1) + "\n")
    plot(results, args.out / "learning_curve.png")


if __name__ == "__main__":
    main()
