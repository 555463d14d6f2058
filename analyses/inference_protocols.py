"""Posteriors are calibrated under other sweeps than six, and how often findings speak of recordings that are right.

Latents, noise scales and recordings are drawn from the program, under protocols from one sweep to twenty. Printed for
each: coverage of 50 and 89 % intervals of the latents (standard error over recordings) and of every noise scale; how
often the importance weights needed a second attempt, and failed that, too; and the share of recordings in which each
finding is an issue or a caution. Last, ``check_left_out``: the last sweep of ``left-out`` is held back, and how often
that of the same and of another neuron is rejected at 5 %.

Run: ``python analyses/inference_protocols.py --n 60 [--protocols six two] [--method hmc]``
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from functools import partial

import numpy as np
import pyro.poutine as poutine
import torch

import noble_prob as nb
from noble_prob.calibration.replay import against
from noble_prob.inference.forecast import forecast
from noble_prob.inference.importance import BELIEVABLE
from noble_prob.inference.infer import infer_evidence
from noble_prob.inference.posterior import Posterior
from noble_prob.inference.task import SETTINGS
from noble_prob.noise import Design, Evidence, NoisePrior, mask_undefined
from noble_prob.priors import derive, seeded
from noble_prob.program import SCALES, program

USUAL = 4 * SETTINGS["npe"][1]
"""Draws of a first attempt: four chains' worth."""
PVALB, VIP = "pvalb-689331391", "vip-650077366"
PROTOCOLS = {
    "six": (PVALB, (-110, 40, 80, 130, 180, 240)),
    "vip six": (VIP, (-110, 20, 50, 90, 140, 200)),
    "two": (PVALB, (-110, 180)),
    "one spiking": (PVALB, (180,)),
    "one hyperpolarising": (PVALB, (-110,)),
    "hardly a spike": (PVALB, (-110, -70, -30, 5, 10)),
    "threshold, twenty repeats": (PVALB, (16,) * 20),
    "left-out": (PVALB, (-110, 25, 50, 180, 100)),
}


def drawn(
    cell: nb.Cell, current_pa: Sequence[float], n: int, seed: int
) -> tuple[dict[str, torch.Tensor], list[Evidence]]:
    """True latents (standardised, ``z``) and noise scales, and what the likelihood sees of their recordings."""
    current = torch.tensor(current_pa, dtype=torch.float64)
    end = torch.full_like(current, cell.decoder.window.duration_ms)
    design = Design(current_pa=current, end_ms=end, summary_names=cell.decoder.summary_names)
    with seeded(derive("protocols", seed)), torch.no_grad():
        model = partial(program, cell.decoder, cell.prior, design, noise=NoisePrior(), robust=True)
        nodes = poutine.trace(model).get_trace(batch=(n,)).nodes
    times = nodes["spikes"]["value"]
    summary = mask_undefined(nodes["summary"]["value"], times, design)
    truth = {name: nodes[name]["value"].double() for name in ("z", *SCALES)}
    return truth, [Evidence(design=design, times_ms=t, summary=s) for t, s in zip(times, summary, strict=True)]


def inferred(cell: nb.Cell, evidence: Evidence, method: str, seed: int) -> Posterior:
    """A posterior; of weighted draws whatever their weights."""
    settings = {"estimator": cell.estimator, "fall_back": False} if method == "npe" else {}
    (posterior,) = infer_evidence(
        [evidence], decoder=cell.decoder, prior=cell.prior, method=method, seed=seed, **settings
    )
    return posterior


def ranks(draws: torch.Tensor, truth: torch.Tensor) -> np.ndarray:
    """Share of draws below the truth."""
    return (draws.flatten(0, 1) < truth).double().mean(0).numpy()


def coverage(rank: np.ndarray, mass: float) -> float:
    """Share of central intervals that hold the truth."""
    return float((np.abs(2 * rank - 1) <= mass).mean())


def report(name: str, args: argparse.Namespace) -> None:
    """Coverage, weights and findings of one protocol."""
    where, current = PROTOCOLS[name]
    cell = nb.load_cell(where)
    truth, evidences = drawn(cell, current, args.n, args.seed)
    posteriors = [inferred(cell, e, args.method, k) for k, e in enumerate(evidences)]
    latents = np.stack([ranks(p.standardised, z) for p, z in zip(posteriors, truth["z"], strict=True)])
    error = np.std([coverage(row, 0.89) for row in latents], ddof=1) / len(latents) ** 0.5
    held = [100 * coverage(latents, mass) for mass in (0.5, 0.89)]
    print(f"{name}: 50 and 89 % intervals of latents hold {held[0]:.1f} and {held[1]:.1f} % (se {100 * error:.1f})")
    for scale in SCALES:
        rank = np.stack([ranks(p.scales[scale], s) for p, s in zip(posteriors, truth[scale], strict=True)])
        print(f"  {scale:16s} {100 * coverage(rank, 0.5):.0f}, {100 * coverage(rank, 0.89):.0f} %")
    if args.method == "npe":
        again = sum(p.latents[..., 0].numel() > USUAL for p in posteriors)
        failed = sum(not p.provenance["k_hat"] <= BELIEVABLE for p in posteriors)
        print(f"  second attempt {again}, weights fail after it {failed} of {args.n}")
    said = Counter((f.code, f.severity) for p in posteriors for f in nb.judge(p) if f.severity in ("issue", "caution"))
    print("  " + ", ".join(f"{code} {kind} {count}" for (code, kind), count in sorted(said.items())))


def left_out(args: argparse.Namespace) -> None:
    """How often the last sweep is rejected: the neuron's own, and another's."""
    where, current = PROTOCOLS["left-out"]
    cell = nb.load_cell(where)
    _, evidences = drawn(cell, current, args.n, args.seed)
    seen, held = torch.arange(len(current) - 1), torch.tensor([len(current) - 1])
    own, other, inside = 0, 0, []
    for k, evidence in enumerate(evidences):
        posterior = inferred(cell, evidence.take(seen), args.method, k)
        draws = forecast(posterior, evidence.take(held).design, decoder=cell.decoder, prior=cell.prior, seed=k)
        mine, theirs = (
            against(e.take(held), draws, 0.05, k, seen=False) for e in (evidence, evidences[(k + 1) % args.n])
        )
        own, other = own + (mine.p_misfit <= 0.05), other + (theirs.p_misfit <= 0.05)
        inside.append(mine.coverage(0.89))
    print(f"left out: {own} of {args.n} own sweeps rejected, {other} of another neuron's")
    print(f"  89 % intervals hold {100 * np.nanmean(inside):.0f} % of the own values")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protocols", nargs="+", choices=PROTOCOLS, default=list(PROTOCOLS))
    parser.add_argument("--n", type=int, default=60)
    parser.add_argument("--method", choices=("npe", "hmc"), default="npe")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    for name in args.protocols:
        left_out(args) if name == "left-out" else report(name, args)


if __name__ == "__main__":
    main()
