"""Neurons of a formula, as training data: a hundred milliseconds, two latents, spikes known in closed form."""

import csv

import numpy as np
import pytest
import torch

from noble_prob.decoder.architecture import Architecture
from noble_prob.decoder.base import Window
from noble_prob.population.codec import encode, quantise
from noble_prob.training.data import N_SPIKES, SUMMARY_NAMES, ResponseSet, TrainingData, split_models
from noble_prob.training.decoder import new_decoder
from noble_prob.training.schedule import Schedule

WINDOW = Window(dt_ms=0.5, n_samples=256, onset_ms=12.0, duration_ms=100.0, current_range_pa=(-110.0, 280.0))
TINY = Architecture(n_spikes=24, map_width=24, map_depth=2, map_members=2, width=8, layers=2, modes=24, hidden=8)
SCHEDULES = {
    name: Schedule(steps=steps, batch=32, peak_lr=5e-3, ema=0.9, save_every=15, validate_every=20, log_every=5)
    for name, steps in (("spike_map", 60), ("summary", 40), ("offset", 40), ("operator", 30))
}


def spike_times(latents, current_pa):
    """A regular train: rate = slope (I - threshold), the first spike after 0.7 intervals; all columns, past the end."""
    threshold, slope = latents.unbind(-1)
    rate = (slope * (current_pa - threshold) / 1000.0).clamp(min=1e-3)  # Hz
    interval = 1000.0 / rate
    return interval[..., None] * (0.7 + torch.arange(N_SPIKES, dtype=latents.dtype))


def example_data(n_models=60, *, validation=12, seed=0):
    """Training data of the formula; models 0..9 are "published", 2 and 5 held out."""
    g = torch.Generator().manual_seed(seed)
    latents = torch.tensor([30.0, 1000.0]) + torch.tensor([8.0, 120.0]) * torch.randn(n_models, 2, generator=g)
    latents = latents.to(torch.float64)
    random = torch.randint(-110, 281, (n_models, 3), generator=g)
    current = torch.cat([torch.tensor([[-110, 50, 180]]).expand(n_models, 3), random], 1).to(torch.float64)
    times = spike_times(latents[:, None].expand(-1, 6, -1), current)
    during = times < WINDOW.duration_ms
    spikes = torch.where(during, times, torch.nan)
    t = WINDOW.time_ms - WINDOW.onset_ms
    on = (t >= 0) & (t < WINDOW.duration_ms)
    passive = -70 + 0.1 * current[..., None].clamp(max=150) * on * (1 - torch.exp(-t.clamp(min=0) / 10))
    bumps = torch.exp(-0.5 * (t - spikes.nan_to_num(1e6)[..., None]).square()).amax(-2)
    counts = ((passive + 80 * bumps + 70) / 0.01).round().to(torch.int16)
    model = torch.where(torch.arange(n_models) < 10, torch.arange(n_models), -1)
    summary = torch.full((n_models, 6, len(SUMMARY_NAMES)), torch.nan)
    summary[..., 0] = -70 + 0.01 * latents[:, :1].float()
    summary[..., 1] = torch.where(current < 0, 0.1 * current, torch.nan)
    for k in range(2, len(SUMMARY_NAMES)):
        summary[..., k] = k + 0.001 * current + 0.001 * latents[:, 1:]
    return TrainingData(
        responses=ResponseSet(cell="formula", window=WINDOW, model=model, current_pa=current, counts=counts),
        latents=latents,
        spikes_ms=spikes,
        n_spikes=during.sum(-1),
        summary=summary,
        split=split_models(model, validation=validation, seed=seed),
        rejected={},
    )


def example_decoder(data, seed=0):
    """An untrained tiny decoder for it."""
    return new_decoder(data, space="noble2", architecture=TINY, seed=seed)


def write_parts(path, n_models=20):
    """Packed parts on the grid of real data: a charging membrane with sag, and spikes with a trough, of the formula.

    Models 0..7 are "published" (2 and 5 held out), the others perturbed.
    """
    g = torch.Generator().manual_seed(0)
    latents = torch.tensor([25.0, 300.0]) + torch.tensor([5.0, 40.0]) * torch.randn(n_models, 2, generator=g)
    rest, tau, sag = (
        m + s * torch.randn(n_models, 1, 1, generator=g) for m, s in ((-72, 1.5), (11, 1.2), (0.02, 0.003))
    )
    random = torch.randint(-60, 281, (n_models, 1), generator=g)
    current = torch.cat([torch.tensor([[-110, 50, 180]]).expand(n_models, 3), random], 1).float()
    t = torch.arange(8192) * 0.0625 - 12.0
    on, off = t.clamp(0, 400), (t - 400).clamp(min=0)
    charge = (1 - torch.exp(-on / tau)) * torch.exp(-off / tau)
    relax = (1 - torch.exp(-on / (5 * tau))) * torch.exp(-off / tau)
    voltage = rest + current.clamp(max=150)[..., None] * (0.13 * charge - sag * relax)
    times = spike_times(latents[:, None].expand(-1, 4, -1), current)
    for k in range(times.shape[-1]):
        since = t - times[..., k, None]
        happens = (times[..., k, None] < 400) & (since.abs() < 60)
        trough = torch.where(since > 0, -14 * torch.exp(-since.clamp(min=0) / 7), 0.0)
        voltage = voltage + torch.where(happens, 85 * torch.exp(-0.5 * (since / 0.25).square()) + trough, 0.0)
    number = np.where(np.arange(n_models) < 8, np.arange(n_models), -1)
    np.savez_compressed(path, amps=current.numpy() / 1000, idx=number, b=encode(quantise(voltage.numpy())))


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Tiny networks are slower on two threads, and equal to the last bit only on one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def read_log(path):
    """Rows of a training's log, without the columns that a row does not have."""
    with path.open(newline="") as file:
        return [{k: float(v) for k, v in row.items() if v != ""} for row in csv.DictReader(file)]


def read_latent_table(path):
    """Model numbers, splits and values (model, latent) of a checkpoint's latent table."""
    with path.open(newline="") as file:
        _, *rows = csv.reader(file)
    values = np.array([[float(v) for v in row[2:]] for row in rows])
    return np.array([int(row[0]) for row in rows]), [row[1] for row in rows], values
