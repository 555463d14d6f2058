"""What must hold for any data: levels are not mixed, units and order do not matter, what is undefined is said."""

import numpy as np
import pytest

from noble_prob.calibration import (
    FeatureTable,
    calibrate_population,
    calibrate_repeats,
    compare_experiments,
    within,
)
from noble_prob.errors import UsageError

NAMES, UNITS = ("spike_count", "latency", "width"), ("", "ms", "ms")


def table(value, axis="trial", **kwargs):
    return FeatureTable(names=NAMES, units=UNITS, value=np.asarray(value, float), axis=axis, **kwargs)


def rows(n, seed=0, scale=1.0):
    x = scale * np.random.default_rng(seed).standard_normal((n, 3))
    x[:, 0] = np.round(2 * x[:, 0]) + 9
    return x


def quick(verb, a, b, **kwargs):
    return verb(a, b, permutations=199, **kwargs)


def test_levels_can_not_be_mixed():
    trial, neuron = table(rows(9)), table(rows(200, 1), "neuron")
    for verb, a, b in (
        (calibrate_repeats, trial, neuron), (calibrate_repeats, neuron, neuron), (calibrate_population, trial, trial),
        (compare_experiments, trial, neuron),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=r"trial|neuron"):
            quick(verb, a, b)
    with pytest.raises(UsageError, match="repeats"):
        within(neuron, ["a"] * 200)


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


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "header"),
        ("a,b\n", "header"),
        ("a,b\n1,2\n3\n", "cells"),
        ("a,b\nx,y\n", "numerical"),
        ("a,a\n1,2\n", "twice"),
    ],
)
def test_bad_tables_are_refused_in_one_sentence(tmp_path, text, match):
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(UsageError, match=match) as error:
        FeatureTable.from_csv(tmp_path / "bad.csv", axis="trial")
    assert "\n" not in str(error.value)
    with pytest.raises(UsageError, match="existing"):
        FeatureTable.from_csv(tmp_path / "absent.csv", axis="trial")
