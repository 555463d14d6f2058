"""The state behind repeats: jitter from sweep to sweep and drift over minutes, of several features in several cells.

Sweep ``s`` of a cell, recorded at minute ``t_s`` with stimulus ``g(s)``, has the features

    y_s = mean_g(s) + x(t_s) + e_s,      e_s ~ Normal(0, Sigma),      x a random walk with variance D^2 per minute,

``Sigma = diag(jitter) R diag(jitter)`` with one correlation matrix ``R`` for all cells, jitter and drift of each cell
partially pooled around common ones, on logs. What repeats of one stimulus share cancels: in an orthonormal basis of the
contrasts between sweeps of equal stimulus, which also diagonalises the walk's covariance ``min(t, t')``, rows are
independent with covariance ``Sigma + lambda_k D^2`` (restricted maximum likelihood, no approximation). The white noise
of the electrode is a chi-squared scale of its own, pooled over cells too.

Limits: drift is the same for all stimuli of a cell, in the feature's unit or its logarithm; a random walk has no end:
do not extrapolate over hours; only sweeps in which every feature exists are used. Without three sweeps of one stimulus,
or sweeps of several stimuli in turn, the data can not tell drift from jitter and the prior answers: look at the
intervals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyro
import pyro.distributions as dist
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from noble_prob.errors import require, require_seed
from noble_prob.noise.chains import run_chains, worst_r_hat
from noble_prob.priors.rng import derive

SPREAD = -1.0
"""Log of the median spread of log scales between cells."""
CORRELATION = 2.0
"""Shape of the LKJ prior of the correlations: mild preference for none."""


@dataclass(frozen=True, kw_only=True)
class SweepStates:
    """Features of sweeps in order of time.

    Attributes:
        names: Features.
        units: Their units.
        value: Per cell, shape ``(sweep, feature)``; rows with NaN are left out.
        stimulus: Per cell, the stimulus of each sweep.
        minutes: Per cell, when each sweep was recorded, shape ``(sweep,)``.
        cell: Names of the cells.
        electrode: Per cell, mean square of white voltage noise (mV^2) and its degrees of freedom; empty if unknown.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    value: Sequence[Float[Tensor, "sweep feature"]]
    stimulus: Sequence[Sequence[object]]
    minutes: Sequence[Float[Tensor, " sweep"]]
    cell: tuple[str, ...]
    electrode: Sequence[tuple[float, float]] = ()

    def __post_init__(self) -> None:
        n = len(self.cell)
        require(
            n > 0 and n == len(self.value) == len(self.stimulus) == len(self.minutes),
            "value",
            "a table, stimuli and times per cell",
            len(self.value),
            "describe every cell",
        )
        require(
            len(self.electrode) in (0, n),
            "electrode",
            f"one pair for each of {n} cells, or none",
            len(self.electrode),
            "measure every cell, or none",
        )


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Independent rows of all cells, padded.

    Attributes:
        y: Contrasts in units of ``unit``, shape ``(cell, row, feature)``.
        walk: Variance of a unit walk along each row (minutes), shape ``(cell, row)``.
        used: Which rows count, shape ``(cell, row)``.
        unit: Scale of each feature, shape ``(feature,)``.
        electrode: Log SD and degrees of freedom of each cell's electrode noise, shape ``(cell, 2)``; maybe no cell.
    """

    y: Float[Tensor, "cell row feature"]
    walk: Float[Tensor, "cell row"]
    used: Bool[Tensor, "cell row"]
    unit: Float[Tensor, " feature"]
    electrode: Float[Tensor, "cell two"]


def contrast_rows(
    value: Float[Tensor, "sweep feature"], stimulus: Sequence[object], minutes: Float[Tensor, " sweep"]
) -> tuple[Float[Tensor, "row feature"], Float[Tensor, " row"]]:
    """Independent contrasts between sweeps of equal stimulus, and the variance of a unit walk along each."""
    known = torch.isfinite(value).all(-1)
    y, t = value[known].double(), minutes[known].double()
    keys = [repr(s) for s, k in zip(stimulus, known.tolist(), strict=True) if k]
    groups = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    if len(keys) <= len(groups):
        return y[:0], t[:0]
    member = torch.zeros(len(keys), len(groups), dtype=torch.float64)
    member[torch.arange(len(keys)), torch.tensor([groups[key] for key in keys])] = 1.0
    basis = torch.linalg.qr(member, mode="complete").Q[:, len(groups) :]
    walk = torch.minimum(t[:, None], t[None]) - t.min()
    values, vectors = torch.linalg.eigh(basis.T @ walk @ basis)
    return vectors.T @ basis.T @ y, values.clamp(min=0)


def rows_of(states: SweepStates) -> Rows:
    """All cells' contrasts, padded and scaled.

    Raises:
        UsageError: If no stimulus was repeated.
    """
    found = [contrast_rows(*args) for args in zip(states.value, states.stimulus, states.minutes, strict=True)]
    most = max(len(y) for y, _ in found)
    require(most > 0, "states", "a cell in which a stimulus was repeated", "none", "repeat a stimulus")
    pad = torch.nn.functional.pad
    y = torch.stack([pad(rows, (0, 0, 0, most - len(rows))) for rows, _ in found])
    walk = torch.stack([pad(w, (0, most - len(w))) for _, w in found])
    used = torch.stack([torch.arange(most) < len(rows) for rows, _ in found])
    unit = (y.square().sum((0, 1)) / used.sum()).sqrt().clamp(min=1e-9)
    noise = torch.tensor([[0.5 * torch.tensor(square).log().item(), dof] for square, dof in states.electrode])
    return Rows(y=y / unit, walk=walk, used=used, unit=unit, electrode=noise.reshape(-1, 2).double())


def log_likelihood(
    rows: Rows,
    jitter: Float[Tensor, "cell feature"],
    drift: Float[Tensor, "cell feature"],
    tril: Float[Tensor, "feature feature"],
) -> Float[Tensor, " cell"]:
    """Log density of every cell's rows, up to a constant.

    Its slope is written down: with ``a = K^-1 y`` that of a Gaussian row's log density over its covariance ``K`` is
    ``(a a' - K^-1) / 2``. Automatic differentiation through some hundred small factors takes three times as long.

    Args:
        rows: Contrasts.
        jitter: SD from sweep to sweep, in units of ``rows.unit``.
        drift: SD per square root of a minute, in the same units.
        tril: Cholesky factor of the correlation of the jitter.
    """
    root = jitter[:, :, None] * tril
    shared, slow = root @ root.mT, drift**2
    at, by = shared.detach(), slow.detach()  # detached, not no_grad: a traced program forgets the latter
    factor = torch.linalg.cholesky(at[:, None] + torch.diag_embed(rows.walk[..., None] * by[:, None] + 1e-9))
    inverse = torch.cholesky_inverse(factor)
    pull = inverse @ rows.y[..., None]
    energy = (rows.y * pull[..., 0]).sum(-1) + 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    slope = 0.5 * (pull * pull.mT - inverse) * rows.used[..., None, None]
    along = (slope.diagonal(dim1=-2, dim2=-1) * rows.walk[..., None]).sum(1)
    value = -0.5 * (energy * rows.used).sum(-1)
    return value + (slope.sum(1) * (shared - at)).sum((-1, -2)) + (along * (slow - by)).sum(-1)


def model(rows: Rows) -> tuple[Tensor, Tensor]:
    """The Pyro model; returns logs of jitter and drift of every cell, in units of ``rows.unit``.

    Cells are sampled as deviations from the common scale: where drift hides a cell's jitter its data say little, and
    sampled as they are those scales and their spread would make a funnel.
    """
    cells, _, features = rows.y.shape
    one, many = torch.ones(features).double(), torch.ones(cells, features).double()
    common = pyro.sample("jitter", dist.Normal(-0.5 * one, 1.0 * one).to_event(1))
    slow = pyro.sample("drift", dist.Normal(-2.0 * one, 1.5 * one).to_event(1))
    between = pyro.sample("between_cells", dist.LogNormal(SPREAD * one, 0.5 * one).to_event(1))
    slow_between = pyro.sample("drift_between_cells", dist.LogNormal(SPREAD * one, 0.5 * one).to_event(1))
    log_jitter = common + between * pyro.sample("cell", dist.Normal(0.0 * many, many).to_event(2))
    log_drift = slow + slow_between * pyro.sample("drift_cell", dist.Normal(0.0 * many, many).to_event(2))
    tril = pyro.sample("correlation", dist.LKJCholesky(features, torch.tensor(CORRELATION).double()))
    density = log_likelihood(rows, log_jitter.clamp(-9, 5).exp(), log_drift.clamp(-9, 5).exp(), tril)
    pyro.factor("sweeps", density.sum())
    if len(rows.electrode):
        _electrode(rows.electrode)
    return log_jitter, log_drift


def _electrode(noise: Float[Tensor, "cell two"]) -> None:
    """White noise of every electrode: log SD around a common one; the log of a mean square is nearly Gaussian."""
    zero, one = torch.zeros(()).double(), torch.ones(()).double()
    common = pyro.sample("electrode", dist.Normal(-2.5 * one, 1.5 * one))
    between = pyro.sample("electrode_between_cells", dist.LogNormal(SPREAD * one, 0.5 * one))
    cells = pyro.sample("electrode_cell", dist.Normal(common, between).expand([len(noise)]).to_event(1))
    seen = dist.Normal(cells, (0.5 / noise[:, 1]).sqrt()).to_event(1)
    pyro.sample("electrode_seen", seen, obs=noise[:, 0] + zero)


@dataclass(frozen=True, kw_only=True)
class StateFit:
    """Posterior of jitter, drift and electrode noise.

    Attributes:
        states: What was fitted.
        jitter: SD from sweep to sweep (unit), shape ``(draw, cell, feature)``.
        drift: SD per square root of a minute (unit), shape ``(draw, cell, feature)``.
        correlation: Of the jitter, shape ``(draw, feature, feature)``.
        electrode_mv: SD of white noise (mV), shape ``(draw, cell)``; no cell where it was not measured.
        r_hat: Largest split R-hat of all logarithms.
        divergences: Divergent trajectories.
        seed: Seed of the fit.
        chains: Chains; draws of one follow those of the other.
    """

    states: SweepStates
    jitter: Float[Tensor, "draw cell feature"]
    drift: Float[Tensor, "draw cell feature"]
    correlation: Float[Tensor, "draw feature feature"]
    electrode_mv: Float[Tensor, "draw cell"]
    r_hat: float
    divergences: int
    seed: int
    chains: int = 1

    def summary(self, mass: float = 0.89) -> list[Mapping[str, object]]:
        """Per feature the posterior of the median cell's jitter and drift: median and interval, JSON values."""
        tails = torch.tensor([0.5, (1 - mass) / 2, (1 + mass) / 2], dtype=torch.float64)
        rows: list[Mapping[str, object]] = []
        for k, (name, unit) in enumerate(zip(self.states.names, self.states.units, strict=True)):
            both = {"jitter": self.jitter, "drift": self.drift}
            ends = {key: torch.quantile(x[..., k].median(1).values, tails).tolist() for key, x in both.items()}
            rows.append({"feature": name, "unit": unit, **ends})
        return rows


def fit_state(states: SweepStates, *, draws: int = 500, warmup: int = 300, chains: int = 2, seed: int = 0) -> StateFit:
    """Fit jitter, drift and electrode noise by NUTS, hierarchically over cells.

    Args:
        states: Features of sweeps in order of time.
        draws: Draws kept per chain.
        warmup: Draws thrown away per chain.
        chains: Chains, one after the other.
        seed: Seed of everything random.

    Raises:
        UsageError: If no stimulus was repeated.
    """
    seed = require_seed(seed)
    rows = rows_of(states)
    site, divergences = run_chains(model, rows, draws=draws, warmup=warmup, chains=chains, seed=derive("state", seed))
    log_jitter, log_drift = _cells(site, "jitter", "cell"), _cells(site, "drift", "drift_cell")
    tril = site["correlation"].flatten(0, 1)
    electrode = site["electrode_cell"] if "electrode_cell" in site else log_jitter[..., :0, 0]
    log = torch.cat([log_jitter.flatten(2), log_drift.flatten(2), electrode], -1)
    return StateFit(
        states=states,
        jitter=log_jitter.exp().flatten(0, 1) * rows.unit,
        drift=log_drift.exp().flatten(0, 1) * rows.unit,
        correlation=tril @ tril.mT,
        electrode_mv=electrode.exp().flatten(0, 1),
        r_hat=worst_r_hat(log),
        divergences=divergences,
        seed=seed,
        chains=chains,
    )


def _cells(site: Mapping[str, Tensor], common: str, cell: str) -> Float[Tensor, "chain draw cell feature"]:
    """Log scales of cells from the common ones, their spread and the deviations."""
    between = site["between_cells" if cell == "cell" else f"{common}_between_cells"]
    return site[common].unsqueeze(-2) + between.unsqueeze(-2) * site[cell]
