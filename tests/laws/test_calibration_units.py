"""The unit of a column, wherever its head says it."""

from __future__ import annotations

import numpy as np
import pytest

from noble_prob.calibration import FeatureTable, calibrate_population, calibrate_repeats
from noble_prob.cells import load_cell
from noble_prob.examination import examine_population


def written(path, head, n, seed):
    """A table of rows around 10 on disk, read back."""
    rows = [
        ",".join(f"{v:.4f}" for v in row) for row in np.random.default_rng(seed).normal(10, 1, (n, head.count(",") + 1))
    ]
    path.write_text("\n".join([head, *rows]))
    return FeatureTable.from_csv(path, axis="trial")


def test_a_name_states_its_unit(tmp_path):
    head = "peak_mv,latency_ms,input_resistance_mohm,rate_hz,group_a,log_latency_ms,count,width_ms (us)"
    assert written(tmp_path / "a.csv", head, 3, 0).units == ("mV", "ms", "MOhm", "Hz", "", "", "", "us")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("first_spike_latency (ms)", "first_spike_latency_ms"),
        ("first_spike_latency_ms", "first_spike_latency [ms]"),
        ("first_spike_latency_ms", "first_spike_latency_ms"),
        ("first_spike_latency_ms (msec)", "first_spike_latency_ms"),
    ],
)
def test_a_unit_in_brackets_and_one_at_the_end_are_the_same_column(tmp_path, one, other):
    """They are compared, and every number has its unit."""
    a, b = written(tmp_path / "a.csv", f"{one},count", 30, 0), written(tmp_path / "b.csv", f"{other},count", 200, 1)
    found = calibrate_repeats(a, FeatureTable(**{**b.__dict__, "value": b.value + np.array([40, 0])}), permutations=299)
    assert not found.left_out
    assert [f.name for f in found.features] == [a.names[0], "count"]
    assert found[a.names[0]].unit.startswith("ms")
    assert " ms" in found[a.names[0]].sentence


def test_a_population_may_state_units_in_brackets(tmp_path):
    """The toy's latent is called `resting_voltage_mv`."""
    rows = np.random.default_rng(0).normal(-70, 3, 20)
    (tmp_path / "a.csv").write_text("\n".join(["resting_voltage (mV)", *(f"{v:.3f}" for v in rows)]))
    found = examine_population(FeatureTable.from_csv(tmp_path / "a.csv", axis="neuron"), load_cell("toy"), neurons=50)
    assert [f.name for f in found.before.features] == ["resting_voltage_mv"]


@pytest.mark.parametrize("factor", [2.0**530, 2.0**-530, 1e160, 1e300])
def test_a_verdict_knows_no_unit_however_small(factor):
    """Squares of 1e160 are beyond all numbers, and infinite spreads once agreed."""
    rng = np.random.default_rng(0)
    rows = rng.normal(0, 1, (40, 2)), 10 * rng.normal(0, 1, (100, 2))

    def judged(scale):
        a, b = (FeatureTable(names=("x", "y"), units=("", ""), value=scale * v, axis="neuron") for v in rows)
        return calibrate_population(a, b, permutations=399)

    plain, scaled = judged(1.0), judged(factor)
    assert plain.severity == scaled.severity == "issue"
    assert scaled.p_value == plain.p_value
    assert scaled.sentence == plain.sentence
    assert np.isclose(scaled.energy_ratio, plain.energy_ratio)
    assert np.isclose(scaled.features[0].observed_sd / factor, plain.features[0].observed_sd)
