"""Steps put into a noisy current are found again, and what is no step is not called one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noble_prob.readers.arrays import sweeps_of
from noble_prob.readers.assemble import recordings
from noble_prob.readers.levels import fit_levels
from noble_prob.readers.pulses import find_pulses
from noble_prob.readers.sweeps import RawFile

DT = 0.1


def sweep(onset_ms, duration_ms, amplitude_pa, *, holding_pa=0.0, total_ms=900.0, dt=DT):
    time = np.arange(round(total_ms / dt)) * dt
    return holding_pa + amplitude_pa * ((time >= onset_ms) & (time < onset_ms + duration_ms))


def amplifier(rng, n, *, white_pa, pickup_pa, spikes, dt=DT, away_from_ms=()):
    """Noise of an amplifier: white, pickup near Nyquist and mains, biphasic artefacts of spikes."""
    time = np.arange(n) * dt
    noise = (
        white_pa * rng.normal(size=n)
        + pickup_pa * (-1.0) ** np.arange(n)
        + 0.05 * pickup_pa * np.sin(2 * np.pi * time / 20)
    )
    for at in rng.integers(50, n - 50, size=spikes):
        if any(abs(at * dt - edge) < 8 for edge in away_from_ms):
            continue
        noise[at : at + 5] += 900.0
        noise[at + 5 : at + 10] -= 850.0
    return noise


@settings(max_examples=60, deadline=None)
@given(
    onset=st.floats(60, 300),
    duration=st.floats(100, 500),
    size=st.floats(30, 800),
    sign=st.sampled_from([-1, 1]),
    holding=st.floats(-100, 50),
    white=st.floats(0.3, 15),
    pickup=st.floats(0, 100),
    spikes=st.integers(0, 20),
    seed=st.integers(0, 10_000),
)
def test_a_step_is_recovered_under_noise(onset, duration, size, sign, holding, white, pickup, spikes, seed):
    """Alone, with no spike artefact on its edges: to a millisecond, 2 % of its height and 2 pA."""
    rng, edges = np.random.default_rng(seed), (onset, onset + duration)
    current = sweep(onset, duration, sign * size, holding_pa=holding)
    noise = amplifier(rng, len(current), white_pa=white, pickup_pa=pickup, spikes=spikes, away_from_ms=edges)
    (pulses,) = find_pulses((current + noise)[None], DT)
    assert len(pulses) == 1
    step = pulses[0].step
    assert (step.onset_ms, step.offset_ms) == pytest.approx(edges, abs=1.0)
    assert step.amplitude_pa == pytest.approx(sign * size, abs=2 + 0.02 * size)
    assert step.holding_pa == pytest.approx(holding, abs=2)


@settings(max_examples=20, deadline=None)
@given(onset=st.floats(60, 300), duration=st.floats(100, 500), size=st.floats(120, 400), seed=st.integers(0, 10_000))
def test_a_family_is_timed_in_spite_of_artefacts_anywhere(onset, duration, size, seed):
    """The smallest step is as high as the pick-up."""
    rng = np.random.default_rng(seed)
    rows = [sweep(onset, duration, size * (0.5 + 0.25 * i), holding_pa=-20.0) for i in range(8)]
    noisy = np.stack([row + amplifier(rng, len(row), white_pa=8.0, pickup_pa=60.0, spikes=20) for row in rows])
    for i, pulses in enumerate(find_pulses(noisy, DT)):
        assert len(pulses) == 1
        assert (pulses[0].step.onset_ms, pulses[0].step.offset_ms) == pytest.approx((onset, onset + duration), abs=0.5)
        assert pulses[0].step.amplitude_pa == pytest.approx(size * (0.5 + 0.25 * i), abs=2 + 0.02 * size)


@settings(max_examples=40, deadline=None)
@given(
    edges=st.lists(st.integers(5, 8994), min_size=2, max_size=8, unique=True).map(sorted),
    levels=st.lists(st.integers(-400, 400), min_size=9, max_size=9),
)
def test_a_clean_command_is_found_to_the_sample(edges, levels):
    bounds = [0, *edges, 9000]
    command = np.concatenate(
        [np.full(b - a, float(x)) for a, b, x in zip(bounds[:-1], bounds[1:], levels, strict=False)]
    )
    true = np.flatnonzero(np.diff(command)) + 1
    assert fit_levels(command, DT).edges == tuple(true)


@settings(max_examples=30, deadline=None)
@given(noise=st.floats(0.1, 20), seed=st.integers(0, 10_000), spikes=st.integers(0, 20), holding=st.floats(-100, 50))
def test_no_step_is_seen_in_noise_alone(noise, seed, spikes, holding):
    rng = np.random.default_rng(seed)
    current = holding + amplifier(rng, 9000, white_pa=noise, pickup_pa=3 * noise, spikes=spikes)
    assert find_pulses(current[None], DT) == [()]


def test_a_silent_sweep_shares_the_timing_of_its_family():
    family = np.stack([sweep(200.3, 500, a) for a in (-50.0, 0.0, 50.0)])
    steps = [pulses[0].step for pulses in find_pulses(family, DT)]
    assert [s.amplitude_pa for s in steps] == [-50.0, 0.0, 50.0]
    assert {(s.onset_ms, s.duration_ms) for s in steps} == {(200.3, 500.0)}


def test_a_constant_prepulse_is_no_pulse_but_is_remembered():
    family = np.stack(
        [sweep(100, 200, a) + sweep(400, 150, -80.0) + sweep(550, 200, a) for a in (-80.0, 0.0, 40.0, 90.0)]
    )
    found = find_pulses(family, DT)
    assert [[p.step.amplitude_pa for p in row] for row in found] == [[a, a] for a in (-80.0, 0.0, 40.0, 90.0)]
    assert {row[0].from_pa for row in found} == {0.0}
    assert {row[1].from_pa for row in found} == {-80.0}
    assert {(p.step.onset_ms, p.step.duration_ms) for row in found for p in row} == {(100.0, 200.0), (550.0, 200.0)}


def test_a_test_pulse_of_the_amplifier_is_no_stimulus():
    family = np.stack([sweep(20, 30, -20.0) + sweep(200, 500, 60.0) for _ in range(3)])
    assert [[p.step.amplitude_pa for p in row] for row in find_pulses(family, DT)] == [[60.0]] * 3


@pytest.mark.parametrize("delay_ms", [1, 17])
def test_onsets_that_differ_from_sweep_to_sweep_are_kept(delay_ms):
    onsets = [100 + delay_ms * i for i in range(9)]
    family = np.stack([sweep(onset, 300, 40.0 + i) for i, onset in enumerate(onsets)])
    assert [row[0].step.onset_ms for row in find_pulses(family, DT)] == pytest.approx(onsets)


def test_durations_that_differ_from_sweep_to_sweep_are_kept():
    family = np.stack([sweep(100, d, 50.0) for d in (120, 120, 300, 300, 300)])
    assert [row[0].step.duration_ms for row in find_pulses(family, DT)] == pytest.approx([120, 120, 300, 300, 300])


@pytest.mark.parametrize("noise_pa", [0.0, 2.0, 5.0])
@pytest.mark.parametrize("duration", [300.0, 500.0, 1000.0, 1500.0])
@pytest.mark.parametrize("peak", [50.0, 100.0, 200.0, 300.0, 400.0, 1000.0])
def test_a_ramp_that_falls_back_is_no_step(peak, duration, noise_pa):
    """The fall at its end is a large jump, yet no part of it is a level."""
    time = np.arange(0, 2000, DT)
    ramp = peak * (time - 300) / duration * ((time >= 300) & (time < 300 + duration))
    noise = noise_pa * np.random.default_rng(3).normal(size=len(time))
    assert find_pulses((ramp + noise)[None], DT) == [()]


@pytest.mark.parametrize("noise_pa", [0.0, 2.0, 10.0])
def test_a_staircase_is_made_of_levels(noise_pa):
    """Its jumps go one way as those of a ramp cut into levels do; no straight line describes it."""
    stairs = sum(sweep(200, 100 * k, 20.0) for k in range(1, 6))
    fit = fit_levels(stairs + noise_pa * np.random.default_rng(0).normal(size=len(stairs)), DT)
    assert fit.piecewise
    assert len(fit.edges) == 6


def test_a_sweep_without_one_of_the_pulses_keeps_the_numbers_of_the_others():
    """Its second pulse is not another's first; a sweep that lacks the pulse is named."""
    rows = [sweep(100, 150, a) + sweep(500, 200, b) for a, b in ((-50.0, 50.0), (50.0, 100.0), (70.0, 110.0))]
    rows.append(sweep(100, 70, 30.0) + sweep(170, 80, 60.0) + sweep(500, 200, 150.0))  # two levels in the first
    rows.append(50 * np.sin(np.arange(len(rows[0])) / 60))
    current = np.stack(rows)
    assert [[p.slot for p in row] for row in find_pulses(current, DT)] == [[0, 1]] * 3 + [[1], []]
    sweeps = sweeps_of(np.arange(len(rows[0])) * DT, current, -70 + 0.1 * current, (), "a test")
    raw = RawFile(name="a test", format="arrays", files=(), sweeps=sweeps)
    ask = {"liquid_junction_potential_mv": None, "require_current": True}
    (first,), (second,), (both,) = (recordings(raw, pulse=pulse, **ask) for pulse in (0, 1, "all"))
    assert first.protocol.amplitudes_pa.tolist() == pytest.approx([-50.0, 50.0, 70.0])
    assert second.protocol.amplitudes_pa.tolist() == pytest.approx([50.0, 100.0, 110.0, 150.0])
    assert [s["pulse"] for s in both.provenance["sweeps"]] == [0, 1] * 3 + [1]
    for recording, absent in ((first, "lack that pulse: sweeps 3, 4,"), (second, "sweeps 4,"), (both, "sweeps 3, 4,")):
        assert absent in recording.provenance["remarks"][1]


def remarks_of(current, potential=None):
    sweeps = sweeps_of(np.arange(current.shape[1]) * DT, current, -70 + 0.1 * current, (), "a test")
    raw = RawFile(name="a test", format="arrays", files=(), sweeps=sweeps)
    (recording,) = recordings(raw, pulse=0, liquid_junction_potential_mv=potential, require_current=True)
    return " ".join(recording.provenance["remarks"])


def test_a_junction_potential_that_raises_the_voltage_is_said_to():
    """Files write the correction with the other sign, so -14 is easily typed where 14 is meant."""
    family = np.stack([sweep(100, 500, a) for a in (-50.0, 50.0)])
    assert "raised the voltage by 14 mV" in remarks_of(family, -14.0)
    for harmless in (None, 0.0, 14.0):
        assert "junction" not in remarks_of(family, harmless)


def test_sweeps_that_begin_inside_their_steps_are_said_to():
    """They begin at many currents and end at one; a cell held elsewhere before *and* after its steps does not."""
    family = np.stack([sweep(100, 500, a) for a in (-110.0, 60.0, 180.0)])
    inside = family[:, round(200 / DT) :]
    assert "begin at -110 to 180 pA and all end at 0 pA" in remarks_of(inside)
    for whole in (family, family - 50.0, family + np.array([[-20.0], [0.0], [20.0]])):
        assert "begin" not in remarks_of(whole)


@pytest.mark.parametrize("second_ms", [300, 400, 650])
def test_no_piece_holds_the_stimulus_of_another(second_ms):
    """Pulses whose distances to the next one, or to the end, differ: all pieces are as short as the shortest."""
    current = np.stack([sweep(100, 150, a) + sweep(second_ms, 120, b) for a, b in ((-50, 50), (50, 100), (70, 110))])
    sweeps = sweeps_of(np.arange(current.shape[1]) * DT, current, -70 + 0.1 * current, (), "a test")
    raw = RawFile(name="a test", format="arrays", files=(), sweeps=sweeps)
    (pieces,) = recordings(raw, pulse="all", liquid_junction_potential_mv=None, require_current=True)
    assert [s.amplitude_pa for s in pieces.steps] == pytest.approx([-50, 50, 50, 100, 70, 110])
    ahead = min(second_ms - 100, 900 - second_ms)
    back = {300: 50, 400: 50, 650: 100}[second_ms]  # the last 50 ms of 150, since the membrane settles
    assert len(pieces.time_ms) == round((back + ahead) / DT)
    for row, voltage, step in zip(pieces.current_pa, pieces.voltage_mv, pieces.steps, strict=True):
        inside = (pieces.time_ms >= step.onset_ms - 1e-6) & (pieces.time_ms < step.offset_ms - 1e-6)
        assert bool((row[~inside] == 0).all())
        assert bool((voltage[~inside] == -70).all())
        assert row[inside].tolist() == pytest.approx([step.amplitude_pa] * int(inside.sum()))
