"""Which prior describes neurons it has not seen: Student t, Gaussian, mixture, flow or empirical.

Fitted to the training models of each shipped cell, scored on the published models that were kept apart: mean log
density per neuron (nats, with the difference to the Gaussian and its standard error over neurons) and energy distance
between draws and neurons; and by five-fold cross-validation over the training models, which are more. Of the Gaussian
and the Student t also the share of the models left out that 89 % intervals hold: of a latent by itself (marginal), and
of a latent given all others (conditional).

Then the choice as it matters for a recording: sweeps of the held-out models are drawn from the program, inferred under
each prior, and compared by leave-one-sweep-out cross-validation (ArviZ ``compare``). With some fifty models in a dozen
dimensions a Gaussian should be hard to beat; where sweeps are informative, no prior should matter much.

    python analyses/priors_comparison.py [--cells NAME ...] [--json OUT]
"""

from __future__ import annotations

import argparse
import json
import warnings
from functools import partial
from pathlib import Path
from typing import Any, get_args

import arviz as az
import numpy as np
import torch
from scipy import stats

import noble_prob as nb
from noble_prob.cells import Cell
from noble_prob.inference import infer_evidence
from noble_prob.inference.predict import predict
from noble_prob.noise import Evidence, NoisePrior
from noble_prob.priors import Kind, Prior, fit_prior, score
from noble_prob.program import SCALES, program

FOLDS = 5


def held_out_scores(cell: Cell) -> dict[str, dict[str, float]]:
    """Log density, its difference to the Gaussian's with standard error, energy distance, and cross-validation."""
    fitted = {kind: fit_prior(cell.models, kind, seed=0) for kind in get_args(Kind)}
    x = cell.prior.space.standardise(cell.held_out.value)
    density = {kind: prior.log_prob(x).detach() for kind, prior in fitted.items()}
    rows = {}
    for kind, prior in fitted.items():
        gain = density[kind] - density["gaussian"]
        error = float(gain.std() / len(gain) ** 0.5)
        rows[kind] = {
            **score(prior, cell.held_out),
            "gain": float(gain.mean()),
            "gain_se": error,
            **cross_validated(cell, kind),
        }
    return rows


def cross_validated(cell: Cell, kind: Kind) -> dict[str, float]:
    """Mean log density of each fifth of the training models under the prior fitted to the others, and coverages."""
    order = torch.randperm(len(cell.models), generator=torch.Generator().manual_seed(0))
    total, covered = 0.0, np.zeros(2)
    for fold in range(FOLDS):
        test = order[fold::FOLDS]
        rest = torch.tensor([k for k in order.tolist() if k not in set(test.tolist())])
        parts = [nb.Neurons(space=cell.models.space, value=cell.models.value[k], axis="neuron") for k in (rest, test)]
        prior = fit_prior(parts[0], kind, seed=0)
        total += score(prior, parts[1], draws=10)["log_density"] * len(test)
        covered += len(test) * np.array(coverage(prior, prior.space.standardise(parts[1].value.double())))
    return {
        "cross_validated": total / len(order),
        "marginal": float(covered[0]) / len(order),
        "conditional": float(covered[1]) / len(order),
    }


def coverage(prior: Prior, x: torch.Tensor) -> tuple[float, float]:
    """Shares of latents in their central 89 % intervals, marginal and given all others; NaN without closed form."""
    if prior.kind not in ("gaussian", "student"):
        return float("nan"), float("nan")
    scale, nu = prior.tensors["scale_tril"] @ prior.tensors["scale_tril"].T, float(prior.tensors.get("df", 1e9))
    off, precision, latents = x - prior.tensors["loc"], torch.linalg.inv(scale), len(scale)
    marginal = off.abs() / scale.diagonal().sqrt() < stats.t.ppf(0.945, nu)
    residual = off @ precision / precision.diagonal()
    others = (off @ precision * off).sum(-1, keepdim=True) - residual**2 * precision.diagonal()
    width = ((nu + others) / (nu + latents - 1) / precision.diagonal()).sqrt()
    conditional = residual.abs() / width < stats.t.ppf(0.945, nu + latents - 1)
    return float(marginal.double().mean()), float(conditional.double().mean())


def recordings_of(cell: Cell, currents_pa: list[float], seed: int) -> list[Evidence]:
    """Sweeps of every held-out model, drawn from the program at its latents."""
    design = cell.steps(currents_pa)
    n, shape = len(cell.held_out), (len(design), len(design.summary_names))
    blank = Evidence(
        design=design, times_ms=torch.full((shape[0], 1), torch.inf).double(), summary=torch.zeros(shape).double()
    )
    values: dict[str, torch.Tensor] = {"z": cell.prior.space.standardise(cell.held_out.value)[None]}
    noise = NoisePrior()
    for name in SCALES:
        values[name] = torch.full((1, n), getattr(noise, name).median, dtype=torch.float64)
    drawn = predict(
        partial(program, cell.decoder, cell.prior, design, noise=noise), cell.prior, values, blank, n=n, seed=seed
    )
    return [Evidence(design=design, times_ms=t, summary=s) for t, s in zip(drawn.times_ms, drawn.summary, strict=True)]


def tree_of(cell: Cell, kind: Kind, recordings: list[Evidence]) -> Any:
    """Posterior of all recordings under one prior, with the log likelihood of every sweep of every recording.

    Given the prior recordings are independent: aligned draws of their posteriors are draws of the joint one.
    """
    found = infer_evidence(
        recordings,
        decoder=cell.decoder,
        prior=fit_prior(cell.models, kind, seed=0),
        robust=False,
        method="importance",
        seed=1,
        draws=250,
    )
    n = min(p.latents[..., 0].numel() for p in found)
    z = torch.stack([p.latents.flatten(0, 1)[:n] for p in found], 1)
    log = torch.cat([p.log_likelihood.flatten(0, 1)[:n] for p in found], 1)
    return az.from_dict({"posterior": {"z": z[None].numpy()}, "log_likelihood": {"sweep": log[None].numpy()}})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", nargs="+", default=["pvalb-689331391", "vip-650077366"])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    result: dict[str, Any] = {}
    for name in args.cells:
        cell = nb.load_cell(name)
        rows = held_out_scores(cell)
        sizes = f"{len(cell.models)} training models, {len(cell.held_out)} held out, {len(cell.prior.space)} latents"
        print(f"\n{name}: {sizes}")
        print(
            f"{'prior':<11}{'log density':>12}{'gain':>8}{'+-':>7}{'energy distance':>17}{'cross-validated':>17}"
            f"{'marginal':>10}{'conditional':>13}"
        )
        for kind, r in rows.items():
            print(
                f"{kind:<11}{r['log_density']:>12.2f}{r['gain']:>8.2f}{r['gain_se']:>7.2f}{r['energy_distance']:>17.3f}"
                f"{r['cross_validated']:>17.2f}{r['marginal']:>10.3f}{r['conditional']:>13.3f}"
            )
        low, high = cell.decoder.window.current_range_pa
        recordings = recordings_of(cell, [low, 0.4 * high, 0.8 * high], seed=3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = az.compare({kind: tree_of(cell, kind, recordings) for kind in rows}, round_to="none")
        print(f"leave one of {3 * len(recordings)} sweeps out:")
        print(table.to_string(float_format=lambda v: f"{v:.2f}"))
        result[name] = {
            "scores": rows,
            "compare": {
                str(k): {c: (v if isinstance(v, str) else float(np.asarray(v))) for c, v in row.items()}
                for k, row in table.iterrows()
            },
        }
    if args.json:
        args.json.write_text(json.dumps(result, indent=1, default=str) + "\n")


if __name__ == "__main__":
    main()
