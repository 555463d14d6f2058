"""What a table of cells was compared in, and what becomes of columns under other names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from noble_prob.calibration import FeatureTable, calibrate_population
from noble_prob.calibration.matching import nearest
from noble_prob.calibration.numbering import NUMBERS, numbering
from noble_prob.cells import load_cell
from noble_prob.ensemble import draw
from noble_prob.errors import UsageError
from noble_prob.examination import examine_population, examine_tables
from noble_prob.findings.registry import judge


@pytest.fixture(scope="module")
def cell():
    return load_cell("pvalb-689331391")


def cells(*names, n=30):
    """A table of measured cells, all columns numbers of the rows until filled."""
    value = np.tile(np.arange(n, dtype=float)[:, None], (1, len(names)))
    return FeatureTable(names=names, units=("",) * len(names), value=value, axis="neuron", source="cells.csv")


def test_the_headline_says_what_was_compared_and_the_remedy_what_to_rename(cell):
    """A number of the cell is no column; one that has no name of the ensemble's gets near matches."""
    table = cells("Cell", "Vrest", "AP width", "sag")
    table.value[:, 1:] = draw(cell.prior, 30, seed=1).value[:, [0, 1, 2]]
    found = examine_population(table, cell, neurons=20).before
    assert found.sentence.startswith("Compared: sag (1 of 3 columns). ")
    (said,) = (f for f in judge(found) if "left_out" in f.evidence)
    assert "for the ensemble has none of the name: Vrest, AP width." in said.sentence
    assert said.remedy.startswith("Rename: Vrest (resting_voltage?), AP width (ap1_width?). The ensemble has resting")
    assert said.remedy.endswith("; more in noble_prob.features.FEATURES.")
    whole = examine_population(table.select(["Cell", "sag"]), cell, neurons=20).before
    assert not whole.sentence.startswith("Compared")
    assert not whole.left_out


def test_a_table_without_a_known_name_is_told_the_nearest(cell):
    with pytest.raises(UsageError, match=r"rename its columns: AP width \(ap1_width\?\)"):
        examine_population(cells("cell", "AP width"), cell, neurons=20)


@pytest.mark.parametrize("name", ["id", "trial", "Sweep number", "repeat", "run_id", "Unnamed: 0", "whatever"])
def test_numbers_of_the_rows_are_never_compared(name):
    """In two tables either, and it is said, unless there is nothing else."""
    a, b = cells(name, "x"), cells(name, "x", n=40)
    for table, seed in ((a, 1), (b, 2)):
        rng = np.random.default_rng(seed)
        table.value[:, 1] = rng.normal(size=len(table))
        if name != "whatever":  # known by its name, in any order
            table.value[:, 0] = rng.permutation(len(table))
    found = calibrate_population(a, b, permutations=399)
    assert [f.name for f in found.features] == ["x"]
    assert not found.miscalibrated
    (said,) = (f for f in judge(found) if "numbers" in f.evidence)
    assert said.sentence.endswith(f"they number the rows: {name}.")
    assert [f.name for f in examine_tables(a.select([name]), b.select([name])).features] == [name]


def test_what_numbers_one_table_is_no_feature_of_the_other():
    """Whose rows may be in another order."""
    a, b = cells("no.", "x"), cells("no.", "x")
    for table, seed in ((a, 1), (b, 2)):
        table.value[:, 1] = np.random.default_rng(seed).normal(size=len(table))
    b.value[:, 0] = b.value[::-1, 0]
    assert [f.name for f in examine_tables(a, b).features] == ["x"]


def test_measured_whole_numbers_are_compared():
    """Under a feature's name, with a unit, with another step between them, or in a table too short to tell."""
    a = cells("spike_count", "sweep_1", "odd", "few")
    a.value[:, 1] = np.random.default_rng(1).poisson(9, len(a))
    a.value[:, 2] *= 2
    assert numbering(a.select(["spike_count", "sweep_1", "odd"])) == {}
    assert numbering(a.select(["few", "odd"])) == {"few": NUMBERS}
    assert numbering(a.select(["few", "odd"]).rows([0, 1, 2])) == {}
    assert numbering(replace(a, units=("", "", "", "mV"))) == {}


def test_a_far_name_has_no_near_match():
    assert nearest("slice", ["sag", "spike_count", "resting_voltage"]) == ""
    assert nearest("mean ISI (ms)", ["spike_count", "mean_isi_ms"]) == "mean_isi_ms"
