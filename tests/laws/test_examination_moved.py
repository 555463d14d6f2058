"""Neurons with moved latents that can not be are counted, and told in finding and verdict."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from noble_prob.calibration import FeatureTable
from noble_prob.cells import load_cell
from noble_prob.ensemble import draw
from noble_prob.examination import examine_population
from noble_prob.examination.moved import look_at_move
from noble_prob.findings.registry import judge
from noble_prob.report.parts import population_part


@pytest.fixture(scope="module")
def cell():
    return load_cell("pvalb-689331391")


def changed(neurons, **columns):
    """The neurons with some values of some latents replaced, from the first on."""
    value = neurons.value.clone()
    for name, values in columns.items():
        value[: len(values), neurons.space.names.index(name)] = torch.tensor(values).to(value)
    return replace(neurons, value=value)


def test_what_can_not_be_below_zero_is_counted_once_per_neuron(cell):
    novel = draw(cell.prior, 40, seed=0)
    after = changed(
        novel, sag=[-1.0, -2.0, 1.0], ap1_width=[-0.1], ap1_peak=[30.0, 30.0, -90.0], log_time_constant=[-1.0]
    )
    found = look_at_move(novel, after, cell.decoder)
    assert found.below_zero == {"sag": 2, "ap1_width": 1, "ap1_peak_to_trough": 1}
    assert (found.n, found.impossible) == (40, 3)
    (said,) = judge(found)
    assert said.severity == "caution"
    assert said.sentence.startswith(
        "3 of 40 moved neurons can not be (below zero: sag in 2, first spike width in 1 and "
    )


def test_a_move_out_of_the_decoder_s_support_is_a_caution_and_none_is_passed(cell):
    novel = draw(cell.prior, 40, seed=0)
    (same,) = judge(look_at_move(novel, novel, cell.decoder))
    assert same.severity == "passed"
    (far,) = judge(look_at_move(novel, changed(novel, resting_voltage=[-10.0] * 8), cell.decoder))
    assert (far.severity, far.evidence["impossible"]) == ("caution", 0)
    assert f"before the move {far.evidence['beyond_before']}" in far.sentence


def test_the_verdict_of_moved_neurons_tells_it_and_the_remedy_is_another(cell):
    """Widths as wide as their mean: a stretched prior falls below zero, and the heavy tail is not matched by a move."""
    widths = np.random.default_rng(0).lognormal(-1.5, 1.0, (60, 1))
    table = FeatureTable(names=("ap1_width",), units=("ms",), value=widths, axis="neuron")
    found = examine_population(table, cell, neurons=60, recalibrate="widen")
    part = population_part(found)
    verdict = part.verdicts[-1]
    assert verdict.severity in ("caution", "issue")
    assert "moved neurons can not be (below zero: " in verdict.sentence
    assert "first spike width in " in verdict.sentence
    assert [f.code for f in part.findings].count("NP231") == 1
    assert part.values["calibration_after"] is not None
    for result, wanted in (
        (found.before, "Recalibrate the prior"),
        (found.after, "Report the ensemble as one of its own"),
    ):
        (said,) = (f for f in judge(replace(result, severity="issue")) if f.code == "NP201")
        assert said.remedy.startswith(wanted)
