"""Stimulus and response of an NWB file are put together by the times at which they were recorded."""

import numpy as np
import pytest
import torch
from foreign_files import step_family, write_nwb

from noble_prob.errors import UsageError
from noble_prob.readers import read


def on_the_stimulus_clock(current, late):
    """The current in a series that begins so many samples later."""
    return current[:, late:] if late >= 0 else np.pad(current, ((0, 0), (-late, 0)))


@pytest.mark.parametrize("late_ms", [50.0, -50.0, 0.02])
def test_a_stimulus_of_another_start_is_shifted(tmp_path, late_ms):
    _, current, voltage = step_family()
    late = round(late_ms / 0.1)
    path = write_nwb(tmp_path / "a.nwb", voltage, on_the_stimulus_clock(current, late), stimulus_late_ms=late_ms)
    recording, cut = read(path), max(late, 0)
    assert torch.equal(recording.voltage_mv, read(write_nwb(tmp_path / "b.nwb", voltage, current)).voltage_mv[:, cut:])
    assert [step.onset_ms for step in recording.steps] == pytest.approx([100.0 - cut * 0.1] * 3)
    said = f"begin {late_ms:g} ms after their responses" in " ".join(recording.provenance["remarks"])
    assert said == bool(late)


def test_a_stimulus_of_another_clock_begins_with_its_response(tmp_path):
    _, current, voltage = step_family()
    recording = read(write_nwb(tmp_path / "a.nwb", voltage, current, stimulus_late_ms=-3600e3))
    assert [step.onset_ms for step in recording.steps] == pytest.approx([100.0] * 3)
    assert "which they never meet" in " ".join(recording.provenance["remarks"])


def test_a_stimulus_that_hardly_meets_its_response_is_refused(tmp_path):
    _, current, voltage = step_family()
    with pytest.raises(UsageError, match="from 300 ms after its start; store the stimulus of the whole sweep"):
        read(write_nwb(tmp_path / "a.nwb", voltage, current, stimulus_late_ms=300.0))
