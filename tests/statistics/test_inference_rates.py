"""The same responses, sampled at other rates, are the same evidence; measured as they were sampled they are not."""

from dataclasses import replace

import pytest
import torch
from scipy import signal

import noble_prob as nb
from noble_prob.features import find_spikes, measure
from noble_prob.inference.observe import observe
from noble_prob.recording import Protocol, Recording
from noble_prob.resample import resample

NEURONS, CURRENTS, PHASES, DENSE_KHZ = 6, [-110.0, 100.0, 180.0], 4, 160
POSTERIOR_SD = {"ap1_peak_mv": 0.33, "ap1_trough_mv": 0.15, "ap1_width_ms": 0.004}
"""Of six sweeps (PVALB)."""


@pytest.fixture(scope="module")
def decoder():
    return nb.load_cell("pvalb-689331391").decoder


@pytest.fixture(scope="module")
def fine(decoder):
    """Several published models, at 16 and at 160 kHz."""
    models = nb.load_cell("pvalb-689331391").models.select(slice(NEURONS))
    answer = nb.respond(decoder, models, CURRENTS)
    own = [Recording(protocol=answer.protocol, voltage_mv=v) for v in answer.voltage_mv]
    return own, [resample(r, dt_ms=1 / DENSE_KHZ) for r in own]


def every(recording: Recording, n: int, first: int = 0) -> Recording:
    """One sample of ``n``, as a converter takes them: nothing is filtered."""
    p = recording.protocol
    protocol = Protocol(time_ms=p.time_ms[first::n], current_pa=p.current_pa[:, first::n], steps=p.steps)
    return Recording(protocol=protocol, voltage_mv=recording.voltage_mv[:, first::n])


def noisy(recording: Recording, sd_mv: float, seed: int) -> Recording:
    noise = torch.randn(recording.voltage_mv.shape, generator=torch.Generator().manual_seed(seed))
    return replace(recording, voltage_mv=recording.voltage_mv + sd_mv * noise)


def bias(seen, expected, names):
    """Mean difference of features over recordings and sweeps, in posterior SDs."""
    away = torch.stack(seen) - torch.stack(expected)
    return {n: float(away[..., names.index(n)].nanmean()) / sd for n, sd in POSTERIOR_SD.items()}


def filtered(recording: Recording, khz: float) -> Recording:
    """As an amplifier gives it: a Bessel filter of four poles."""
    poles = signal.bessel(4, khz, fs=1 / recording.dt_ms, norm="mag", output="sos")
    rest = recording.voltage_mv[:, :1]
    passed = signal.sosfilt(poles, (recording.voltage_mv - rest).double().numpy())
    return replace(recording, voltage_mv=rest + torch.from_numpy(passed).to(rest))


def phases(dense, khz):
    """Every recording at a lower rate, several times, from other first samples."""
    n = DENSE_KHZ // khz
    return [[every(r, n, k * n // PHASES) for k in range(PHASES)] for r in dense]


def mean(features):
    """Over phases of each neuron."""
    return [torch.stack(some).nanmean(0) for some in features]


@pytest.mark.parametrize(
    ("filter_khz", "khz", "most", "as_sampled"),
    [(10.0, 160, 0.5, 1.3), (None, 40, 0.5, 1.3), (None, 20, 0.5, 0.6), (10.0, 10, 1.3, 2.5)],
)
def test_evidence_depends_little_on_the_sampling_rate(decoder, fine, filter_khz, khz, most, as_sampled):
    """Mean peak, trough and width: within half a posterior SD of those of 16 kHz; at 10 kHz spikes have few samples."""
    dense = [filtered(r, filter_khz) for r in fine[1]] if filter_khz else fine[1]
    names, window = decoder.summary_names, decoder.window.duration_ms
    own, other = (
        [[observe(r, decoder).evidence.summary for r in s] for s in phases(dense, rate)] for rate in (16, khz)
    )
    raw = [[measure(r, names=names, window_ms=window).value.double() for r in s] for s in phases(dense, khz)]
    found, before = (bias(mean(some), mean(own), names) for some in (other, raw))
    assert max(map(abs, found.values())) < most, found
    assert max(map(abs, before.values())) > as_sampled, before  # it can tell


def test_noise_at_a_high_rate_makes_no_spikes(decoder, fine):
    wrong = as_sampled = 0
    for k, (quiet, fast) in enumerate(zip(*fine, strict=True)):
        recording = noisy(fast, 0.5, k)
        truth = observe(quiet, decoder).evidence.counts
        wrong += int((observe(recording, decoder).evidence.counts != truth).sum())
        step = quiet.steps[0]
        found = find_spikes(
            recording.voltage_mv, recording.time_ms, start_ms=step.onset_ms, stop_ms=step.onset_ms + 400
        ).count
        as_sampled += int((found != truth).sum())
    assert wrong == 0
    assert as_sampled > 5  # it can tell


@pytest.mark.parametrize("khz", [10, 16, 40])
def test_the_trough_of_a_noisy_spike_is_not_deepened(decoder, fine, khz):
    """0.3 mV of white noise, by less than the posterior's SD; the raw minimum by two to three."""
    own, dense = fine
    names = decoder.summary_names
    sampled = [every(r, DENSE_KHZ // khz) for r in dense]
    recordings = [noisy(r, 0.3, 100 * khz + k) for k, r in enumerate(sampled)]
    expected = [measure(r, names=names).value.double() for r in own]
    found = bias([observe(r, decoder).evidence.summary for r in recordings], expected, names)["ap1_trough_mv"]
    raw = bias([measure(r, names=names).value.double() for r in recordings], expected, names)["ap1_trough_mv"]
    still = bias([observe(r, decoder).evidence.summary for r in own], expected, names)["ap1_trough_mv"]
    assert abs(found) < 1.0
    assert raw < -1.5  # it can tell
    assert abs(still) < 0.2
