"""What must hold for any data: levels are not mixed, units and order do not matter, what is undefined is said."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from noble_prob.calibration import (
    FeatureTable,
    calibrate_population,
    calibrate_repeats,
    compare_experiments,
    within,
)
from noble_prob.calibration.verdict import fewest_relabellings
from noble_prob.errors import UsageError
from noble_prob.features import measure
from noble_prob.findings.registry import judge
from noble_prob.recording import Protocol, Recording
from noble_prob.report import render
from noble_prob.report.parts import calibration_part

NAMES, UNITS = ("spike_count", "latency", "width"), ("", "ms", "ms")


def table(value, axis="trial", **kwargs):
    return FeatureTable(names=NAMES, units=UNITS, value=np.asarray(value, float), axis=axis, **kwargs)


def rows(n, seed=0, scale=1.0):
    x = scale * np.random.default_rng(seed).standard_normal((n, 3))
    x[:, 0] = np.round(2 * x[:, 0]) + 9
    return x


def quick(verb, a, b, **kwargs):
    return verb(a, b, permutations=299, **kwargs)


def test_levels_can_not_be_mixed():
    trial, neuron = table(rows(9)), table(rows(200, 1), "neuron")
    for verb, a, b in (
        (calibrate_repeats, trial, neuron),
        (calibrate_repeats, neuron, neuron),
        (calibrate_population, trial, trial),
        (compare_experiments, trial, neuron),
    ):
        with pytest.raises(UsageError, match=r"trial|neuron"):
            quick(verb, a, b)
    with pytest.raises(UsageError, match="repeats"):
        within(neuron, ["a"] * 200)


def measured(amplitudes, *batch, axes=()):
    """Features of voltages that are their place in the batch, so that a row is known by its value."""
    protocol = Protocol.step_family(amplitudes)
    rest = torch.arange(float(np.prod((*batch, len(amplitudes))))).reshape(*batch, len(amplitudes), 1)
    voltage = (rest - 90).expand(*batch, *protocol.current_pa.shape)
    return measure(Recording(protocol=protocol, voltage_mv=voltage, axes=axes), names=["resting_voltage_mv"])


def test_rows_of_an_ensemble_are_the_members_of_one_axis():
    one = FeatureTable.from_features(measured([50.0, 60.0], 1, 4, axes=("neuron", "trial")), axis="trial", sweep=1)
    assert (one.value[:, 0] + 90).tolist() == [1, 3, 5, 7]
    still = FeatureTable.from_features(measured([50.0], 3, 1, axes=("neuron", "trial")), axis="neuron", sweep=-1)
    assert (still.value[:, 0] + 90).tolist() == [0, 1, 2]
    many = measured([50.0], 5, 20, axes=("neuron", "trial"))
    with pytest.raises(UsageError, match=r"5 along 'neuron'; take one .*members\(0, axis='neuron'\)"):
        FeatureTable.from_features(many, axis="trial", sweep=0)
    with pytest.raises(UsageError, match=r"20 along 'trial'.*average"):
        FeatureTable.from_features(many, axis="neuron", sweep=0)
    with pytest.raises(UsageError, match="'draw'"):
        FeatureTable.from_features(many, axis="draw", sweep=0)


@pytest.mark.parametrize("sweep", [None, 1, -2, 0.5])
def test_an_ensemble_needs_a_sweep_that_exists(sweep):
    with pytest.raises(UsageError, match=r"sweep.*one of the 1 sweeps"):
        FeatureTable.from_features(measured([50.0], 4, axes=("trial",)), axis="trial", sweep=sweep)


def test_sweeps_are_repeats_where_their_step_is_one_and_never_neurons():
    repeats = measured([50.0, 50.4, 49.7])  # as a recorded current gives them
    assert (FeatureTable.from_features(repeats, axis="trial").value[:, 0] + 90).tolist() == [0, 1, 2]
    assert len(FeatureTable.from_features(replace(repeats, steps=(None,) * 3), axis="trial")) == 3
    for axis in ("neuron", "draw"):
        with pytest.raises(UsageError, match="repeats of one neuron"):
            FeatureTable.from_features(repeats, axis=axis)
    with pytest.raises(UsageError, match=r"other steps in sweeps 1, 2.*recording\.select"):
        FeatureTable.from_features(measured([50.0, 80.0, 110.0]), axis="trial")
    with pytest.raises(UsageError, match=r"`sweep` should be left out"):
        FeatureTable.from_features(repeats, axis="trial", sweep=0)


def test_units_and_order_of_rows_and_columns_do_not_matter():
    a, b = rows(9), rows(200, 1)
    plain = quick(calibrate_repeats, table(a), table(b))
    stretched = quick(calibrate_repeats, table(a * [1, 1e3, 1e-6] + 5), table(b * [1, 1e3, 1e-6] + 5))
    assert stretched.p_value == plain.p_value
    assert stretched["latency"].sd_ratio == pytest.approx(plain["latency"].sd_ratio)
    swapped = quick(calibrate_repeats, table(a).select(NAMES[::-1]), table(b))
    assert swapped["width"].sd_ratio == pytest.approx(plain["width"].sd_ratio)
    assert swapped.p_value == pytest.approx(plain.p_value, abs=0.02)


def test_the_same_seed_gives_the_same_calibration():
    one, two = (quick(calibrate_repeats, table(rows(9)), table(rows(200, 1)), seed=4) for _ in range(2))
    assert one.p_value == two.p_value
    np.testing.assert_array_equal(one["latency"].pit, two["latency"].pit)


def test_undefined_is_masked_and_said():
    a, b = rows(9), rows(200, 1)
    a[:, 1] = b[:, 1] = np.nan
    c = quick(calibrate_repeats, table(a), table(b))
    assert list(c.skipped) == ["latency"]
    assert [f.name for f in c.features] == ["spike_count", "width"]
    a, b = rows(9), rows(200, 1)
    a[:, 2] = np.nan  # the ensemble has it, the experiment never
    c = calibrate_repeats(table(a), table(b), permutations=999)
    assert c.miscalibrated
    assert c["width"].severity == "issue"
    assert np.isnan(c["width"].sd_ratio)
    assert "never defined in the experiment" in c["width"].sentence


def silenced(value, every):
    """The same rows, those at multiples of ``every`` without any value; none for 0."""
    value = value.copy()
    if every:
        value[::every] = np.nan
    return value


@pytest.mark.parametrize(("seen", "drawn", "wrong"), [(2, 0, True), (0, 2, True), (2, 2, False), (1, 0, True)])
def test_rows_without_any_value_count_in_how_often_a_feature_exists(seen, drawn, wrong):
    """Every ``seen``-th repeat and every ``drawn``-th predicted one is silent: no feature of theirs exists."""
    a, b = table(silenced(rows(20), seen)).select(NAMES[1:]), table(silenced(rows(400, 1), drawn)).select(NAMES[1:])
    result = calibrate_repeats(a, b, permutations=499)
    assert (len(result.observed), len(result.ensemble)) == (20, 400)
    assert result.miscalibrated == wrong
    assert {f.severity == "issue" for f in result.features} == {wrong}
    assert ("NP204" in {f.code for f in judge(result)}) == wrong
    assert not any("nan" in f.sentence for f in judge(result))
    assert (result.coverage is None) == (seen == 1)  # no curve of no value


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_rows_are_a_verdict_not_an_error(n):
    c = quick(calibrate_repeats, table(rows(9)[:n]), table(rows(200, 1)))
    assert c.severity == "not judged"
    assert np.isnan(c.p_value)
    assert not c.miscalibrated


def test_constant_features_have_no_ratio_and_break_nothing():
    a, b = rows(9), rows(200, 1)
    a[:, 0] = b[:, 0] = 7
    c = quick(calibrate_repeats, table(a), table(b))
    assert c["spike_count"].severity == "not judged"
    assert np.isfinite(c.p_value)


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_tables_in_which_nothing_varies_are_not_judged(value):
    c = quick(calibrate_repeats, table(np.full((9, 3), value)), table(np.full((200, 3), value)))
    assert (c.severity, c.power_narrow, c.power_wide) == ("not judged", 0.0, 0.0)
    assert set(c.skipped.values()) == {"one value in every row"}
    other = quick(calibrate_repeats, table(np.full((9, 3), value)), table(np.full((200, 3), value + 1)))
    assert other.miscalibrated  # two constants are told apart, but no spread could have been
    assert max(other.power_narrow, other.power_wide) < 0.05


@pytest.mark.parametrize("alpha", [0.03, 0.2, 0.001])
def test_so_few_relabellings_that_nothing_could_fall_are_refused(alpha):
    """With the fewest that are taken the grossest misfit is found, of whichever kind; with one less it may not be."""
    fewest = fewest_relabellings(alpha)
    right, wrong = table(rows(400, 1)), [table(50 * rows(12)), table(rows(12) + 1000), table(silenced(rows(12), 2))]
    for observed in wrong:
        assert calibrate_repeats(observed, right, alpha=alpha, permutations=fewest).miscalibrated
    with pytest.raises(UsageError, match=f"`permutations` should be .*at least {fewest}"):
        calibrate_repeats(wrong[0], right, alpha=alpha, permutations=fewest - 1)


def test_a_level_beyond_the_pseudo_experiments_is_refused():
    with pytest.raises(UsageError, match=r"`alpha` should be from 0\.001"):
        quick(calibrate_repeats, table(rows(9)), table(rows(200, 1)), alpha=1e-4)


def test_a_weak_test_does_not_vouch():
    c = quick(calibrate_repeats, table(rows(2)[:, :]), table(rows(400, 1)), seed=1)
    assert c.power_wide < 0.8
    assert c.severity != "passed"


def test_few_shared_features_are_enough_and_none_is_refused():
    other = FeatureTable(names=("width", "sag"), units=("ms", "mV"), value=rows(200, 2)[:, 1:], axis="trial")
    c = quick(calibrate_repeats, table(rows(9)), other)
    assert [f.name for f in c.features] == ["width"]
    with pytest.raises(UsageError, match="rename the columns"):
        quick(calibrate_repeats, table(rows(9)), other.select(["sag"]))
    milli = FeatureTable(names=("width",), units=("us",), value=rows(200, 2)[:, :1], axis="trial")
    with pytest.raises(UsageError, match="convert"):
        quick(calibrate_repeats, table(rows(9)), milli)


def test_csv_round_trip(tmp_path):
    value = rows(5)
    value[2, 1] = np.nan
    first = table(value, labels=tuple("abcde"))
    first.to_csv(tmp_path / "t.csv")
    second = FeatureTable.from_csv(tmp_path / "t.csv", axis="trial")
    np.testing.assert_array_equal(second.value, value)
    assert (second.names, second.units, second.labels) == (first.names, first.units, first.labels)


def test_columns_of_one_table_alone_are_named():
    """Left out on either side, in the result, as a finding, and on every form of the page."""
    more = FeatureTable(
        names=(*NAMES, "sag"),
        units=(*UNITS, "mV"),
        value=np.c_[rows(300, 1), rows(300, 2)[:, 1]],
        axis="trial",
        source="predicted.csv",
    )
    observed = replace(table(rows(30)), names=("spike_count", "latency", "breadth"), source="seen.csv")
    result = quick(calibrate_repeats, observed, more)
    assert result.left_out == {"breadth": "observed", "width": "ensemble", "sag": "ensemble"}
    (found,) = (f for f in judge(result) if f.code == "NP205" and "left_out" in f.evidence)
    assert found.severity == "not judged"
    assert "only the first table (seen.csv) has numbers for breadth; only the second" in found.sentence
    assert "(predicted.csv) has numbers for width, sag." in found.sentence
    part = calibration_part(result)
    for form in ("text", "html"):
        assert "breadth" in render(part, form)
        assert "width, sag" in render(part, form)
    assert not quick(calibrate_repeats, table(rows(30)), table(rows(300, 1))).left_out


@pytest.mark.parametrize(
    ("one", "other", "match"),
    [
        (("latency_s", ""), ("latency_ms", ""), "'latency_s' in the first and 'latency_ms' in the second; convert"),
        (("rest_mv", ""), ("rest_v", ""), "mv times 0.001 is v"),
        (("rin_mohm", ""), ("rin_gohm", ""), "convert one table"),
        (("hold_pa", ""), ("hold_na", ""), "convert one table"),
        (("rate_hz", ""), ("rate_khz", ""), "convert one table"),
        (("latency_s", ""), ("latency", "ms"), "s times 1000 is ms"),
    ],
)
def test_the_same_feature_in_two_units_is_refused(one, other, match):
    a, b = (
        replace(table(rows(9, k)), names=("count", "width", name), units=("", "", unit))
        for k, (name, unit) in enumerate((one, other))
    )
    for first, second in ((a, b), (b, a)):
        with pytest.raises(UsageError, match=r"convert|rename"):
            quick(calibrate_repeats, first, second)
    with pytest.raises(UsageError, match=match):
        quick(calibrate_repeats, a, b)


def test_names_that_only_look_like_units_are_kept_apart():
    a, b = (replace(table(rows(9, k)), names=("count", "width", name)) for k, name in enumerate(("peak_mv", "peak_ms")))
    assert set(quick(calibrate_repeats, a, b).left_out) == {"peak_mv", "peak_ms"}
