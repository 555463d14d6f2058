"""What every metric must say of predictions whose error is known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from noble_prob.errors import UsageError
from noble_prob.metrics import METRICS, MetricAccumulator, decoder_metrics
from noble_prob.metrics.spike_trains import coincidence_factor, coincidences
from noble_prob.metrics.voltages import relative_l2
from noble_prob.recording import Protocol, Recording

AMPS = [-110.0, -60.0, 0.0, 50.0, 100.0, 150.0]
TRAINS = [[], [], [], [30.0], [15.0, 55.0, 96.0], [6.0 + 20.3 * k for k in range(12)]]
PROTOCOL = Protocol.step_family(AMPS, onset_ms=20, duration_ms=250, total_ms=320)
PERFECT = {name: 1.0 if name == "gamma_2ms" else 0.0 for name in METRICS}


def respond(trains: list[list[float]] = TRAINS) -> Recording:
    """Passive response with a sag, and smooth spikes at the given times after the onset."""
    rows = []
    for step, train in zip(PROTOCOL.steps, trains, strict=True):
        t = PROTOCOL.time_ms - step.onset_ms
        on, off = t.clamp(min=0), (t - step.duration_ms).clamp(min=0)
        charge = torch.exp(-off / 9) - torch.exp(-on / 9)
        v = -70 + 0.1 * step.amplitude_pa * charge * (1 - 0.2 * (1 - torch.exp(-on / 30)))
        for at in train:
            v = v + 95 * torch.exp(-(((t - at) / 0.3) ** 2)) - 8 * torch.exp(-(((t - at - 2) / 0.9) ** 2))
        rows.append(v)
    return Recording(protocol=PROTOCOL, voltage_mv=torch.stack(rows))


def test_the_truth_itself_is_perfect():
    result = decoder_metrics(respond(), respond())
    assert result.pop("n_traces") == len(AMPS)
    assert result == pytest.approx(PERFECT, abs=1e-12)


def test_a_flat_line_scores_one_and_misses_everything():
    truth = respond()
    flat = replace(truth, voltage_mv=torch.full_like(truth.voltage_mv, -70.0))
    result = decoder_metrics(truth, flat)
    moved = [k for k, a in enumerate(AMPS) if a != 0]  # at zero current the truth is the flat line
    assert decoder_metrics(truth.select(moved), flat.select(moved))["voltage_nrmse"] == pytest.approx(1.0, abs=1e-9)
    for name in ("spike_count_error", "ap1_width_error", "mean_ap_amplitude_error", "ahp_depth_abs_error"):
        assert result[name] == 1.0, name
    assert result["sag_amplitude_error"] == pytest.approx(1.0)
    assert result["spiking_mismatch"] == 0.5
    assert result["gamma_2ms"] == 0.0
    assert math.isnan(result["spike_time_error_ms"])


def test_an_invented_train_is_a_mismatch():
    truth = respond([[]] * 6)
    result = decoder_metrics(truth, respond())
    assert result["spiking_mismatch"] == 0.5
    assert math.isnan(result["spike_count_error"])
    assert result["gamma_2ms"] == 0.0


@given(st.floats(0.05, 1.9))
@settings(max_examples=5, deadline=None)
def test_a_uniform_delay_is_the_spike_time_error(delay):
    late = [[t + delay for t in train] for train in TRAINS]
    result = decoder_metrics(respond(), respond(late))
    assert result["spike_time_error_ms"] == pytest.approx(delay, abs=0.01)
    assert result["spike_time_error_ms_p90"] == pytest.approx(delay, abs=0.01)
    assert result["spike_count_error"] == 0
    assert result["gamma_2ms"] == pytest.approx(1.0)


def test_quantiles_of_known_jitter():
    jitter = [0.1 * (k + 1) for k in range(12)]
    late = [*TRAINS[:3], [], [], [t + j for t, j in zip(TRAINS[5], jitter, strict=True)]]
    truth = respond([*TRAINS[:3], [], [], TRAINS[5]])
    result = decoder_metrics(truth, respond(late))
    assert result["spike_time_error_ms"] == pytest.approx(0.65, abs=0.01)
    assert result["spike_time_error_ms_p90"] == pytest.approx(1.09, abs=0.01)


def test_alignment_removes_timing_and_nothing_else():
    """A truth with its time axis bent has a large voltage error and almost none once aligned."""
    bent = [[250 * (t / 250 + 0.02 * math.sin(math.pi * t / 250)) for t in train] for train in TRAINS]
    truth, prediction = respond(), respond(bent)
    result = decoder_metrics(truth, prediction)
    assert result["voltage_rel_l2"] > 0.04
    assert result["aligned_rel_l2"] < 0.06 * result["voltage_rel_l2"]
    louder = replace(prediction, voltage_mv=prediction.voltage_mv + 1.0)
    assert decoder_metrics(truth, louder)["aligned_rel_l2"] == pytest.approx(1 / 69.5, rel=0.1)


def test_a_different_count_is_not_aligned():
    truth, fewer = respond(), respond([*TRAINS[:5], TRAINS[5][:-1]])
    result = decoder_metrics(truth.select([5]), fewer.select([5]))
    assert result["aligned_rel_l2"] == result["voltage_rel_l2"]
    assert result["spike_count_error"] == pytest.approx(1 / 12)


def test_relative_errors_of_features_are_exact():
    truth = respond()
    base = replace(truth, voltage_mv=truth.voltage_mv + 0.7)
    result = decoder_metrics(truth, base)
    assert result["voltage_rel_l2"] == pytest.approx(float(relative_l2(truth.voltage_mv, base.voltage_mv).mean()))
    assert result["mean_ap_amplitude_error"] == pytest.approx(0, abs=1e-6)
    assert result["sag_amplitude_error_mv"] == pytest.approx(0, abs=1e-9)
    assert result["steady_state_voltage_error"] == pytest.approx(0.01, rel=0.02)


def test_a_stream_equals_the_whole():
    truth, prediction = respond(), respond([[t + 0.3 for t in train[:3]] for train in TRAINS])
    stream = MetricAccumulator()
    for k in range(len(AMPS)):
        stream.add(truth.select([k]), prediction.select([k]))
    assert stream.result() == pytest.approx(decoder_metrics(truth, prediction), nan_ok=True)


def test_an_ensemble_counts_every_trace():
    truth, prediction = respond(), respond([[t + 0.3 for t in train] for train in TRAINS])
    v, p = (r.voltage_mv.expand(4, -1, -1) for r in (truth, prediction))
    many = decoder_metrics(*(replace(truth, voltage_mv=x, axes=("neuron",)) for x in (v, p)))
    one = decoder_metrics(truth, prediction)
    assert many.pop("n_traces") == 4 * one.pop("n_traces")
    assert many == pytest.approx(one, abs=2e-4)  # a quantile of a list and of the list four times over


def test_wrong_pairs_are_refused():
    truth = respond()
    other = Protocol.step_family(AMPS, onset_ms=20, duration_ms=250, total_ms=320 * 1.6, dt_ms=0.1)
    hole = truth.voltage_mv.clone()
    hole[0, 0] = torch.nan
    for bad in (
        truth.select([0]),
        truth.select([1, 0, 2, 3, 4, 5]),
        Recording(protocol=other, voltage_mv=truth.voltage_mv),
    ):
        with pytest.raises(UsageError, match="prediction"):
            decoder_metrics(truth, bad)
    with pytest.raises(UsageError, match="missing samples"):
        decoder_metrics(replace(truth, voltage_mv=hole), truth)


def pairs_by_brute_force(a: list[float], b: list[float], delta: float) -> int:
    """Maximum matching by recursion over the true spikes."""
    if not a:
        return 0
    rest = pairs_by_brute_force(a[1:], b, delta)
    hits = [j for j, t in enumerate(b) if abs(t - a[0]) <= delta]
    return max([rest, *(1 + pairs_by_brute_force(a[1:], b[:j] + b[j + 1 :], delta) for j in hits)])


spike_times = st.lists(st.integers(0, 120).map(lambda x: x / 4), max_size=6, unique=True).map(sorted)


@given(spike_times, spike_times)
@settings(max_examples=60, deadline=None)
def test_coincidences_are_a_maximum_matching(a, b):
    x, y = (torch.tensor([[*t, torch.nan]], dtype=torch.float64) for t in (a, b))
    assert int(coincidences(x, y, 2.0)) == pairs_by_brute_force(a, b, 2.0)


def test_gamma_of_chance_is_zero():
    """Poisson trains that know nothing of the truth have Gamma 0 on average, by its definition."""
    g = torch.Generator().manual_seed(1)
    duration, n = 1000.0, 4000
    counts = torch.poisson(torch.full((n,), 20.0), generator=g).long()
    free = torch.rand(n, int(counts.max()), generator=g, dtype=torch.float64) * duration
    free = torch.where(torch.arange(free.shape[1]) < counts[:, None], free, torch.nan).sort(1).values
    regular = (25.0 + 50.0 * torch.arange(20.0, dtype=torch.float64)).expand(n, -1)
    gamma = coincidence_factor(regular, free, torch.full((n,), duration))
    assert float(gamma.mean()) == pytest.approx(0.0, abs=0.01)


def test_gamma_of_known_trains():
    """Six true, three predicted spikes, two of which coincide, in 200 ms: chance is that of the *predicted* rate."""
    true = torch.tensor([[10.0, 30.0, 50.0, 70.0, 90.0, 110.0]]).double()
    predicted = torch.tensor([[11.0, 31.5, 60.0, torch.nan]]).double()
    duration = torch.tensor([200.0]).double()
    chance = 2 * 2.0 * 3 / 200
    expected = (2 - chance * 6) / (0.5 * 9) / (1 - chance)
    assert float(coincidence_factor(true, predicted, duration)) == pytest.approx(expected)
    assert float(coincidence_factor(true, true, duration)) == pytest.approx(1.0)
    burst = 50.0 + torch.linspace(-1.5, 1.5, 7)[None].double()  # seven spikes near one of the other: one coincides
    assert float(coincidence_factor(burst, true[:, 2:3], torch.tensor([1e9]))) == pytest.approx(1 / 4, abs=1e-6)


def test_gamma_of_silence():
    train, none = torch.tensor([[10.0, 30.0]]).double(), torch.full((1, 1), torch.nan).double()
    duration = torch.tensor([200.0]).double()
    assert float(coincidence_factor(train, none, duration)) == 0.0
    assert float(coincidence_factor(none, train, duration)) == 0.0
    assert math.isnan(float(coincidence_factor(none, none, duration)))
