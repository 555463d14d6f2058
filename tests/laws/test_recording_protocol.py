"""A protocol says what its current shows; what holds numbers becomes tensors, or is refused in a sentence."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

import noble_prob as nb
from noble_prob.errors import UsageError
from noble_prob.features import measure
from noble_prob.recording import Protocol, Recording, Step

PLAIN = Protocol.step_family([-110.0, 180.0])
STEP = PLAIN.steps[1]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"onset_ms": 0.012 - 1}, "an onset of -0.988 ms in sweep 1"),
        ({"onset_ms": 600.0}, r"within the time axis of .* an onset of 600 ms"),
        ({"onset_ms": 400.0}, "0 pA within the step of sweep 1, which says 180 pA"),
        ({"amplitude_pa": 0.18}, "180 pA within the step of sweep 1, which says 0.18 pA"),
        ({"amplitude_pa": -180.0}, "which says -180 pA"),
        ({"holding_pa": -100.0}, "which says 80 pA"),
        ({"duration_ms": 0.0}, "positive duration"),
        ({"amplitude_pa": float("nan")}, "finite"),
    ],
)
def test_a_step_that_the_current_does_not_show_is_refused(change, match):
    with pytest.raises(UsageError, match=match):
        replace(PLAIN, steps=(PLAIN.steps[0], replace(STEP, **change)))


def test_what_is_no_step_is_refused():
    with pytest.raises(UsageError, match="a Step or None"):
        replace(PLAIN, steps=(PLAIN.steps[0], (12.0, 400.0, 180.0, 0.0)))


def test_amplifiers_may_miss_the_step_and_couple_spikes_into_it():
    small = Protocol.step_family([20.0])
    noise = 30.0 * torch.randn(small.current_pa.shape, generator=torch.Generator().manual_seed(0))
    current = small.current_pa + noise
    current[:, 300:6000:300] += 9000.0  # 20 artefacts of a sample: 20 pA become 47 on average, and 20 at the median
    assert float(current[:, 192:6592].mean()) > 40
    replace(small, current_pa=current)
    replace(small, steps=(replace(small.steps[0], amplitude_pa=11.0),))
    replace(PLAIN, steps=(replace(PLAIN.steps[0], amplitude_pa=-90.0), replace(STEP, onset_ms=16.0)))


def test_a_step_may_end_after_the_recording():
    short = replace(PLAIN, time_ms=PLAIN.time_ms[:3000], current_pa=PLAIN.current_pa[:, :3000])
    assert short.steps[1].offset_ms > float(short.time_ms[-1])


def test_a_gap_in_the_current_hides_no_wrong_step():
    gap = PLAIN.current_pa.clone()
    gap[:, 1000] = torch.nan
    replace(PLAIN, current_pa=gap)
    with pytest.raises(UsageError, match="sweep 0"):
        replace(PLAIN, current_pa=0 * gap)


def test_steps_of_one_protocol_may_begin_and_end_apart():
    late = Step(onset_ms=100.0, duration_ms=50.0, amplitude_pa=90.0)
    on = (PLAIN.time_ms >= 100) & (PLAIN.time_ms < 150)
    rows = torch.stack([PLAIN.current_pa[0], 90.0 * on])
    both = Protocol(time_ms=PLAIN.time_ms, current_pa=rows, steps=(PLAIN.steps[0], late))
    with pytest.raises(UsageError, match="sweep"):
        replace(both, current_pa=rows.flip(0))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"dt_ms": 0.0}, "dt_ms"),
        ({"dt_ms": -0.1}, "dt_ms"),
        ({"dt_ms": float("nan")}, "dt_ms"),
        ({"dt_ms": 400.0}, "dt_ms"),
        ({"holding_pa": float("nan")}, "holding_pa"),
        ({"holding_pa": float("inf")}, "holding_pa"),
        ({"onset_ms": float("nan")}, "duration_ms"),
        ({"total_ms": float("nan")}, "total_ms"),
        ({"total_ms": float("inf")}, "total_ms"),
        ({"amplitudes_pa": ["a"]}, "amplitudes_pa"),
        ({"amplitudes_pa": [float("nan")]}, "amplitudes_pa"),
    ],
)
def test_a_step_family_is_made_of_finite_numbers(change, match):
    with pytest.raises(UsageError, match=match):
        Protocol.step_family(**({"amplitudes_pa": [50.0]} | change))


@pytest.mark.parametrize("kind", [np.asarray, np.ndarray.tolist, lambda x: x.astype(np.float32), torch.from_numpy])
def test_arrays_and_lists_become_tensors(kind):
    time, current = PLAIN.time_ms.numpy(), PLAIN.current_pa.numpy()
    protocol = Protocol(time_ms=kind(time), current_pa=kind(current), steps=list(PLAIN.steps))
    recording = Recording(protocol=protocol, voltage_mv=kind(current[None] - 70), axes="trial")
    assert torch.equal(recording.voltage_mv[0].double(), PLAIN.current_pa - 70)
    assert (recording.axes, recording.steps) == (("trial",), PLAIN.steps)
    whole = Recording(protocol=PLAIN, voltage_mv=np.full((2, 8192), -70))
    assert whole.voltage_mv.dtype == torch.float64


def test_what_is_no_array_of_numbers_is_refused_in_a_sentence():
    for wrong in (np.full((2, 8192), "a"), None, "voltage"):
        with pytest.raises(UsageError, match=r"voltage_mv.*numpy\.asarray"):
            Recording(protocol=PLAIN, voltage_mv=wrong)
    with pytest.raises(UsageError, match="a Protocol"):
        Recording(protocol=[50.0], voltage_mv=np.zeros((1, 8192)))
    with pytest.raises(UsageError, match="2 different names"):
        Recording(protocol=PLAIN, voltage_mv=np.zeros((3, 4, 2, 8192)), axes=("trial", "trial"))


def three(**more):
    family = Protocol.step_family([-50.0, 0.0, 50.0])
    return Recording(protocol=family, voltage_mv=family.current_pa - 70, **more)


@pytest.mark.parametrize(
    ("sweeps", "kept"),
    [
        (0, [0]),
        (-1, [2]),
        (np.int64(1), [1]),
        ([2, 0], [2, 0]),
        (range(2), [0, 1]),
        (torch.tensor([1, 1]), [1, 1]),
        ([True, False, True], [0, 2]),
        (np.array([False, True, False]), [1]),
        (slice(0, 2), [0, 1]),
        (slice(None, None, -1), [2, 1, 0]),
        (np.arange(3)[::-1], [2, 1, 0]),
    ],
)
def test_sweeps_are_selected_by_index_or_mask(sweeps, kept):
    chosen = three(provenance={"sweeps": ["a", "b", "c"]}).select(sweeps)
    assert chosen.protocol.amplitudes_pa.tolist() == [[-50.0, 0.0, 50.0][k] for k in kept]
    assert torch.equal(chosen.voltage_mv, three().voltage_mv[kept])
    assert chosen.provenance["sweeps"] == [["a", "b", "c"][k] for k in kept]


@pytest.mark.parametrize("sweeps", [3, [], [0, -4], [0.5], [True, False], [False] * 3, None, "0", slice(3, 9)])
def test_sweeps_that_are_not_there_are_refused(sweeps):
    with pytest.raises(UsageError, match="sweeps"):
        three().select(sweeps)


def test_members_of_an_axis_are_taken_and_keep_its_name():
    voltage = torch.arange(2 * 5 * 8192.0).reshape(2, 5, 1, 8192)
    many = Recording(protocol=PLAIN.step_family([50.0]), voltage_mv=voltage, axes=("neuron", "trial"))
    assert torch.equal(many.members([4, 0], axis="trial").voltage_mv, voltage[:, [4, 0]])
    one = many.members([False, True], axis="neuron")
    assert (one.axes, tuple(one.voltage_mv.shape)) == (many.axes, (1, 5, 1, 8192))
    assert torch.equal(replace(many, voltage_mv=voltage[0], axes="trial").members(-1).voltage_mv, voltage[0, 4:])


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"index": 0}, "`axis` should be among .*'neuron', 'trial'.*found None"),
        ({"index": 0, "axis": "draw"}, "found 'draw'"),
        ({"index": 2, "axis": "neuron"}, "`index` should be indices below 2"),
        ({"index": [True], "axis": "trial"}, "each of 5 members of 'trial'"),
        ({"index": [], "axis": "trial"}, "at least one; found none"),
    ],
)
def test_members_that_are_not_there_are_refused(given, match):
    many = Recording(protocol=PLAIN, voltage_mv=torch.zeros(2, 5, 2, 8192), axes=("neuron", "trial"))
    with pytest.raises(UsageError, match=match):
        many.members(**given)


def test_recordings_are_compared_and_shown_without_their_samples():
    recording = three()
    for thing in (recording, recording.protocol, measure(recording, names=["resting_voltage_mv"])):
        assert thing == thing
        assert thing != replace(thing)
        assert hash(thing)
        assert len(repr(thing)) < 160
    assert repr(recording) == "Recording(3 sweeps of 8192 samples, 0.0625 ms apart; 3 steps of -50 to 50 pA; mV)"
    many = Recording(
        protocol=PLAIN.step_family([50.0]), voltage_mv=torch.zeros(2, 5, 1, 8192), axes=("neuron", "trial")
    )
    assert repr(many).startswith("Recording(neuron 2, trial 5; 1 sweep of 8192 samples")
    assert repr(measure(many, names=["spike_count"])) == (
        "Features(neuron 2, trial 5, sweep 1; spike_count; 10 of 10 values defined)"
    )


@pytest.mark.parametrize("digits", [3, 4])
def test_times_that_are_rounded_do_not_stretch_the_recording(digits):
    """At 30 kHz a first interval of 0.033 for 0.0333 ms would put a spike at 800 ms eight ms too early."""
    time = np.round(np.arange(30_000) / 30, digits)
    voltage = -70 + 100 * np.exp(-(((time - 800.0) / 0.4) ** 2))
    on = (time >= 0) & (time < 900)
    protocol = Protocol(
        time_ms=time, current_pa=(50.0 * on)[None], steps=(Step(onset_ms=0.0, duration_ms=900.0, amplitude_pa=50.0),)
    )
    found = measure(Recording(protocol=protocol, voltage_mv=voltage[None]), names=["first_spike_latency_ms"])
    assert float(found.value[0, 0]) == pytest.approx(800.0, abs=0.05)


def test_a_grid_that_drifts_is_refused():
    time = np.cumsum(np.r_[0.0, np.where(np.arange(999) < 500, 0.1, 0.104)])
    with pytest.raises(UsageError, match="intervals off an even grid"):
        Protocol(time_ms=time, current_pa=np.zeros((1, 1000)), steps=(None,))


@pytest.mark.parametrize("amps", [[0.1, 0.0, -0.2], [1e-10]])
def test_steps_that_look_like_na_are_warned_of_where_they_are_written(amps):
    toy = nb.load_cell("toy")
    for ask in (Protocol.step_family, lambda a: nb.respond(toy.decoder, toy.models.select(0), a)):
        with pytest.warns(UserWarning, match=r"no step of these reaches 1 pA .* multiply them by 1000") as said:
            ask(amps)
        assert {warning.filename for warning in said} == {__file__}


@pytest.mark.parametrize("amps", [[0.0], [0.5, 1.0], [-1.0]])
def test_steps_of_a_picoampere_and_no_current_are_left_alone(amps):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Protocol.step_family(amps)
