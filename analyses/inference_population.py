"""A population other than the prior's is found from its recordings, and its neurons are known better together.

Twenty neurons of a population shifted by half an SD along the prior and half as wide answer four steps; recordings
are drawn from the program with decoder error and trial noise, inferred alone under the cell's prior, and pooled. Right
if the 89 % intervals of the means and SDs hold most of the truths, and the neurons' errors shrink where single
recordings say little.

    python analyses/inference_population.py [--cell NAME] [--n 20] [--factors K]
"""

from __future__ import annotations

import argparse
from functools import partial

import torch

import noble_prob as nb
from noble_prob.cells import Cell
from noble_prob.inference import infer_evidence
from noble_prob.inference.predict import predict
from noble_prob.noise import Evidence, NoisePrior
from noble_prob.priors import HyperPrior
from noble_prob.program import SCALES, program

SHIFT, WIDTH, SHARES = 0.5, 0.5, (0.0, 0.3, 0.6, 0.85)


def record(cell: Cell, z: torch.Tensor, seed: int) -> list[Evidence]:
    """Sweeps of neurons with these standardised latents, drawn from the program at the usual noise."""
    low, high = cell.decoder.window.current_range_pa
    design, noise = cell.steps([low + share * (high - low) for share in SHARES]), NoisePrior()
    blank = Evidence(
        design=design,
        times_ms=torch.full((len(design), 1), torch.inf).double(),
        summary=torch.zeros(len(design), len(design.summary_names)).double(),
    )
    values = {name: torch.full((1, len(z)), getattr(noise, name).median, dtype=torch.float64) for name in SCALES}
    model = partial(program, cell.decoder, cell.prior, design, noise=noise)
    drawn = predict(model, cell.prior, {"z": z[None], **values}, blank, n=len(z), seed=seed)
    order = torch.cdist(cell.prior.space.standardise(drawn.latents), z).argmin(0)  # predict shuffles
    return [Evidence(design=design, times_ms=drawn.times_ms[k], summary=drawn.summary[k]) for k in order.tolist()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cell", default="pvalb-689331391")
    parser.add_argument("--n", type=int, default=20)
    parser.add_argument("--factors", type=int, default=None)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    cell = nb.load_cell(args.cell)
    space, (mean, covariance) = cell.prior.space, cell.prior.moments
    sd = covariance.diagonal().sqrt()
    shift = SHIFT * torch.linalg.cholesky(covariance).sum(-1) / len(space) ** 0.5
    z = mean + shift + WIDTH * (cell.prior.sample_standardised(args.n, seed=args.seed) - mean)
    alone = infer_evidence(
        record(cell, z, args.seed),
        decoder=cell.decoder,
        prior=cell.prior,
        method="importance",
        robust=False,
        seed=args.seed,
        draws=300,
    )
    hyper = HyperPrior(loc_sd=2.0, scale_log_sd=0.75, factors=args.factors)
    found = nb.infer_population(alone, prior=cell.prior, hyper=hyper, seed=args.seed, progress=True)
    print(f"{args.n} recordings of {cell.name}; pooling took {found.wall_s:.0f} s")
    for finding in nb.judge(found):
        print(f"{finding.severity} {finding.code}: {finding.sentence}")
    truth = {"mean": space.unstandardise(mean + shift), "sd": WIDTH * sd * space.sd}
    interval, centre, value = found.interval(), found.mean(), space.unstandardise(z)
    single = torch.stack([p.mean() for p in alone])
    pooled = torch.stack([n.weights @ n.value for n in found.neurons])
    error = [((x - value).square().mean(0).sqrt() / truth["sd"]).tolist() for x in (single, pooled)]
    print(f"{'latent':<22}{'mean':>9}{'truth':>9}{'':>4}{'SD':>9}{'truth':>9}{'':>4}{'error alone':>13}{'pooled':>8}")
    held = {w: (interval[w][0] <= truth[w]) & (truth[w] <= interval[w][1]) for w in ("mean", "sd")}
    for k, name in enumerate(space.names):
        cells = "".join(
            f"{float(centre[w][k]):>9.3g}{float(truth[w][k]):>9.3g}{'yes' if held[w][k] else 'NO':>4}"
            for w in ("mean", "sd")
        )
        print(f"{name:<22}{cells}{error[0][k]:>13.2f}{error[1][k]:>8.2f}")
    share = {w: 100 * float(inside.double().mean()) for w, inside in held.items()}
    total = [sum(e) / len(space) for e in error]
    print(
        f"89 % intervals hold {share['mean']:.0f} % of the means and {share['sd']:.0f} % of the SDs; "
        f"error (population SDs) {total[0]:.2f} alone, {total[1]:.2f} pooled"
    )


if __name__ == "__main__":
    main()
