"""What a step can not give is left out of a comparison with a cell's ensemble; what it could give counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import noble_prob.examination.cells as rooms
from noble_prob.calibration import FeatureTable
from noble_prob.cells import load_cell
from noble_prob.ensemble import draw, respond
from noble_prob.errors import UsageError
from noble_prob.examination import examine_population
from noble_prob.examination.steps import lacking
from noble_prob.features import FEATURES, measure
from noble_prob.findings.registry import judge


@pytest.fixture(scope="module")
def toy():
    return load_cell("toy")


def cells(**columns):
    """A table of measured cells."""
    value = np.stack([np.asarray(column, dtype=float) for column in columns.values()], -1)
    return FeatureTable(names=tuple(columns), units=("",) * len(columns), value=value, axis="neuron", source="a.csv")


def rest(toy, n=40):
    """Resting voltages as the cell's prior has them."""
    return draw(toy.prior, n, seed=5).value[:, 0].numpy()


def test_a_feature_that_the_step_can_not_give_is_left_out_and_told(toy):
    """Measured at +180 pA, a sag says nothing about the ensemble."""
    table = cells(resting_voltage_mv=rest(toy), sag_mv=np.random.default_rng(0).normal(2, 0.5, 40))
    found = examine_population(table, toy, neurons=100).before
    assert not found.miscalibrated
    assert [f.name for f in found.features] == ["resting_voltage_mv"]
    said = [f.sentence for f in judge(found) if f.code == "NP205" and "sag_mv" in f.sentence]
    assert len(said) == 1
    assert "sag_mv does not exist at +180 pA (it needs a hyperpolarising step): left out" in said[0]
    assert "--current-pa -110" in said[0]
    hyperpolarised = examine_population(table, toy, neurons=100, current_pa=-110.0).before
    assert [f.name for f in hyperpolarised.features] == ["resting_voltage_mv", "sag_mv"]


def test_the_latent_of_the_same_meaning_is_named():
    """A decoder with a latent `sag` measures it at its own step."""
    cell = load_cell("pvalb-689331391")
    latent = draw(cell.prior, 30, seed=1).value[:, :3].numpy()
    table = cells(resting_voltage=latent[:, 0], sag_mv=latent[:, 2])
    found = examine_population(table, cell, neurons=20).before
    assert "use the column `sag` (the latent, measured at -110 pA) or --current-pa -110" in found.skipped["sag_mv"]


def test_a_feature_that_the_step_could_give_still_counts(toy, monkeypatch):
    """Neurons that are silent at +180 pA, where these cells fire, are a misfit."""
    features = rooms._features

    def silent(*args):
        table = features(*args)
        table.value[:, table.names.index("first_spike_latency_ms")] = np.nan
        return table

    monkeypatch.setattr(rooms, "_features", silent)
    table = cells(resting_voltage_mv=rest(toy), first_spike_latency_ms=np.random.default_rng(0).normal(9, 1, 40))
    found = examine_population(table, toy, neurons=100).before
    assert (found["first_spike_latency_ms"].m, found["first_spike_latency_ms"].severity) == (0, "issue")
    assert found.miscalibrated


def test_a_table_without_anything_at_the_step_is_refused(toy):
    with pytest.raises(UsageError, match="--current-pa 180"):
        examine_population(cells(ap1_width_ms=[0.3, 0.4, 0.5]), toy, neurons=10, current_pa=-110.0)


def test_what_steps_lack_is_what_they_lack(toy):
    """No feature that is said to be impossible at a step is ever measured there."""
    for pa in (-110.0, 180.0):
        mask = measure(respond(toy.decoder, draw(toy.prior, 30, seed=1), [pa])).mask[:, 0]
        some = {name for name, k in zip(FEATURES, mask.T, strict=True) if bool(torch.any(k))}
        assert not [name for name in some if lacking(name, pa)]
        assert {"spike_count", "resting_voltage_mv"} <= some
