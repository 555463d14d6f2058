"""What ``import noble_prob`` gives: the names it says, each documented, and no others."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

import noble_prob


def test_the_public_surface_is_what_is_said():
    assert set(noble_prob.__all__) == set(noble_prob._ROOM)
    listed = {
        alias.asname or alias.name
        for node in ast.walk(ast.parse(Path(noble_prob.__file__).read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("noble_prob.")
        for alias in node.names
    }
    assert listed == set(noble_prob.__all__)
    for name in noble_prob.__all__:
        assert getattr(noble_prob, name).__doc__, name
    assert set(dir(noble_prob)) == {*noble_prob.__all__, "__version__"}
    assert re.fullmatch(r"\d+\.\d+\.\d+", noble_prob.__version__)
    with pytest.raises(AttributeError, match="no attribute"):
        _ = noble_prob.nothing_of_the_kind


def test_no_verb_shows_a_bar_unless_asked():
    defaults = {
        name: inspect.signature(getattr(noble_prob, name)).parameters["progress"].default
        for name in noble_prob.__all__
        if name[0].islower() and "progress" in inspect.signature(getattr(noble_prob, name)).parameters
    }
    assert {"infer", "simulate", "respond", "evaluate"} <= set(defaults)
    assert not any(defaults.values()), defaults
