"""What is written is what is read: a recording survives NPZ whole, and CSV to ten digits."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noble_prob.errors import UsageError
from noble_prob.features import measure
from noble_prob.readers import from_arrays, read, write_csv, write_npz
from noble_prob.recording import Protocol, Recording, Step
from noble_prob.recording.made import made_by

SETTINGS = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def recordings(draw, *, axes=False):
    """Recordings of noisy voltage around a step family, with missing samples and, if asked for, leading axes."""
    dt = draw(st.sampled_from([0.05, 0.0625, 0.1, 0.25, 1 / 30]))
    amplitudes = draw(st.lists(st.floats(20, 500), min_size=1, max_size=3, unique=True))
    protocol = Protocol.step_family(
        amplitudes,
        onset_ms=20.0,
        duration_ms=110.0,
        total_ms=150.0,
        dt_ms=dt,
        holding_pa=draw(st.sampled_from([0.0, -20.0])),
    )
    names = draw(st.sampled_from([(), ("draw",), ("neuron", "trial")])) if axes else ()
    shape = (*range(2, 2 + len(names)), *protocol.current_pa.shape)
    noise = np.random.default_rng(draw(st.integers(0, 99))).normal(size=shape)
    voltage = torch.from_numpy(-65 + 8 * noise)
    if draw(st.booleans()):
        voltage[..., 0, -7:] = float("nan")
    return Recording(protocol=protocol, voltage_mv=voltage, axes=names, provenance={"seed": 3, "remarks": ["made up"]})


@SETTINGS
@given(recording=recordings(axes=True))
def test_npz_restores_everything(recording, tmp_path):
    again = read(write_npz(recording, tmp_path / "a.npz"))
    assert torch.equal(torch.nan_to_num(again.voltage_mv), torch.nan_to_num(recording.voltage_mv))
    assert torch.equal(torch.isnan(again.voltage_mv), torch.isnan(recording.voltage_mv))
    assert torch.equal(again.current_pa, recording.current_pa)
    assert torch.allclose(again.time_ms, recording.time_ms, rtol=0, atol=1e-9)
    assert again.steps == recording.steps
    assert again.axes == recording.axes
    assert again.provenance["made_from"] == {**recording.provenance, "written_by": made_by()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_npz_keeps_the_precision_of_the_voltage(dtype, tmp_path):
    time, current, voltage = whole()
    recording = from_arrays(time, current, voltage)
    again = read(write_npz(replace(recording, voltage_mv=recording.voltage_mv.to(dtype)), tmp_path / "a.npz"))
    assert again.voltage_mv.dtype == dtype
    assert again.current_pa.dtype == again.time_ms.dtype == torch.float64


@SETTINGS
@given(recording=recordings())
def test_csv_restores_samples_and_finds_the_steps_again(recording, tmp_path):
    again = read(write_csv(recording, tmp_path / "a.csv"))
    assert torch.allclose(again.voltage_mv, recording.voltage_mv, rtol=1e-9, equal_nan=True)
    assert torch.allclose(again.current_pa, recording.current_pa, rtol=1e-9)
    assert again.dt_ms == pytest.approx(recording.dt_ms, rel=1e-6)
    for found, true in zip(again.steps, recording.steps, strict=True):
        assert found.onset_ms == pytest.approx(true.onset_ms, abs=recording.dt_ms)
        assert found.duration_ms == pytest.approx(true.duration_ms, abs=2 * recording.dt_ms)
        assert (found.amplitude_pa, found.holding_pa) == pytest.approx((true.amplitude_pa, true.holding_pa), abs=1e-4)


def later(recording, ms):
    """The same recording on a time axis that begins so much later."""
    steps = tuple(replace(step, onset_ms=step.onset_ms + ms) for step in recording.steps)
    protocol = Protocol(time_ms=recording.time_ms + ms, current_pa=recording.current_pa, steps=steps)
    return replace(recording, protocol=protocol)


@SETTINGS
@given(recording=recordings(axes=True), first_ms=st.sampled_from([-20.0, 0.05, 1000.0]))
def test_a_time_axis_that_begins_elsewhere_keeps_its_step_at_its_samples(recording, first_ms, tmp_path):
    again = read(write_npz(later(recording, first_ms), tmp_path / "a.npz"))
    assert again.steps[0].onset_ms == pytest.approx(20.0, abs=1e-9)
    assert torch.allclose(measure(again).value, measure(recording).value, rtol=1e-6, atol=1e-6, equal_nan=True)
    if not recording.axes:
        assert read(write_csv(later(recording, first_ms), tmp_path / "a.csv")).steps[0].onset_ms == pytest.approx(
            20.0, abs=recording.dt_ms
        )


@SETTINGS
@given(recording=recordings(axes=True), kind=st.sampled_from([np.asarray, torch.as_tensor, lambda x: x.tolist()]))
def test_arrays_give_what_a_file_of_them_gives(recording, kind, tmp_path):
    arrays = {name: getattr(recording, name).numpy() for name in ("time_ms", "current_pa", "voltage_mv")}
    made = from_arrays(*(kind(x) for x in arrays.values()), axes=recording.axes)
    np.savez(tmp_path / "a.npz", **arrays, **({"axes": recording.axes} if recording.axes else {}))
    read_back = read(tmp_path / "a.npz")
    assert made.steps == read_back.steps
    assert [made.steps[0].onset_ms, made.steps[0].holding_pa] == pytest.approx(
        [20.0, recording.steps[0].holding_pa], abs=recording.dt_ms
    )
    assert torch.equal(made.voltage_mv.nan_to_num(0), recording.voltage_mv.nan_to_num(0))
    assert (made.axes, made.dt_ms) == (read_back.axes, read_back.dt_ms)
    assert "sha256" not in made.provenance


def whole():
    """Time, current and voltage of two sweeps."""
    time = np.arange(0, 600, 0.1)
    current = np.array([[-50.0], [80.0]]) * ((time >= 100) & (time < 500))
    return time, current, -70 + 0.15 * current


def test_one_sweep_may_leave_its_axis_out():
    time, current, voltage = whole()
    one = from_arrays(time, current[1], voltage[1])
    assert one.steps == (Step(onset_ms=100.0, duration_ms=400.0, amplitude_pa=80.0),)
    many = from_arrays(time + 7.0, current[1], np.stack([voltage[1]] * 3), axes="trial")
    assert (many.axes, tuple(many.voltage_mv.shape), many.steps) == (("trial",), (3, 1, 6000), one.steps)
    still = from_arrays(time, 0 * current[0], -70 + 0.1 * np.sin(time))
    assert still.steps == (None,)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda t, i, v: (t / 1000, i, v), "multiply the time by 1000"),
        (lambda t, i, v: (t, i / 1000, v), "look like nA"),
        (lambda t, i, v: (t, i, v / 1000), "look like volts"),
        (lambda t, i, v: (t, i, np.stack([v, v])), r"`voltage_mv`.*name leading axes"),
        (lambda t, i, v: (t, i, v[:, :-1]), r"`voltage_mv` should be of shape"),
        (lambda t, i, v: (t[:-1], i, v), r"`current_pa` should be of shape"),
        (lambda t, i, v: (t, i.T, v.T), r"`current_pa` should be of shape"),
        (lambda t, i, v: (t[None], i, v), "one axis of samples"),
        (lambda t, i, v: (t, np.where(t > 300, np.nan, i), v), r"`current_pa` should be finite in sweep '0'"),
        (lambda t, i, v: (np.where(t > 300, np.nan, t), i, v), r"`time_ms` should be finite"),
        (lambda t, i, v: (t**1.01, i, v), "regularly sampled"),
        (lambda t, i, v: (t, i, np.full_like(v, np.nan)), "only NaN"),
        (lambda t, i, v: (t, i, v.astype(str)), r"`voltage_mv` should be numbers"),
    ],
)
def test_arrays_that_are_no_recording_are_refused(change, match):
    with pytest.raises(UsageError, match=match):
        from_arrays(*change(*whole()))


def test_selected_sweeps_keep_their_origin(tmp_path):
    protocol = Protocol.step_family([50.0, 60.0, 70.0])
    voltage = torch.linspace(-70, -40, 3 * 8192, dtype=torch.float64).reshape(3, 8192)
    path = write_npz(Recording(protocol=protocol, voltage_mv=voltage), tmp_path / "a.npz")
    kept = read(path).select([2, 0])
    assert [s["source_sweep"] for s in kept.provenance["sweeps"]] == [2, 0]
    assert kept.steps[0] == Step(onset_ms=12.0, duration_ms=400.0, amplitude_pa=70.0)
