"""White noise of the electrode does not deepen the minima that the likelihood looks at."""

import pytest
import torch

import noble_prob as nb
from noble_prob.features import measure
from noble_prob.inference.observe import SMOOTHED_MS, observe, running_mean
from noble_prob.resample import resample

SD_MV, COPIES = 0.3, 8


@pytest.fixture(scope="module")
def recordings():
    """One neuron under two steps at 50 kHz, as it is and with noise, many times."""
    cell = nb.load_cell("pvalb-689331391")
    neuron = nb.draw(cell.prior, 1, seed=7)
    response = nb.respond(cell.decoder, neuron, [-110.0, 180.0])
    clean = resample(nb.Recording(protocol=response.protocol, voltage_mv=response.voltage_mv[0]), dt_ms=0.02)
    g = torch.Generator().manual_seed(1)
    noisy = [
        nb.Recording(
            protocol=clean.protocol,
            voltage_mv=clean.voltage_mv + SD_MV * torch.randn(clean.voltage_mv.shape, generator=g),
        )
        for _ in range(COPIES)
    ]
    return cell.decoder, clean, noisy


@pytest.mark.parametrize(
    ("name", "sweep", "left", "raw"), [("sag_mv", 0, 0.15, 0.6), ("ap1_trough_mv", 1, -0.15, -0.3)]
)
def test_minima_of_noisy_traces(recordings, name, sweep, left, raw):
    """What noise adds to a minimum is a fifth of what it adds to the raw one; without noise nothing changes."""
    decoder, clean, noisy = recordings
    k = decoder.summary_names.index(name)
    truth = float(measure(clean, names=(name,)).value[sweep, 0])
    seen = [float(observe(r, decoder).evidence.summary[sweep, k]) - truth for r in noisy]
    unsmoothed = [float(measure(r, names=(name,)).value[sweep, 0]) - truth for r in noisy]
    assert abs(sum(seen) / COPIES) < abs(left)
    assert abs(sum(unsmoothed) / COPIES) > abs(raw)  # the test can tell
    exact = float(observe(clean, decoder).evidence.summary[sweep, k])
    assert exact == pytest.approx(truth, abs=0.02)


def test_other_features_are_those_of_the_catalogue(recordings):
    decoder, clean, _ = recordings
    names = [name for name in decoder.summary_names if name not in SMOOTHED_MS]
    grid = resample(clean, dt_ms=decoder.window.dt_ms)
    expected = measure(grid, names=names, window_ms=decoder.window.duration_ms).value.double()
    kept = observe(clean, decoder).evidence.summary[:, [decoder.summary_names.index(name) for name in names]]
    assert torch.equal(torch.nan_to_num(kept), torch.nan_to_num(expected))


def test_running_mean():
    v = torch.tensor([[1.0, 2.0, 6.0, torch.nan, 4.0, 0.0]])
    assert running_mean(v, 1) is v
    assert running_mean(v, 2) is v
    mean = running_mean(v, 3)[0]
    assert mean[[0, 1, 5]].tolist() == [1.5, 3.0, 2.0]
    assert torch.isnan(mean[2:5]).all()
