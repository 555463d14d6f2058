"""The trial model of recorded repeats: from voltages to scales, to further repeats, to a model that ``respond`` takes.

The fit itself is in :mod:`noble_prob.noise.repeats`; here are its edges. No decoder is needed to fit or to forecast,
so the prediction "the next repeats will scatter like this" can be tested on repeats that were held back; only
:func:`trial_model` speaks of latents, and carries the fitted scales to any neuron of a decoder.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from noble_prob.calibration.replay import TRAIN, train_features
from noble_prob.calibration.table import FeatureTable
from noble_prob.errors import require
from noble_prob.features import find_spikes
from noble_prob.latent import Latent, LatentSpace
from noble_prob.noise.chains import warn_unsettled
from noble_prob.noise.forecast import forecast
from noble_prob.noise.repeats import RepeatFit, SpikeRepeats, fit_repeats
from noble_prob.noise.state import StateFit
from noble_prob.noise.timing import TimingScatter
from noble_prob.noise.traces import TraceNoise
from noble_prob.noise.trial import REFERENCE_MS, TrialModel
from noble_prob.recording import Recording


def repeats_of(recording: Recording) -> SpikeRepeats:
    """Spike trains of repeated steps, one group per neuron and sweep.

    Args:
        recording: Axes ``("trial",)`` or ``("neuron", "trial")``; every sweep a step.

    Raises:
        UsageError: If the recording has no trials or a sweep is no step.
    """
    require(
        recording.axes in (("trial",), ("neuron", "trial")),
        "recording.axes",
        "('trial',) or ('neuron', 'trial')",
        recording.axes,
        "pass repeats of the same steps",
    )
    steps = [step for step in recording.steps if step is not None]
    require(len(steps) == recording.n_sweeps, "recording", "steps only", "another waveform", "select the steps")
    voltage = recording.voltage_mv if recording.axes[0] == "neuron" else recording.voltage_mv[None]
    trains, ends, cells, currents = [], [], [], []
    for neuron, trials in enumerate(voltage):
        for sweep, step in enumerate(steps):
            spikes = find_spikes(trials[:, sweep], recording.time_ms, start_ms=step.onset_ms, stop_ms=step.offset_ms)
            known = torch.isfinite(spikes.peak_ms)
            trains.append([t[k].double().cpu() - step.onset_ms for t, k in zip(spikes.peak_ms, known, strict=True)])
            ends.append(step.duration_ms)
            cells.append(str(neuron))
            currents.append(step.amplitude_pa)
    return SpikeRepeats(times_ms=trains, end_ms=ends, cell=cells, current_pa=currents)


def fit_trials(
    recording: Recording | SpikeRepeats,
    *,
    draws: int = 300,
    warmup: int = 200,
    seed: int = 0,
    progress: bool = False,
) -> RepeatFit:
    """Fit the trial model to repeats: hierarchical over neurons and stimuli, with posterior uncertainty.

    Args:
        recording: Repeats as voltage, or as spike trains.
        draws: Draws kept of each of two chains.
        warmup: Draws thrown away.
        seed: Seed of everything random.
        progress: Show a bar on stderr.

    Raises:
        UsageError: If there are no repeats, or no stimulus makes every repeat fire.
    """
    repeats = recording if isinstance(recording, SpikeRepeats) else repeats_of(recording)
    return fit_repeats(repeats, draws=draws, warmup=warmup, seed=seed, progress=progress)


def train_table(times_ms: np.ndarray, *, source: str) -> FeatureTable:
    """Spike trains, padded with infinity, as a table of repeats.

    Args:
        times_ms: Shape ``(repeat, spike)``, ms after onset.
        source: Where they came from.
    """
    return FeatureTable(
        names=tuple(TRAIN), units=tuple(TRAIN.values()), value=train_features(times_ms), axis="trial", source=source
    )


def observed_table(repeats: SpikeRepeats, group: int, *, source: str = "experiment") -> FeatureTable:
    """The recorded repeats of one group as a table."""
    trains = [np.asarray(t, dtype=float) for t in repeats.times_ms[group]]
    times = np.full((len(trains), max(1, *map(len, trains))), np.inf)
    for row, train in zip(times, trains, strict=True):
        row[: len(train)] = train
    return train_table(times, source=source)


def forecast_table(fit: RepeatFit, group: int, *, n: int = 1000, seed: int = 0) -> FeatureTable:
    """Predicted repeats of one group as a table, to be judged by ``calibrate_repeats``.

    Args:
        fit: The fitted trial model.
        group: Index of the neuron and stimulus.
        n: Predicted repeats.
        seed: Of the draws.
    """
    return train_table(forecast(fit, group, n, seed=seed).numpy(), source="fitted trial model")


def trial_model(
    fit: RepeatFit,
    space: LatentSpace,
    *,
    cell: str | None = None,
    state: StateFit | None = None,
    electrode_mv: float | None = None,
    minutes_apart: float = 0.0,
) -> TrialModel:
    """The fitted scales as a trial model of a decoder's neurons, for ``respond(..., trials=n)``.

    The shares by which latency and rate vary move spike times, each current by those fitted nearby; phase diffusion
    comes on top. The latents vary and drift as the features of ``state`` do, with its correlations (a feature of the
    state that is a latent, or the logarithm of which is); without it they do not vary, because spike trains say nothing
    about them. ``log_latency`` and ``log_rate`` in a state give the drift of all latencies and intervals.

    A fit whose chains have not settled (R-hat above 1.01) is used with a ``UserWarning``.

    Args:
        fit: The fitted trial model of the spike trains.
        space: Latents of the decoder.
        cell: One of the fitted cells; the median over cells if not given.
        state: Jitter, drift and electrode noise, where they were fitted.
        electrode_mv: White noise on the voltage (mV); that of ``state`` if not given.
        minutes_apart: Time between sweeps (minutes), over which the state drifts.

    Raises:
        UsageError: If the cell was not fitted.
    """
    require(cell is None or cell in fit.cells, "cell", f"among {', '.join(fit.cells)}", cell, "name a fitted cell")
    warn_unsettled(fit.r_hat, "the trial model")
    if state is not None:
        warn_unsettled(state.r_hat, "the state")
    groups = [g for g, name in enumerate(fit.repeats.cell) if cell in (None, name)]
    scales = fit.scales[:, groups].median(0).values
    current = torch.tensor([fit.repeats.current_pa[g] for g in groups], dtype=torch.float64)
    sigma, slope = _diffusion(fit, groups, scales[:, 2])
    loading, drift, electrode = _loadings(space, state, cell)
    return TrialModel(
        latent_tril=loading,
        timing=_timing(current, scales),
        phase_diffusion=sigma,
        diffusion_slope=slope,
        drift=drift,
        minutes_apart=minutes_apart,
        trace=TraceNoise(electrode_mv=electrode if electrode_mv is None else electrode_mv),
        provenance={
            "fitted_to": f"{len(fit.repeats.times_ms)} groups of repeats",
            "seed": fit.seed,
            "r_hat": fit.r_hat,
            "state": None if state is None else list(state.states.names),
        },
    )


TIMING = {"log_latency": "latency", "log_rate": "isi"}
"""Columns of a fitted state that stand for all latencies and all intervals."""


def _timing(current: torch.Tensor, scales: torch.Tensor) -> TimingScatter:
    """Median shares of latency and rate at every current that was fitted."""
    known = torch.unique(current)  # sorted
    shares = torch.stack([scales[current == pa, :2].median(0).values for pa in known])
    return TimingScatter(current_pa=known, latency=shares[:, 0], rate=shares[:, 1])


def _diffusion(fit: RepeatFit, groups: list[int], sigma: torch.Tensor) -> tuple[float, float]:
    """Phase diffusion at the reference interval, and its slope over intervals (least squares on logs)."""
    interval = torch.tensor([_interval(fit.repeats.times_ms[g]) for g in groups], dtype=torch.float64)
    known = torch.isfinite(interval)
    x, y = (interval[known] / REFERENCE_MS).log(), sigma[known].log()
    if len(x) < 2 or float(x.max() - x.min()) < 0.3:
        return float(sigma.median()), 0.0
    design = torch.stack([torch.ones_like(x), x], 1)
    level, slope = torch.linalg.lstsq(design, y[:, None]).solution[:, 0].tolist()
    return math.exp(level), min(max(slope, -1.0), 1.0)


def _interval(trains: Sequence[torch.Tensor]) -> float:
    """Mean interval of the trains of one group (ms)."""
    gaps = torch.cat([torch.diff(torch.as_tensor(t)) for t in trains])
    return float(gaps.double().mean()) if len(gaps) else float("nan")


def _loadings(
    space: LatentSpace, state: StateFit | None, cell: str | None
) -> tuple[torch.Tensor, torch.Tensor | None, float]:
    """Factor of the latents' covariance over repeats, drift, both standardised, and electrode noise (mV)."""
    names = () if state is None else state.states.names
    jitter, slow, correlation, electrode = _middle(state, cell)
    columns = {TIMING.get(n, n): k for k, n in enumerate(names)}
    varying = [k for k, n in enumerate(names) if n not in TIMING]  # the jitter of timing is that of the spike trains
    load, walk = torch.zeros(len(space), len(varying), dtype=torch.float64), torch.zeros(len(space)).double()
    for k, item in enumerate(space.latents):
        column = columns.get(_source(item, list(columns)) or "")
        if column is not None:
            walk[k] = float(slow[column]) / float(space.sd[k])
        if column in varying:
            load[k, varying.index(column)] = float(jitter[column]) / float(space.sd[k])
    tril = torch.zeros(len(space), len(space), dtype=torch.float64)
    if varying:
        root = load @ torch.linalg.cholesky(correlation[varying][:, varying] + 1e-9 * torch.eye(len(varying)))
        square = torch.linalg.qr(root.T, mode="r").R.T  # any factor will do; a lower triangle is one
        tril[:, : square.shape[1]] = square
    return tril, (walk if state is not None else None), electrode


def _source(item: Latent, sources: list[str]) -> str | None:
    """What moves a latent from repeat to repeat."""
    if item.log:
        timing = next((key for key in ("latency", "isi") if key in item.feature), None)
        return timing if timing else (f"log_{item.feature}" if f"log_{item.feature}" in sources else None)
    return item.feature if item.feature in sources else None


def _middle(state: StateFit | None, cell: str | None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, float]:
    """Posterior medians of jitter and drift, mean correlation, median electrode noise, of one cell or over cells."""
    if state is None:
        nothing = torch.zeros(0, dtype=torch.float64)
        return nothing, nothing, nothing, 0.0
    known = state.states.cell
    at = [known.index(cell)] if cell in known else list(range(len(known)))
    electrode = state.electrode_mv[:, at] if state.electrode_mv.shape[1] else torch.zeros(1, 1)
    jitter, slow = (x[:, at].flatten(0, 1).median(0).values for x in (state.jitter, state.drift))
    return jitter, slow, state.correlation.mean(0), float(electrode.median())


def electrode_noise(recording: Recording) -> tuple[float, float]:
    """Mean square of white voltage noise before the steps (mV^2) and its degrees of freedom.

    Half the mean squared difference of successive samples: slow fluctuations of the membrane fall out, and so does
    noise below the sampling rate. Outliers (a spike before the step) are cut at five robust SDs. Neighbouring
    differences share a sample, so ``N`` of them know as much as ``2 N / 3`` independent ones (a correlation of -1/2
    adds half to the variance of their mean square).

    Args:
        recording: Steps of one cell.

    Raises:
        UsageError: If nothing was recorded before a step.
    """
    onset = min((step.onset_ms for step in recording.steps if step is not None), default=0.0)
    before = recording.voltage_mv[..., recording.time_ms < onset].double()
    require(
        before.shape[-1] >= 10,
        "recording",
        "at least ten samples before the step",
        before.shape[-1],
        "read more of the sweep",
    )
    step = torch.diff(before, dim=-1)
    step = step[torch.isfinite(step)]
    limit = 5 * 1.4826 * step.abs().median()
    kept = step[step.abs() <= limit] if limit > 0 else step
    return 0.5 * float(kept.square().mean()), 2 * len(kept) / 3
