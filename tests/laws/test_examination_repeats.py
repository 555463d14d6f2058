"""Which sweeps of a recording are repeats of one stimulus."""

from types import SimpleNamespace

import torch

from noble_prob.examination.repeats import groups_of_repeats
from noble_prob.noise import Design


def groups(current_pa, end_ms):
    design = Design(
        current_pa=torch.tensor(current_pa).double(), end_ms=torch.tensor(end_ms).double(), summary_names=()
    )
    return groups_of_repeats(SimpleNamespace(evidence=SimpleNamespace(design=design)))


def test_steps_of_equal_current_and_two_lengths_are_two_groups():
    found = groups([180, 180, 180, 180, -50], [400, 200, 400, 200, 400])
    assert found == {"+180 pA, 200 ms": [1, 3], "+180 pA, 400 ms": [0, 2]}


def test_measured_currents_that_straddle_a_rounding_stay_together():
    assert groups([100.40, 100.55, 100.48, 100.52], [400] * 4) == {"+100 pA": [0, 1, 2, 3]}
    assert groups([-110.3, 20.0, -110.6], [400] * 3) == {"−110 pA": [0, 2]}


def test_other_steps_and_single_ones_are_no_repeats():
    assert groups([100.0, 102.0, 104.0, 104.5], [400] * 4) == {"+104 pA": [2, 3]}
    assert groups([100.0, 150.0], [400] * 2) == {}
