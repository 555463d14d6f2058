"""Effective draws per second of every method, on the same recordings, beside NUTS through the voltage.

Recordings of six steps are drawn from the program of a shipped cell. Each method infers them; the smallest bulk
effective sample size over latents, divided by the wall time, is what a user waits for. Agreement with NUTS is shown as
the largest difference of a mean in posterior SDs and of a log SD. The last row puts the *whole* decoder into the
likelihood: every sample of every voltage, Gaussian around the rendered one, by Pyro's own NUTS begun at the truth; a
few draws are enough to see what one costs.

Run: ``python analyses/inference_speed.py --n 4 --voltage-draws 10 [--device cuda] --json out.json``
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
from noble_prob.noise import NoisePrior

METHODS = ("nuts", "hmc", "importance", "npe", "svi")


def effective(posterior: nb.Posterior) -> float:
    """Smallest bulk effective sample size of a latent; of weighted draws, Kish's."""
    if "effective" in posterior.provenance:
        return float(posterior.provenance["effective"])
    record = convergence(posterior)
    known = [record[name]["ess_bulk"] for name in posterior.space.names]
    independent = posterior.latents.shape[0] * posterior.latents.shape[1]
    return float(min(independent if value is None else value for value in known))


def through_the_voltage(cell: nb.Cell, truth: torch.Tensor, currents: torch.Tensor, draws: int, seed: int) -> float:
    """Seconds per draw of Pyro's NUTS with the voltage in the likelihood (0.5 mV, independent samples)."""
    decoder, space = cell.decoder, cell.decoder.space
    weight = next(decoder.parameters())

    def voltage(z: torch.Tensor) -> torch.Tensor:
        latents = space.unstandardise(z).to(weight)
        return decoder.respond(latents.expand(len(currents), -1), currents.to(weight))

    with torch.no_grad():
        observed = voltage(truth)

    def model() -> None:
        z = pyro.sample("z", dist.MultivariateNormal(*cell.prior.moments))
        pyro.sample("voltage", dist.Normal(voltage(z), 0.5).to_event(2), obs=observed)

    kernel = NUTS(model, init_strategy=pyro.infer.autoguide.initialization.init_to_value(values={"z": truth}),
                  max_tree_depth=6)  # fmt: skip
    began = time.perf_counter()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        MCMC(kernel, num_samples=draws, warmup_steps=draws, disable_progbar=True).run()
    return (time.perf_counter() - began) / (2 * draws)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cell", default="pvalb-689331391")
    parser.add_argument("--n", type=int, default=4)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--voltage-draws", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    cell = nb.load_cell(args.cell)
    design = cell.steps()
    truth, evidence = recordings_from_program(cell.decoder, cell.prior, design, args.n, noise=NoisePrior(), robust=True,
                                              seed=args.seed)  # fmt: skip
    reference, report = None, {}
    print(f"{'method':22s} {'s each':>8s} {'ESS':>7s} {'ESS / s':>8s} {'mean':>6s} {'log SD':>7s}  fell back")
    for method in args.methods:
        began = time.perf_counter()
        found = [
            infer_evidence([e], decoder=cell.decoder, prior=cell.prior, method=method, seed=args.seed,
                           estimator=cell.estimator)[0]
            for e in evidence
        ]  # fmt: skip
        seconds = (time.perf_counter() - began) / args.n
        reference = reference or found
        size = float(np.mean([effective(p) for p in found]))
        off, ratio = differences(found, reference)
        away = sum(p.method != method for p in found)
        report[method] = {"seconds": seconds, "ess": size, "ess_per_s": size / seconds, "mean": off, "log_sd": ratio}
        print(f"{method:22s} {seconds:8.2f} {size:7.0f} {size / seconds:8.1f} {off:6.2f} {ratio:7.2f}  {away}")
    if args.voltage_draws:
        whole = nb.load_cell(args.cell, device=args.device)
        seconds = through_the_voltage(whole, truth[0], design.current_pa, args.voltage_draws, args.seed)
        report["voltage"] = {"seconds_per_draw": seconds, "ess_per_s": 1 / seconds}
        print(f"{'nuts, whole voltage':22s} {seconds:8.2f} s a draw, at best {1 / seconds:.3f} effective draws / s")
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")


def differences(found: list[nb.Posterior], reference: list[nb.Posterior]) -> tuple[float, float]:
    """Largest difference of means (posterior SDs) and of log SDs between two methods."""
    off, ratio = [0.0], [0.0]
    for a, b in zip(found, reference, strict=True):
        sd = b.covariance().diagonal().sqrt()
        off.append(float(((a.mean() - b.mean()) / sd).abs().max()))
        ratio.append(float((a.covariance().diagonal().sqrt() / sd).log().abs().max()))
    return max(off), max(ratio)


if __name__ == "__main__":
    main()
