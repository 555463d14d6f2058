"""What a newcomer reads first says what the demo is and how long a posterior takes."""

from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def plain(text):
    """The text without line breaks."""
    return " ".join(text.split())


def first_words():
    pages = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/quickstart.md")}
    return {**pages, "demo --help": import_module("noble_prob.cli.demo").__doc__}


TIMES = (
    "A posterior takes 10 to 60 s on two cores with `nuts`, 1 to 2 s with `npe`; where `npe`'s weights fail, "
    "chains are run instead, which can take minutes."
)


@pytest.mark.parametrize(
    "where", ["README.md", "docs/inference.md", "noble_prob/cli/demo.py", "noble_prob/cli/infer.py"]
)
def test_times_are_the_same_everywhere(where):
    assert TIMES in plain((ROOT / where).read_text(encoding="utf-8"))


@pytest.mark.parametrize("where", list(first_words()))
def test_the_demo_is_said_to_be_a_noise_free_simulation(where):
    text = plain(first_words()[where])
    assert "noise-free" in text
    assert "held-out" in text
    assert "as if it came from a laboratory" not in text
