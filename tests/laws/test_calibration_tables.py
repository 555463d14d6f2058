"""A table takes whatever holds numbers and refuses the rest in a sentence; results are named, compared and shown."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from noble_prob.calibration import FeatureTable, calibrate_population
from noble_prob.ensemble import draw, respond
from noble_prob.errors import UsageError
from noble_prob.features import fi_curve, find_spikes
from noble_prob.noise import TrialModel
from noble_prob.priors import plausibility

ROWS = [[1.0, 2.0], [3.0, float("nan")], [5.0, 6.0]]


def table(value=ROWS, **more):
    return FeatureTable(**({"names": ("a_mv", "b_mv"), "units": ("mV", "mV"), "value": value, "axis": "neuron"} | more))


@pytest.mark.parametrize(
    "kind",
    [
        np.array,
        torch.tensor,
        list,
        pd.DataFrame,
        lambda r: np.ma.masked_invalid(r),
        lambda r: np.array(r, dtype=">f4"),
        lambda r: [[None if v != v else v for v in row] for row in r],
        lambda r: np.array([[None if v != v else v for v in row] for row in r], dtype=object),
    ],
)
def test_values_of_any_kind_are_numbers_in_double_precision(kind):
    found = table(kind(ROWS), names=["a_mv", "b_mv"], labels=["x", "y", "z"])
    assert found.value.dtype == np.float64
    np.testing.assert_array_equal(found.value, ROWS)
    assert (found.names, found.labels) == (("a_mv", "b_mv"), ("x", "y", "z"))


def test_a_table_does_not_change_with_the_callers_array():
    value = np.ones((3, 2))
    kept = table(value)
    value[:] = 0
    assert (kept.value == 1).all()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"value": [[1.0, float("inf")]]}, "`value` should be finite, .* in table; found inf in row 1 of b_mv"),
        ({"value": [["high", 1.0]]}, "`value` should be numbers"),
        ({"value": [[1.0], [2.0, 3.0]]}, "`value` should be rows of one length"),
        ({"value": None}, "`value` should be numbers"),
        ({"value": np.ones((2, 2)) * 1j}, "`value` should be real"),
        ({"names": "ab"}, "`names` should be a tuple or list of words; found 'ab'"),
        ({"names": None}, "`names` should be a tuple"),
        ({"units": "mV"}, "`units` should be a tuple"),
        ({"labels": "xyz"}, "`labels` should be a tuple"),
    ],
)
def test_what_is_no_table_is_refused(change, match):
    with pytest.raises(UsageError, match=match):
        table(**change)
    with pytest.raises(UsageError, match="`names` should be a tuple"):
        table().select("a_mv")


def test_a_feature_that_was_not_compared_is_not_found_but_told():
    rng = np.random.default_rng(0)
    result = calibrate_population(table(rng.normal(size=(12, 2))), table(rng.normal(size=(30, 2))), permutations=299)
    assert result["a_mv"].name == "a_mv"
    with pytest.raises(UsageError, match="`name` should be among a_mv, b_mv; found 'typo'"):
        result["typo"]


def test_results_are_equal_to_themselves_only_and_fit_on_a_line(decoder, prior):
    neurons = draw(prior, 3, seed=0)
    answer = respond(decoder, neurons, [50.0, 180.0])
    shown = (table(), plausibility(prior, neurons), fi_curve(answer))
    for thing in (*shown, find_spikes(answer.voltage_mv, answer.time_ms), TrialModel.usual(prior.space)):
        assert thing == thing
        assert thing != replace(thing)
    assert repr(shown[0]) == "FeatureTable(3 rows of axis 'neuron' from 'table'; a_mv (mV), b_mv (mV))"
    assert repr(shown[1]).startswith("Plausibility(3 neurons; medians: density quantile 0.")
    known = repr(plausibility(prior, neurons, decoder=decoder))
    assert known.startswith("Plausibility(3 neurons, 0 beyond the decoder's support; ")
    assert repr(shown[2]).startswith("FICurve(neuron 3, 2 steps of 50 to 180 pA; ")
    assert all(len(repr(thing).splitlines()) == 1 for thing in shown)
