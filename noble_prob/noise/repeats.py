"""How repeated spike trains scatter, and the scales behind it: a trial model fitted to repeats, without a decoder.

For repeats ``r`` of one stimulus in one cell, with mean train ``T`` and its intervals ``mu_k = T_k - T_(k-1)``,

    first spike     t_r1         = T_1 (1 + latency a_r)
    interval k      t_rk - t_r,k-1 = mu_k (1 + rate b_r) + sigma sqrt(mu_k^3) e_rk

with standard normal ``a, b, e``: a latency that varies by a share, a rate that varies from repeat to repeat by a
share (slow: the whole train stretches), and phase diffusion ``sigma`` (spikes per square root of a second: each
interval is a first passage, so jitter grows along the train; see :func:`noble_prob.noise.trial.diffuse`). Latency
and intervals are then Gaussian, the intervals with covariance ``diag(sigma^2 mu^3 + 2 jitter^2) + rate^2 mu mu'``:
diagonal plus rank one, so its density costs no matrix inversion.

The unknown mean train is removed exactly: ``n`` repeats leave ``n - 1`` independent contrasts of the same covariance
(:func:`contrasts`), which is restricted maximum likelihood. The scales of groups (cell x stimulus) are drawn around
those of their cell, those around a common one (partial pooling), all on logs, by NUTS. Only spikes that every repeat
of a group has are used. Limits: regular enough trains (no bursts that appear and vanish), Gaussian latency; rundown
over minutes belongs to :func:`noble_prob.calibration.separate_drift`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyro
import pyro.distributions as dist
import torch
from jaxtyping import Bool, Float
from pyro.infer.autoguide import init_to_value
from torch import Tensor

from noble_prob.errors import require, require_seed
from noble_prob.noise.chains import run_chains, worst_r_hat
from noble_prob.priors.rng import derive

SCALES = ("latency", "rate", "phase_diffusion")
"""The three scales, in the order of the last axis of everything here."""
CENTRE, WIDTH = (0.05, 0.02, 0.3), 1.0
"""Medians of the common scales and the SD of their logarithms, before any data."""
SPREAD = -1.2
"""Log of the median spread of log scales between cells, and between stimuli: a factor of 1.35; never zero, which would
make a funnel that samplers creep through."""
JITTER_MS = 0.02
"""SD of a single spike's time by measurement (ms)."""
MOST_SPIKES = 40
CENTRED = torch.tensor([True, False, True])
"""Scales that a group's own repeats fix: their logarithms are sampled as they are. The others (a rate that hardly
varies beyond diffusion) are sampled as deviations from their cell, or chains would creep."""


@dataclass(frozen=True, kw_only=True)
class SpikeRepeats:
    """Spike times of repeats of several stimuli in several cells.

    Attributes:
        times_ms: Per group (cell x stimulus) the trains of its repeats (ms after onset).
        end_ms: End of each group's window (ms after onset).
        cell: Name of each group's cell.
        current_pa: Step of each group (pA), for names and for prediction.
    """

    times_ms: Sequence[Sequence[Tensor]]
    end_ms: Sequence[float]
    cell: Sequence[str]
    current_pa: Sequence[float]

    def __post_init__(self) -> None:
        n = len(self.times_ms)
        require(
            n == len(self.end_ms) == len(self.cell) == len(self.current_pa),
            "times_ms",
            "with one end, cell and current per group",
            n,
            "describe every group",
        )
        repeats = [len(group) for group in self.times_ms]
        require(
            bool(n) and min(repeats) >= 2,
            "times_ms",
            "groups of at least two repeats",
            repeats,
            "repeat every stimulus",
        )

    def __repr__(self) -> str:
        """One line for people."""
        trains = sum(len(group) for group in self.times_ms)
        return f"SpikeRepeats(trains {trains}, groups {len(self.times_ms)}, cells {len(set(self.cell))})"


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """What the likelihood needs of every group: latency in column 0, then intervals; padded with zeros.

    Attributes:
        mean_ms: Mean latency and intervals, 1 where padded, shape ``(group, spike)``.
        used: Which columns count, shape ``(group, spike)``.
        contrast_ms: Independent contrasts of the repeats, shape ``(group, contrast, spike)``.
        count: Number of contrasts of each group, shape ``(group,)``.
    """

    mean_ms: Float[Tensor, "group spike"]
    used: Bool[Tensor, "group spike"]
    contrast_ms: Float[Tensor, "group contrast spike"]
    count: Float[Tensor, " group"]


def contrasts(x: Float[Tensor, "repeat spike"]) -> Float[Tensor, "contrast spike"]:
    """Helmert contrasts: each repeat against the mean of those before it, scaled to the covariance of one repeat."""
    order = torch.arange(1, len(x), dtype=x.dtype)[:, None]
    before = x.cumsum(0)[:-1] / order
    return (x[1:] - before) * (order / (order + 1)).sqrt()


def pieces(repeats: SpikeRepeats) -> Pieces:
    """Means and contrasts of the spikes that every repeat of a group has; a group without any counts nothing.

    Raises:
        UsageError: If no group has a spike in every repeat.
    """
    counts = [min(min(len(t) for t in group), MOST_SPIKES) for group in repeats.times_ms]
    require(max(counts) > 0, "repeats", "a stimulus that makes every repeat fire", "none", "use stronger steps")
    width, most = max(counts), max(len(group) - 1 for group in repeats.times_ms)
    mean, used = torch.ones(len(counts), width).double(), torch.zeros(len(counts), width, dtype=torch.bool)
    rows, n = torch.zeros(len(counts), most, width).double(), torch.zeros(len(counts)).double()
    for g, (group, k) in enumerate(zip(repeats.times_ms, counts, strict=True)):
        if k:
            times = torch.stack([torch.as_tensor(t[:k], dtype=torch.float64) for t in group])
            x = torch.diff(times, dim=-1, prepend=torch.zeros_like(times[:, :1]))
            mean[g, :k], used[g, :k] = x.mean(0), True
            rows[g, : len(x) - 1, :k] = contrasts(x)
            n[g] = len(x) - 1
    return Pieces(mean_ms=mean, used=used, contrast_ms=rows, count=n)


def log_likelihood(data: Pieces, scales: Float[Tensor, "group 3"]) -> Float[Tensor, " group"]:
    """Log density of the contrasts of every group, up to a constant (Sherman and Morrison for the rank-one part).

    Args:
        data: Means and contrasts.
        scales: ``latency``, ``rate`` and ``phase_diffusion`` of every group.
    """
    latency, rate, sigma = scales[:, None].unbind(-1)
    first = (latency * data.mean_ms[:, :1]) ** 2 + JITTER_MS**2
    walk = sigma**2 * data.mean_ms[:, 1:] ** 3 / 1000.0 + 2 * JITTER_MS**2
    variance = torch.where(data.used, torch.cat([first, walk], 1), 1.0)
    along = torch.where(data.used, data.mean_ms, 0.0)[:, 1:] / variance[:, 1:]
    stretch = 1 + rate[:, 0] ** 2 * (along * data.mean_ms[:, 1:]).sum(-1)
    square = (data.contrast_ms**2 / variance[:, None]).sum((-2, -1))
    projected = (data.contrast_ms[..., 1:] * along[:, None]).sum(-1)
    square = square - rate[:, 0] ** 2 * (projected**2).sum(-1) / stretch
    return -0.5 * (square + data.count * (variance.log().sum(-1) + stretch.log()))


def model(data: Pieces, cell: Tensor) -> Tensor:
    """The Pyro model: common scales, those of cells, those of groups; returns the logarithms of the groups' scales."""
    n_cells, n_groups = int(cell.max()) + 1, len(cell)
    zero, one = torch.zeros(3).double(), torch.ones(3).double()
    common = pyro.sample("common", dist.Normal(torch.tensor(CENTRE).double().log(), WIDTH * one).to_event(1))
    between = pyro.sample("between_cells", dist.LogNormal(SPREAD * one, 0.5 * one).to_event(1))
    within = pyro.sample("between_stimuli", dist.LogNormal(SPREAD * one, 0.5 * one).to_event(1))
    cells = pyro.sample("cell", dist.Normal(zero, one).expand([n_cells, 3]).to_event(2))
    centre = common + between * cells[cell]
    at, by = torch.where(CENTRED, centre, zero), torch.where(CENTRED, within, one).expand(n_groups, 3)
    groups = pyro.sample("group", dist.Normal(at, by).to_event(2))
    log = torch.where(CENTRED, groups, centre + within * groups)
    pyro.factor("repeats", log_likelihood(data, log.clamp(-12, 3).exp()).sum())
    return log


def rough_scales(data: Pieces) -> Float[Tensor, "group 3"]:
    """Moment estimates of the logarithms of the centred scales, where chains start; zero in the other column."""
    rows = (data.count[:, None] * data.used).clamp(min=1)
    variance = (data.contrast_ms**2).sum(1) / rows
    latency = (variance[:, 0].sqrt() / data.mean_ms[:, 0]).clamp(1e-3, 2.0)
    walk = (1000 * variance / data.mean_ms**3)[:, 1:] * data.used[:, 1:]
    sigma = (walk.sum(-1) / data.used[:, 1:].sum(-1).clamp(min=1)).sqrt().clamp(1e-2, 3.0)
    start = torch.stack([latency, torch.ones_like(latency), sigma], -1).log()
    return torch.where(data.used[:, :1], start, torch.tensor(CENTRE).double().log() * CENTRED)


@dataclass(frozen=True, kw_only=True)
class RepeatFit:
    """Posterior of the scales behind repeated spike trains.

    Attributes:
        repeats: What was fitted.
        scales: Draws of every group's scales, shape ``(draw, group, 3)``, order :data:`SCALES`.
        cells: Names of the cells.
        r_hat: Largest split R-hat of the logarithms of the scales.
        divergences: Divergent trajectories.
        seed: Seed of the fit.
    """

    repeats: SpikeRepeats
    scales: Float[Tensor, "draw group scale"]
    cells: tuple[str, ...]
    r_hat: float
    divergences: int
    seed: int

    def __repr__(self) -> str:
        """One line for people."""
        draws, groups = self.scales.shape[:2]
        return (
            f"RepeatFit(draws {draws}, groups {groups}, cells {len(self.cells)}, seed {self.seed}; "
            f"worst R-hat {self.r_hat:.3f}, divergences {self.divergences})"
        )

    def summary(self, mass: float = 0.89) -> list[Mapping[str, object]]:
        """Per group and scale the posterior median and interval, JSON values."""
        tails = torch.tensor([(1 - mass) / 2, 0.5, (1 + mass) / 2], dtype=torch.float64)
        low, middle, high = torch.quantile(self.scales, tails, dim=0)
        return [
            {
                "cell": self.repeats.cell[g],
                "current_pa": self.repeats.current_pa[g],
                "scale": name,
                "median": float(middle[g, k]),
                "low": float(low[g, k]),
                "high": float(high[g, k]),
            }
            for g in range(len(middle))
            for k, name in enumerate(SCALES)
        ]


def fit_repeats(
    repeats: SpikeRepeats,
    *,
    draws: int = 300,
    warmup: int = 200,
    chains: int = 2,
    seed: int = 0,
    progress: bool = False,
) -> RepeatFit:
    """Fit the scales to repeats by NUTS.

    Args:
        repeats: Spike trains of repeats.
        draws: Draws kept per chain.
        warmup: Draws thrown away per chain.
        chains: Chains, one after the other.
        seed: Seed of everything random.
        progress: Show a bar on stderr.

    Raises:
        UsageError: If no group has a spike in every repeat.
    """
    seed = require_seed(seed)
    data = pieces(repeats)
    names = tuple(dict.fromkeys(repeats.cell))
    cell = torch.tensor([names.index(name) for name in repeats.cell])
    start = init_to_value(values={"group": rough_scales(data)})
    length = {"draws": draws, "warmup": warmup, "chains": chains}
    of_fit = derive("repeats", seed)
    site, divergences = run_chains(model, data, cell, **length, seed=of_fit, start=start, progress=progress)
    cell_log = site["common"].unsqueeze(-2) + site["between_cells"].unsqueeze(-2) * site["cell"]
    deviating = cell_log[..., cell, :] + site["between_stimuli"].unsqueeze(-2) * site["group"]
    log = torch.where(CENTRED, site["group"], deviating)
    return RepeatFit(
        repeats=repeats,
        scales=log.exp().flatten(0, 1),
        cells=names,
        r_hat=worst_r_hat(log),
        divergences=divergences,
        seed=seed,
    )
