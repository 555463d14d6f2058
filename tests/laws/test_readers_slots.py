"""Of several pulses the stimulus is read: not the test pulse before it."""

from pathlib import Path

import numpy as np
import pytest

import noble_prob as nb
from noble_prob.errors import UsageError
from noble_prob.inference import observe
from noble_prob.readers import read

DT = 0.1
TIME = np.arange(0, 900, DT)


def saved(folder, *pulses):
    """A file of sweeps that hold pulses of (onset ms, duration ms, heights pA of the sweeps)."""
    rows = sum(np.reshape(size, (-1, 1)) * ((a <= TIME) & (a + b > TIME)) for a, b, size in pulses)
    np.savez(folder / "a.npz", time_ms=TIME, current_pa=rows, voltage_mv=-70 + 0.1 * rows)
    return folder / "a.npz"


REPEATS = np.full(6, 180.0)


@pytest.mark.parametrize("length", [50, 150])
@pytest.mark.parametrize("size", [-20.0, 100.0])
def test_repeats_behind_a_test_pulse_are_those_of_the_stimulus(tmp_path, length, size):
    recording = read(saved(tmp_path, (250 - length, length, size), (300, 400, REPEATS)))
    assert [(s.amplitude_pa, s.duration_ms) for s in recording.steps] == [(180.0, 400.0)] * 6
    (remark,) = recording.provenance["remarks"]
    assert f"number 0 of {size:.0f} pA for {length} ms, number 1 of 180 pA for 400 ms); kept: number 1" in remark
    f = nb.measure(recording)
    assert f["resting_voltage_mv"][0].tolist() == pytest.approx([-70.0] * 6)


def test_a_larger_pulse_that_is_too_short_is_not_the_stimulus(tmp_path):
    recording = read(saved(tmp_path, (100, 60, 500.0), (300, 400, REPEATS)))
    assert recording.protocol.amplitudes_pa.tolist() == pytest.approx([180.0] * 6)


def test_of_two_families_the_first_is_read(tmp_path):
    path = saved(tmp_path, (100, 150, [-50.0, 50.0, 70.0]), (400, 200, [50.0, 100.0, 110.0]))
    assert read(path).protocol.amplitudes_pa.tolist() == pytest.approx([-50.0, 50.0, 70.0])
    assert "-50 to 70 pA for 150 ms" in read(path).provenance["remarks"][0]


def test_of_equal_pulses_the_first_is_read(tmp_path):
    assert read(saved(tmp_path, (100, 150, 99.0), (400, 200, 100.0))).protocol.amplitudes_pa.tolist() == [99.0]


def test_a_refusal_names_the_pulse_that_is_usable(tmp_path, decoder):
    path = saved(tmp_path, (200, 50, -20.0), (300, 400, REPEATS))
    with pytest.raises(UsageError, match=r"read the pulse of 180 pA for 400 ms by `--pulse 1`"):
        observe(read(path, pulse=0), decoder)
    with pytest.raises(UsageError, match="record longer steps or use another decoder"):
        observe(read(saved(tmp_path, (200, 60, -20.0))), decoder)


def test_pieces_of_all_pulses_begin_where_the_membrane_settled(tmp_path):
    path = saved(tmp_path, (100, 150, -50.0), (280, 400, REPEATS))
    assert "6 pulses begin less than 70 ms after another" in " ".join(read(path, pulse="all").provenance["remarks"])
    far = read(saved(tmp_path, (100, 150, -50.0), (400, 400, REPEATS)), pulse="all")
    assert far.steps[0].onset_ms == pytest.approx(50.0)
    assert len(far.provenance["remarks"]) == 1


@pytest.mark.parametrize("pulse", [-1, 1.5, "x", 7, True])
def test_a_pulse_that_stated_steps_do_not_have_is_refused(pulse):
    """A recording of this package states one step per sweep, so there is no second pulse to choose."""
    shipped = Path(nb.__file__).parent / "data" / "pvalb-689331391" / "demo_recording.npz"
    assert read(shipped, pulse=0).n_sweeps == read(shipped).n_sweeps
    with pytest.raises(UsageError, match="'all' or a number below 1"):
        read(shipped, pulse=pulse)
