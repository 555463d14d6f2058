"""The trial model of recorded repeats: from voltages to scales, to further repeats, to a model that ``respond`` takes.

The fit itself is in :mod:`noble_prob.noise.repeats`; here are its edges. No decoder is needed to fit or to forecast,
so the prediction "the next repeats will scatter like this" can be tested on repeats that were held back; only
:func:`trial_model` speaks of latents, and carries the fitted scales to any neuron of a decoder.
"""

from __future__ import annotations

import numpy as np
import torch

from noble_prob.calibration.replay import TRAIN, train_features
from noble_prob.calibration.table import FeatureTable
from noble_prob.errors import require
from noble_prob.features import find_spikes
from noble_prob.latent import LatentSpace
from noble_prob.noise.forecast import forecast
from noble_prob.noise.repeats import RepeatFit, SpikeRepeats, fit_repeats
from noble_prob.noise.trial import TrialModel
from noble_prob.recording import Recording


def repeats_of(recording: Recording) -> SpikeRepeats:
    """Spike trains of repeated steps, one group per neuron and sweep.

    Args:
        recording: Axes ``("trial",)`` or ``("neuron", "trial")``; every sweep a step.

    Raises:
        UsageError: If the recording has no trials or a sweep is no step.
    """
    require(recording.axes in (("trial",), ("neuron", "trial")), "recording.axes", "('trial',) or ('neuron', 'trial')",
            recording.axes, "pass repeats of the same steps")  # fmt: skip
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


def fit_trials(recording: Recording | SpikeRepeats, *, draws: int = 300, warmup: int = 200, seed: int = 0) -> RepeatFit:
    """Fit the trial model to repeats: hierarchical over neurons and stimuli, with posterior uncertainty.

    Args:
        recording: Repeats as voltage, or as spike trains.
        draws: Draws kept of each of two chains.
        warmup: Draws thrown away.
        seed: Seed of everything random.

    Raises:
        UsageError: If there are no repeats, or no stimulus makes every repeat fire.
    """
    repeats = recording if isinstance(recording, SpikeRepeats) else repeats_of(recording)
    return fit_repeats(repeats, draws=draws, warmup=warmup, seed=seed)


def train_table(times_ms: np.ndarray, *, source: str) -> FeatureTable:
    """Spike trains, padded with infinity, as a table of repeats.

    Args:
        times_ms: Shape ``(repeat, spike)``, ms after onset.
        source: Where they came from.
    """
    return FeatureTable(names=tuple(TRAIN), units=tuple(TRAIN.values()), value=train_features(times_ms), axis="trial",
                        source=source)  # fmt: skip


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
    fit: RepeatFit, space: LatentSpace, *, cell: str | None = None, electrode_mv: float = 0.0
) -> TrialModel:
    """The fitted scales as a trial model in latent space, for ``respond(..., trials=n)``.

    The share by which the latency varies becomes the SD of every log-latency latent, the share of the rate that of
    every log-interval latent; all latencies move together, and all intervals. Other latents do not vary: spike
    trains say nothing about them.

    Args:
        fit: The fitted trial model.
        space: Latents of the decoder.
        cell: One of the fitted cells; the median over cells if not given.
        electrode_mv: White noise on the voltage (mV).

    Raises:
        UsageError: If the cell was not fitted.
    """
    require(cell is None or cell in fit.cells, "cell", f"among {', '.join(fit.cells)}", cell, "name a fitted cell")
    chosen = fit.cell_scales if cell is None else fit.cell_scales[:, [fit.cells.index(cell)]]
    latency, rate, sigma = chosen.flatten(0, 1).median(0).values.tolist()
    tril = torch.zeros(len(space), len(space), dtype=torch.float64)
    for share, feature in ((latency, "latency"), (rate, "isi")):
        moved = [k for k, item in enumerate(space.latents) if item.log and feature in item.feature]
        for k in moved:
            tril[k, moved[0]] = share / float(space.sd[k])
    return TrialModel(latent_tril=tril, phase_diffusion=sigma, electrode_mv=electrode_mv,
                      provenance={"fitted_to": f"{len(fit.repeats.times_ms)} groups of repeats", "seed": fit.seed,
                                  "r_hat": fit.r_hat})  # fmt: skip
