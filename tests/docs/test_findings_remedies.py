"""Remedies that name a call name one that exists, and sizes of noise have units."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

import noble_prob as nb
from noble_prob.findings import np106_noise, np201_match
from noble_prob.findings.registry import load
from noble_prob.noise.scales import USUAL


def test_a_remedy_names_what_exists():
    texts = (np201_match.REMEDY["trial"], load()["NP108"].doc)
    names = [name for text in texts for name in re.findall(r"(?:noble_prob|nb)(?:\.\w+)+", text)]
    assert set(names) == {"noble_prob.priors.widened", "nb.fit_trials"}
    for name in names:
        room, _, last = name.replace("nb.", "noble_prob.").rpartition(".")
        assert callable(getattr(import_module(room), last))


def test_no_sentence_points_to_a_page_that_is_not_installed():
    """The package comes without docs/; `python -m pydoc` and help() are there."""
    for path in Path(nb.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text())
        documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
                assert not re.search(r"docs/\w+\.md", node.value), (path, node.value)
                for module in re.findall(r"-m pydoc (noble_prob[\w.]*\w)", node.value):
                    import_module(module)


def test_a_size_of_noise_has_a_unit():
    sizes = {"trial_rest": 6.0, "trial_passive": 2.0, "trial_shape": 3.0}
    told = [np106_noise._times(sizes, site) for site in sizes]
    assert told == [
        "6 times what is usual (3 mV)",
        "2 times what is usual (deflection 0.6 mV)",
        "3 times what is usual (peak 3 mV, width 0.06 ms)",
    ]
    assert {name for shown in np106_noise.SHOWN.values() for name in shown} <= set(USUAL)
