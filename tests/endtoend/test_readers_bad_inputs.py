"""A wrong input ends in one helpful sentence: expected, found, what to do; nothing is left behind."""

import pytest
from bad_inputs import CASES

from noble_prob.errors import UsageError
from noble_prob.readers import read


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
