"""A wrong input ends in one helpful sentence: expected, found, what to do; nothing is left behind."""

import pytest
from bad_inputs import CASES
from foreign_files import step_family, write_abf

from noble_prob.errors import UsageError
from noble_prob.readers import read


def test_names_of_abf_channels_are_plain_words(tmp_path):
    _, current, voltage = step_family()
    path = write_abf(tmp_path / "a.abf", {"Vm": ("mV", voltage), "V2": ("mV", voltage), "I": ("pA", current)})
    with pytest.raises(UsageError, match="0 = 'Vm', 1 = 'V2'"):
        read(path, channel="V9")
    assert read(path).provenance["remarks"][0] == "Of the voltage channels ['Vm', 'V2'] this is 'Vm'."


def test_at_least_twenty_distinct_mistakes():
    assert len({case.name for case in CASES}) == len(CASES) >= 20


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_mistake_gets_one_sentence(case, tmp_path):
    path = case.make(tmp_path)
    before = sorted(p.name for p in tmp_path.rglob("*"))
    with pytest.raises(UsageError) as caught:
        read(path)
    sentence = str(caught.value)
    assert case.word in sentence
    assert sentence.startswith("`")
    assert "should be" in sentence
    assert "found" in sentence
    assert "\n" not in sentence
    assert len(sentence) < 420
    assert str(tmp_path) not in sentence
    assert sorted(p.name for p in tmp_path.rglob("*")) == before
