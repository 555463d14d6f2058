"""Commands of the pages that run a program of ``analyses/`` name options that it has."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest
from analysis_example import program

ROOT = Path(__file__).resolve().parents[2]


class FoundError(Exception):
    """Carries a parser out of the program that built it."""


def commands(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """Program and options of every command in a page: between backticks, or on a line of its own."""
    flat = text.replace("\\\n", " ")
    rows = re.findall(r"`(?:python )?analyses/(\w+)\.py([^`]*)`", flat)
    rows += re.findall(r"^\s*(?:\.venv/bin/)?python analyses/(\w+)\.py(.*)$", flat, re.MULTILINE)
    return [(name, tuple(re.findall(r"(?<!\S)(--[a-z][\w-]*)", rest))) for name, rest in rows]


def shown() -> list[tuple[str, tuple[str, ...]]]:
    """All commands with options, each once."""
    pages = (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
    return sorted({row for page in pages for row in commands(page.read_text(encoding="utf-8")) if row[1]})


def parser_of(name: str, monkeypatch: pytest.MonkeyPatch) -> argparse.ArgumentParser:
    """The parser that a program builds."""
    module = program(name, monkeypatch)

    def stop(self, *_args, **_kwargs):
        raise FoundError(self)

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    with pytest.raises(FoundError) as caught:
        module.main()
    return caught.value.args[0]


def test_commands_are_found_on_a_line_and_between_backticks():
    text = "see `analyses/a.py --one 1\n--two`, or\n\n    python analyses/b.py --three x \\\n        --four\n"
    assert commands(text) == [("a", ("--one", "--two")), ("b", ("--three", "--four"))]
    assert {"benchmark_speed", "inference_speed", "population_reference", "population_latents"} <= dict(shown()).keys()


@pytest.mark.parametrize(("name", "options"), shown(), ids=lambda value: value if isinstance(value, str) else "")
def test_the_options_shown_exist(name, options, monkeypatch):
    known = parser_of(name, monkeypatch)._option_string_actions
    assert [option for option in options if option not in known] == []
