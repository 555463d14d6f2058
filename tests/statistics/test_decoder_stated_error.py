"""A card's error model is the error of its weights, measured again on perturbed models that no training saw.

``tests/unseen`` holds latents, spike times and features of 112 and 154 models (``analyses/decoder_unseen.py``); most of
what the cards say was measured on them. Nothing is drawn here, so there are no false alarms; the power is shown on a
spike map whose weights are off by a few thousandths: its spikes still look right, and posteriors would be too sure.
"""

import copy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import noble_prob as nb
from noble_prob.population.latents import protocol_of
from noble_prob.training.data import VALIDATION, TrainingData
from noble_prob.training.error_model import measure_error
from noble_prob.training.responses import standard_columns

FOLDER = Path(__file__).resolve().parents[1] / "unseen"
CELLS = ("pvalb-689331391", "vip-650077366")
TIMING = ("latency_log_sd", "rate_log_sd", "residual_ms")
MOST = 1.5


@pytest.fixture(scope="module", params=CELLS)
def unseen(request):
    """The decoder, and the models as validation data with the columns of the standard protocol."""
    with np.load(FOLDER / f"{request.param}.npz") as file:
        arrays = {name: torch.from_numpy(file[name].astype(np.float64)) for name in file}
    spikes = torch.where(arrays["spikes"] < 65535, arrays["spikes"] / 100, torch.nan)
    spikes = torch.nn.functional.pad(spikes, (0, 64 - spikes.shape[-1]), value=torch.nan)
    current = arrays["current_pa"]
    data = TrainingData(
        responses=SimpleNamespace(cell=request.param, current_pa=current),
        latents=arrays["latents"],
        spikes_ms=spikes.float(),
        n_spikes=torch.isfinite(spikes).sum(-1),
        summary=arrays["summary"].float(),
        rejected={},
        split=torch.full((len(current),), VALIDATION),
    )
    decoder = nb.load_cell(request.param).decoder
    return decoder, data, standard_columns(data.responses, protocol_of(decoder.space.latents))


def ratios(decoder, data, standard) -> dict[str, float]:
    """Measured over stated error: of timing, and of every summary feature."""
    found, stated = measure_error(decoder, data, standard_sweeps=standard), decoder.error
    timing = {name: getattr(found, name) / getattr(stated, name) for name in TIMING}
    return timing | dict(zip(decoder.summary_names, (found.summary_sd / stated.summary_sd).tolist(), strict=True))


def test_the_decoder_errs_on_unseen_models_as_its_card_says(unseen):
    off = {name: round(x, 2) for name, x in ratios(*unseen).items() if not 1 / MOST < x < MOST}
    assert not off


def test_a_spike_map_that_is_slightly_off_does_not(unseen):
    decoder, data, standard = unseen
    worse, generator = copy.deepcopy(decoder), torch.Generator().manual_seed(0)
    for weight in worse.spike_map.net.weights:
        weight.data *= 1 + 0.003 * torch.randn(weight.shape, generator=generator)
    found = ratios(worse, data, standard)
    assert all(found[name] > MOST for name in TIMING), found


def test_spikes_of_unseen_models_come_when_they_should(unseen):
    decoder, data, standard = unseen
    other = [j for j in range(data.responses.current_pa.shape[1]) if j not in standard]
    current, spikes = data.responses.current_pa[:, other], data.spikes_ms[:, other]
    said = decoder.spike_times(data.latents[:, None], current)[..., : spikes.shape[-1]]
    both = torch.isfinite(spikes) & (said < decoder.window.duration_ms)
    apart = (said - spikes).abs()[both]
    assert both.sum() > 10_000
    median, high = {112: (0.03, 0.3), 154: (0.1, 0.8)}[len(data.latents)]
    assert apart.median() < median
    assert apart.quantile(0.9) < high
