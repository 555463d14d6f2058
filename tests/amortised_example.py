"""A small amortised posterior of the toy, trained in seconds, and problems for it."""

from dataclasses import replace
from functools import partial

import torch

from noble_prob.decoder.toy import ToyDecoder
from noble_prob.inference.amortise import USUAL, train_estimator
from noble_prob.inference.predict import predict
from noble_prob.latent import Neurons
from noble_prob.noise import Design, Evidence, NoisePrior
from noble_prob.priors import Prior, fit_prior
from noble_prob.program import program

CURRENTS = torch.tensor([-110.0, 120.0, 190.0], dtype=torch.float64)
QUIET = replace(NoisePrior.exact(), timing_ms=1e-3)
SMALL = {"width": 32, "context": 16, "hidden": 16, "transforms": 1, "bins": 4}


def quiet_toy() -> ToyDecoder:
    """The toy with negligible single-spike noise, whose posterior is known in closed form."""
    toy = ToyDecoder()
    return replace(toy, error=replace(toy.error, residual_ms=0.005, count_slack=0.01))


def toy_prior(decoder: ToyDecoder) -> Prior:
    """A Gaussian fitted to sixty neurons."""
    x = torch.randn(60, 5, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return fit_prior(Neurons(space=decoder.space, value=decoder.space.unstandardise(x), axis="neuron"), "gaussian")


def toy_problems(decoder: ToyDecoder, prior: Prior, n: int, *, noise: NoisePrior, end_ms: float = 400.0, seed: int = 2):
    """Recordings drawn from the program."""
    end = torch.full((3,), end_ms).double()
    design = Design(current_pa=CURRENTS, end_ms=end, summary_names=decoder.summary_names)
    blank = Evidence(design=design, times_ms=torch.full((3, 1), torch.inf).double(), summary=torch.zeros(3, 3).double())
    drawn = predict(partial(program, decoder, prior, design, noise=noise), prior, None, blank, n=n, seed=seed)
    return [Evidence(design=design, times_ms=t, summary=s) for t, s in zip(drawn.times_ms, drawn.summary, strict=True)]


def toy_estimator(decoder: ToyDecoder, prior: Prior, *, noise: NoisePrior, folder=None, steps: int = 150):
    """Trained in a few seconds: rough, which is what its weights are for."""
    schedule = replace(USUAL, steps=steps, batch=128, ema=0.95, peak_lr=5e-3, save_every=5)
    return train_estimator(
        decoder, prior, noise=noise, robust=False, n=2000, schedule=schedule, sizes=SMALL, seed=1, folder=folder
    )
