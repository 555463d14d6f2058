"""NUTS and the weighted methods equal brute force on a grid, with the spike map of a shipped decoder.

Two latents are free (log mean interval at 180 pA and resting voltage move most), all others are held by a narrow prior;
the posterior is then a sum over a grid.
"""

from functools import partial

import pytest
import torch

from noble_prob.cells import load_cell
from noble_prob.inference import infer_evidence
from noble_prob.inference.density import LogDensity
from noble_prob.inference.predict import predict
from noble_prob.noise import Design, Evidence, NoisePrior
from noble_prob.priors import Prior
from noble_prob.program import program

FREE = ("log_latency_50pa", "log_mean_isi_180pa")
NARROW = 1e-4
QUIET = NoisePrior.exact()


@pytest.fixture(scope="module")
def problem():
    cell = load_cell("pvalb-689331391")
    at = [cell.decoder.space.names.index(name) for name in FREE]
    n = len(cell.decoder.space)
    sd = torch.full((n,), NARROW, dtype=torch.float64)
    sd[at] = 0.7
    prior = Prior(
        kind="gaussian",
        space=cell.prior.space,
        points=cell.prior.points,
        tensors={"loc": torch.zeros(n).double(), "scale_tril": torch.diag(sd)},
    )
    current = torch.tensor([60.0, 150.0], dtype=torch.float64)
    names = cell.decoder.summary_names
    design = Design(current_pa=current, end_ms=torch.full_like(current, 150.0), summary_names=names)
    blank = Evidence(
        design=design,
        times_ms=torch.full((2, 1), torch.inf).double(),
        summary=torch.full((2, len(names)), torch.nan).double(),
    )
    drawn = predict(partial(program, cell.decoder, prior, design, noise=QUIET), prior, None, blank, n=1, seed=4)
    evidence = Evidence(design=design, times_ms=drawn.times_ms[0], summary=blank.summary)
    return cell.decoder, prior, evidence, at


@pytest.fixture(scope="module")
def grid(problem):
    """Mean and SD of both latents by quadrature: a coarse grid finds where, a fine one how much."""
    decoder, prior, evidence, at = problem
    density = LogDensity(partial(program, decoder, prior, evidence.design, evidence, noise=QUIET))
    centre, half = torch.zeros(2).double(), torch.full((2,), 3.0).double()
    for _ in range(5):
        axes = [centre[k] + half[k] * torch.linspace(-1, 1, 41).double() for k in range(2)]
        points = torch.zeros(41 * 41, density.size).double()
        points[:, at[0]], points[:, at[1]] = axes[0].repeat_interleave(41), axes[1].repeat(41)
        with torch.no_grad():
            weight = torch.softmax(density(points), 0).reshape(41, 41)
        sums = (weight.sum(1), weight.sum(0))
        centre = torch.stack([(w * a).sum() for w, a in zip(sums, axes, strict=True)])
        spread = [((w * (a - c) ** 2).sum()).sqrt() for w, a, c in zip(sums, axes, centre, strict=True)]
        half = torch.stack([torch.maximum(5.5 * s, 2.5 * (a[1] - a[0])) for s, a in zip(spread, axes, strict=True)])
    return centre, torch.stack(spread)


@pytest.mark.parametrize(
    ("method", "length"), [("nuts", {"chains": 10, "warmup": 80, "draws": 100}), ("importance", {"draws": 600})]
)
def test_it_equals_the_grid(problem, grid, method, length):
    decoder, prior, evidence, at = problem
    found = infer_evidence(
        [evidence], decoder=decoder, prior=prior, method=method, robust=False, noise=QUIET, seed=2, **length
    )[0]
    x = found.standardised.flatten(0, 1)[:, at]
    assert float(((x.mean(0) - grid[0]) / grid[1]).abs().max()) < 0.1
    assert float((x.std(0) / grid[1]).log().abs().max()) < 0.1
