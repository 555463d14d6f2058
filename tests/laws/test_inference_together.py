"""A batch that breaks is done one by one, and says so."""

from noble_prob.inference.together import one_by_one_if_broken


def sampler(*guilty):
    """Posteriors are the observations themselves; some break every batch they are in."""

    def run(items):
        if set(guilty) & set(items):
            raise MemoryError("too\n large")
        return list(items)

    return run


def test_what_goes_well_together_is_done_together(capsys):
    assert one_by_one_if_broken(sampler(), "abc") == ["a", "b", "c"]
    assert one_by_one_if_broken(sampler(), "") == []
    assert capsys.readouterr().err == ""


def test_the_guilty_one_alone_fails_and_the_break_is_told(capsys):
    first, error, last = one_by_one_if_broken(sampler("b"), "abc")
    assert (first, type(error), last) == ("a", MemoryError, "c")
    assert capsys.readouterr().err == (
        "3 recordings side by side failed (MemoryError: too large); now one after the other.\n"
    )
    (alone,) = one_by_one_if_broken(sampler("b"), "b")
    assert isinstance(alone, MemoryError)
    assert capsys.readouterr().err == ""
