"""Neurons of two numbers that fire by a formula, their latents, and a spike map that is wrong about them."""

import numpy as np
import torch
from torch import nn

from noble_prob.latent import LatentSpace
from noble_prob.population.latents import FEATURES26

N_SPIKES = 64


def true_times(shape, current_pa):
    """Spike times of neurons of shape ``(neuron, 2)``: excitability, adaptation; at one current each."""
    drive = (current_pa.clamp(min=0.0) * torch.exp(0.15 * shape[:, 0]) + 1) / 100
    latency = 8.0 / drive
    k = torch.arange(N_SPIKES - 1)
    interval = 18.0 / drive[:, None] * (1 + 0.4 * torch.sigmoid(shape[:, 1:]) * (1 - torch.exp(-k / 4.0)))
    return torch.cat([latency[:, None], latency[:, None] + interval.cumsum(-1)], 1)


def latents(shape):
    """What :data:`FEATURES26` says of them; features of the voltage are zero."""
    found = torch.zeros(len(shape), len(FEATURES26), dtype=torch.float64)
    for k, item in enumerate(FEATURES26):
        times = true_times(shape, torch.full((len(shape),), float(item.current_pa), dtype=torch.float64)).numpy()
        if item.feature == "first_spike_latency_ms":
            found[:, k] = torch.from_numpy(np.log(times[:, 0]))
        elif item.feature == "first_isi_ms":
            found[:, k] = torch.from_numpy(np.log(times[:, 1] - times[:, 0]))
        elif item.feature.startswith("mean_isi_to_"):
            moment = float(item.feature.split("_")[3].removesuffix("ms"))
            phase = np.array([np.interp(moment, row, np.arange(N_SPIKES)) for row in times])
            found[:, k] = torch.from_numpy(np.log((moment - times[:, 0]) / phase))
    return found


def shapes(n, seed=0):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


SPACE = LatentSpace(
    name="features26",
    latents=FEATURES26,
    mean=latents(shapes(500)).mean(0),
    sd=latents(shapes(500)).std(0) + 1e-3,
)


def neurons(n, seed=1):
    """Standardised latents of ``n`` neurons, in single precision."""
    return SPACE.standardise(latents(shapes(n, seed))).float()


def currents(n, seed=2):
    """Steps between 20 and 200 pA."""
    return 20 + 180 * torch.rand(n, generator=torch.Generator().manual_seed(seed))


class Wrong(nn.Module):
    """The formula, wrong by a factor that depends on current and time: ``late`` is that of intervals after 200 ms."""

    def __init__(self, *, early=1.03, late=1.08):
        super().__init__()
        self.early = nn.Parameter(torch.tensor(float(early)))
        self.late = late

    def mean_times(self, x, current_pa):
        values = SPACE.unstandardise(x.double())
        names = [item.name for item in FEATURES26]
        shape = self._shape(values, names)
        times = true_times(shape.cpu(), current_pa.double().cpu()).to(x.device)
        steps = torch.diff(times, dim=-1, prepend=torch.zeros_like(times[:, :1]))
        slow = 1 + (current_pa.double()[:, None] / 2000)  # the error grows with the current
        factor = self.early.double() * torch.where(times > 200, self.late, 1.0) * slow
        return (steps * factor).cumsum(-1).to(x.dtype)

    @staticmethod
    def _shape(values, names):
        """Excitability from the latency at 50 pA, adaptation from first and later intervals there."""
        latency = values[:, names.index("log_latency_50pa")].exp()
        drive = 8.0 / latency
        first = 18.0 / drive
        excitability = ((100 * drive - 1) / 50).log() / 0.15
        phase = (300 - latency) / values[:, names.index("log_mean_isi_to_300ms_50pa")].exp()
        lean = (300 - latency) / phase / first - 1
        share = (lean / 0.4 / (1 - 4 / phase * (1 - torch.exp(-phase / 4)))).clamp(0.02, 0.98)
        return torch.stack([excitability, torch.logit(share)], -1)
