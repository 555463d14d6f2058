"""Effective draws per second of every method and their agreement with NUTS, beside NUTS through the voltage.

Recordings of six steps are drawn from the program of a shipped cell, and every method infers them: on the processor one
after the other, as in a session at the rig; with ``--device cuda`` side by side (nuts and svi stay on the processor).
The smallest bulk effective sample size over latents (of weighted draws Kish's, before they were moved), divided by the
wall time, is what a user waits for; of chains the largest R-hat and the smallest tail sample size are printed too, of
the worst recording. Agreement is with the first method named: difference of means in its posterior SDs and ratio of
SDs, median and worst over recordings and latents, and both divided by what so many effective draws let one expect (root
mean square; 1 if the posteriors are equal). ``--voltage-draws`` puts the *whole* decoder into the
likelihood: every sample of every voltage, Gaussian around the rendered one, by Pyro's own NUTS begun at the truth; a
few draws are enough to see what one costs.

Run: ``python analyses/inference_speed.py --n 20 --methods nuts hmc npe importance --json out.json``,
``... --n 1000 --methods npe --device cuda`` and ``... --n 2 --methods npe --voltage-draws 10 --device cuda``
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from pyro.infer import MCMC, NUTS

import noble_prob as nb
from noble_prob.calibration.sbc import recordings_from_program
from noble_prob.inference import convergence, infer_evidence
from noble_prob.inference.task import ONE_BY_ONE
from noble_prob.noise import Evidence, NoisePrior

METHODS = ("nuts", "hmc", "importance", "npe", "svi")


def effective(posterior: nb.Posterior) -> torch.Tensor:
    """Bulk effective sample size of every latent; of weighted draws, Kish's."""
    names, record = posterior.space.names, convergence(posterior)
    independent = posterior.latents.shape[0] * posterior.latents.shape[1]
    usual = float(posterior.provenance.get("effective", independent))
    known = [record[name]["ess_bulk"] for name in names]
    return torch.tensor([usual if value is None else value for value in known], dtype=torch.float64)


def chains(found: list[nb.Posterior]) -> dict[str, float]:
    """Largest R-hat and smallest tail effective sample size over recordings, latents and noise scales, of chains."""
    records = [r for p in found for r in convergence(p).values() if r["r_hat"] is not None]
    return (
        {}
        if not records
        else {
            "r_hat": max(float(r["r_hat"] or 0) for r in records),
            "ess_tail": min(float(r["ess_tail"] or 0) for r in records),
        }
    )


def through_the_voltage(cell: nb.Cell, truth: torch.Tensor, currents: torch.Tensor, draws: int, seed: int) -> float:
    """Seconds per draw of Pyro's NUTS with the voltage in the likelihood (0.5 mV, independent samples)."""
    decoder, space = cell.decoder, cell.decoder.space
    weight = next(decoder.parameters())

    def voltage(z: torch.Tensor) -> torch.Tensor:
        latents = space.unstandardise(z).to(weight)
        return decoder.respond(latents.expand(len(currents), -1), currents.to(weight)).to(z)

    with torch.no_grad():
        observed = voltage(truth)

    def model() -> None:
        z = pyro.sample("z", dist.MultivariateNormal(*cell.prior.moments))
        pyro.sample("voltage", dist.Normal(voltage(z), 0.5).to_event(2), obs=observed)

    kernel = NUTS(
        model, init_strategy=pyro.infer.autoguide.initialization.init_to_value(values={"z": truth}), max_tree_depth=6
    )
    began = time.perf_counter()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        MCMC(kernel, num_samples=draws, warmup_steps=draws, disable_progbar=True).run()
    return (time.perf_counter() - began) / (2 * draws)


def inferred(
    cell: nb.Cell, evidence: list[Evidence], method: str, device: str, *, seed: int, draws: int | None
) -> list[nb.Posterior]:
    """Posteriors of all recordings: side by side on a graphics card, else one after the other."""
    on = "cpu" if method in ONE_BY_ONE else device
    parts = [evidence] if on != "cpu" else [[e] for e in evidence]
    settings = {
        "prior": cell.prior,
        "method": method,
        "seed": seed,
        "draws": draws,
        "estimator": cell.estimator,
        "device": on,
    }
    return [p for part in parts for p in infer_evidence(part, decoder=cell.decoder, **settings)]


def agreement(found: list[nb.Posterior], reference: list[nb.Posterior]) -> dict[str, float]:
    """Differences of means (posterior SDs), ratios of SDs and of widths of 89 % intervals: median and worst.

    Over recordings and latents. Means and SDs also in standard errors, as for normal posteriors: ``1 / n`` and
    ``1 / 2 n`` are the variances of a mean and a logarithmic SD from ``n`` draws. Posteriors are funnels, some with a
    kurtosis above ten, whose SD a few thousand draws do not determine so well; their intervals they do.
    """
    mean, sd, width = (torch.stack([f(p) for p in found]) for f in (nb.Posterior.mean, deviation, interval))
    centre, unit, span = (torch.stack([f(p) for p in reference]) for f in (nb.Posterior.mean, deviation, interval))
    off, ratio, wide = ((mean - centre) / unit).flatten(), (sd / unit).flatten(), (width / span).flatten()
    error = (sum(1 / torch.stack([effective(p) for p in each]).flatten() for each in (found, reference))) ** 0.5
    return {
        "mean_in_errors": float((off / error).square().mean().sqrt()),
        "sd_in_errors": float((2**0.5 * ratio.log() / error).square().mean().sqrt()),
        "mean_median": float(off.abs().median()),
        "mean_worst": float(off.abs().max()),
        "sd_median": float(ratio.median()),
        "sd_worst": float(ratio[ratio.log().abs().argmax()]),
        "width_median": float(wide.median()),
        "width_worst": float(wide[wide.log().abs().argmax()]),
    }


def interval(posterior: nb.Posterior) -> torch.Tensor:
    """Widths of the 89 % intervals."""
    return posterior.interval().diff(dim=0)[0]


def deviation(posterior: nb.Posterior) -> torch.Tensor:
    """Posterior SDs."""
    return posterior.covariance().diagonal().sqrt()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cell", default="pvalb-689331391")
    parser.add_argument("--n", type=int, default=4)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--draws", type=int, help="draws per chain (as many as are usual for the method)")
    parser.add_argument("--voltage-draws", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    cell, fast = nb.load_cell(args.cell), nb.load_cell(args.cell, device=args.device)
    design = cell.steps()
    truth, evidence = recordings_from_program(
        cell.decoder, cell.prior, design, args.n, noise=NoisePrior(), robust=True, seed=args.seed
    )
    report, reference = {}, None
    print(
        f"{'method':12s}{'s each':>8s}{'ESS':>7s}{'ESS / s':>9s}   |mean| off, median, worst"
        "   SD ratio, median, worst   in errors   width of 89 %, same   fell back  R-hat  tail ESS"
    )
    for method in args.methods:
        began = time.perf_counter()
        of = cell if method in ONE_BY_ONE else fast
        found = inferred(of, evidence, method, args.device, seed=args.seed, draws=args.draws)
        seconds = (time.perf_counter() - began) / args.n
        reference = reference or found
        size, away = float(np.mean([float(effective(p).min()) for p in found])), sum(p.method != method for p in found)
        r = {
            "seconds": seconds,
            "ess": size,
            "ess_per_s": size / seconds,
            "fell_back": away,
            **agreement(found, reference),
            **chains(found),
        }
        report[method] = r
        judged = f"{r['r_hat']:9.3f}{r['ess_tail']:7.0f}" if "r_hat" in r else ""
        print(
            f"{method:12s}{seconds:8.3f}{size:7.0f}{size / seconds:9.1f}{r['mean_median']:17.3f}"
            f"{r['mean_worst']:10.3f}{r['sd_median']:19.3f}{r['sd_worst']:8.3f}"
            f"{r['mean_in_errors']:9.2f}{r['sd_in_errors']:6.2f}{r['width_median']:12.3f}"
            f"{r['width_worst']:8.3f}{away:14d}{judged}",
            flush=True,
        )
    if args.voltage_draws:
        seconds = through_the_voltage(fast, truth[0], design.current_pa, args.voltage_draws, args.seed)
        report["voltage"] = {"seconds_per_draw": seconds, "ess_per_s": 1 / seconds}
        print(f"nuts, whole voltage: {seconds:.2f} s a draw, at best {1 / seconds:.3f} effective draws / s")
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
