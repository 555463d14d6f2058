"""What is stored comes back exactly, and a membrane's voltage is small."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from noble_prob.errors import UsageError
from noble_prob.population.codec import OFFSET_MV, SCALE_MV, decode, dequantise, encode, quantise


@given(arrays(np.int16, st.tuples(st.integers(1, 3), st.integers(2, 40))))
def test_any_int16_trace_survives(steps):
    planes = encode(steps)
    assert planes.dtype == np.uint8
    assert planes.shape == (steps.shape[0], 2, steps.shape[1])
    np.testing.assert_array_equal(decode(planes), steps)


@given(arrays(np.float64, 30, elements=st.floats(-390, 250)))
def test_quantisation_errs_by_at_most_half_a_step(voltage):
    assert np.abs(dequantise(quantise(voltage)).astype(np.float64) - voltage).max() <= 0.5 * SCALE_MV + 1e-4


@pytest.mark.parametrize("bad", [np.nan, np.inf, OFFSET_MV + 330.0])
def test_a_voltage_without_a_code_is_refused(bad):
    with pytest.raises(UsageError, match="voltage_mv"):
        quantise(np.array([-70.0, bad]))
