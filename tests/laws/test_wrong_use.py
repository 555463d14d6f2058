"""Wrong use is told in one sentence that names the argument, before any work, by every verb."""

import copy
import pickle

import pytest

from noble_prob.errors import UsageError


@pytest.mark.parametrize("again", [lambda e: pickle.loads(pickle.dumps(e)), copy.deepcopy, copy.copy])
def test_the_sentence_travels_between_processes(again):
    error = UsageError("dt_ms", "a positive number", -1, "pass the sampling interval in ms")
    other = again(error)
    assert type(other) is UsageError
    assert str(other) == str(error)
    assert (other.parameter, other.found) == ("dt_ms", "-1")
