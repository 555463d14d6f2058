"""What the documentation shows runs, what it links exists, and the site builds without a warning."""

from __future__ import annotations

import ast
import contextlib
import doctest
import importlib
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from noble_prob.cells import load_cell
from noble_prob.readers import write_npz

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = re.compile(r"```python\n(.*?)```", re.DOTALL)
SMALL = (
    ("cell.prior, 1000,", "cell.prior, 4,"),
    ('nb.load_cell("pvalb-689331391")', 'nb.load_cell("toy")'),
    ("cell.prior, 100,", "cell.prior, 4,"),
    ('= read("cell.abf")', '= read("cell.npz")'),
    ('nb.read("cell.abf")', 'nb.read("cell.npz")'),
    ('nb.read("repeats.abf")', 'nb.read("repeats.npz")'),
    ("prior=cell.prior, seed=1)", 'prior=cell.prior, seed=1, method="hmc", chains=2, warmup=12, draws=12)'),
    ("cell, seed=1)", "cell, seed=1, method='hmc', chains=2, warmup=12, draws=12)"),
    ('method="npe", estimator=cell.estimator)', 'method="hmc", chains=2, warmup=12, draws=12)'),
)
"""Numbers as a reader would use them, and small ones in their place."""


def shrink(text: str, names: tuple[str, ...]) -> str:
    """A program with small numbers; every listed passage must be there, so that none is shrunk in vain."""
    for big, small in SMALL:
        if big in names:
            assert big in text, f"the page no longer says {big!r}"
            text = text.replace(big, small)
    return text


@pytest.fixture
def laboratory(tmp_path, monkeypatch):
    """A folder with a recording, and one that repeats a step, as the pages expect them."""
    recording, _ = load_cell().demo
    write_npz(recording.select([0, 4]), tmp_path / "cell.npz")
    repeated = recording.select([0, 4, 4, 4])
    drift = torch.linspace(-0.5, 0.5, 4, dtype=repeated.voltage_mv.dtype)
    write_npz(replace(repeated, voltage_mv=repeated.voltage_mv + drift[:, None]), tmp_path / "repeats.npz")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("page", "shrunk"),
    [
        (
            "README.md",
            (
                "cell.prior, 1000,",
                'nb.read("cell.abf")',
                'nb.read("repeats.abf")',
                "prior=cell.prior, seed=1)",
                "cell, seed=1)",
            ),
        ),
        (
            "docs/quickstart.md",
            (
                'nb.load_cell("pvalb-689331391")',
                "cell.prior, 100,",
                "prior=cell.prior, seed=1)",
                "cell, seed=1)",
                'method="npe", estimator=cell.estimator)',
            ),
        ),
        ("docs/concepts.md", ()),
        ("docs/formats.md", ('= read("cell.abf")',)),
    ],
)
def test_programs_of_a_page_run(page, shrunk, laboratory, capsys):
    text = shrink((ROOT / page).read_text(), shrunk)
    programs = PROGRAM.findall(text)
    assert len(programs) >= 2
    names: dict = {"__name__": "page"}
    for program in programs:
        exec(compile(program, page, "exec"), names)
    if page == "README.md":
        printed = capsys.readouterr().out
        assert "resting_voltage:" in printed
        assert names["posterior"].latents.shape[:2] == (2, 12)
        assert names["ensemble"].axes == ("neuron",)
        assert names["verdict"].level == "trial"
        assert len(names["verdict"].observed) >= 2


def test_examples_in_readme_are_short():
    programs = PROGRAM.findall((ROOT / "README.md").read_text())
    assert len(programs) == 3
    assert all(len(program.strip().splitlines()) <= 10 for program in programs)


def modules_with_examples() -> list[str]:
    """Modules of the package whose docstrings hold examples."""
    paths = [p for p in (ROOT / "noble_prob").rglob("*.py") if ">>> " in p.read_text()]
    return sorted(".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for p in paths)


@pytest.mark.parametrize("module", modules_with_examples())
def test_examples_in_docstrings_run(module):
    result = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


def test_links_and_pictures_exist():
    missing = []
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
            if not target.startswith("http") and not (page.parent / target).exists():
                missing.append(f"{page.name}: {target}")
    assert missing == []


def test_programs_named_in_the_pages_exist():
    named = {
        (page.name, path)
        for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
        for path in re.findall(r"\b((?:analyses|tests|noble_prob)/[\w/]+\.py)\b", page.read_text())
    }
    assert sorted(f"{page}: {path}" for page, path in named if not (ROOT / path).is_file()) == []


def test_names_beyond_the_surface_are_where_the_page_says():
    section = (ROOT / "docs" / "api.md").read_text().split("## Useful beyond the surface")[1]
    rows = [re.findall(r"`([\w.]+)`", line) for line in section.splitlines() if line.startswith("| `")]
    told = [getattr(importlib.import_module(room), name) for room, *names in rows for name in names]
    drawn = [path.rpartition(".") for path in re.findall(r"^::: ([\w.]+)$", section, re.MULTILINE)]
    described = [getattr(importlib.import_module(room), name) for room, _, name in drawn]
    assert len(told) > 30
    assert all(one is other for one, other in zip(told, described, strict=True))


def test_every_verb_is_on_the_page_and_in_the_help(capsys):
    from noble_prob.cli import VERBS, main

    page = (ROOT / "docs" / "cli.md").read_text()
    assert main([]) == 0
    overview = capsys.readouterr().out
    for verb in VERBS:
        assert f"| `{verb}" in page, verb
        assert f"\n  {verb} " in overview, verb
        assert main([verb, "--help"]) == 0
        text = capsys.readouterr().out
        assert f"noble-prob {verb}" in text
        assert ("--device" in text) == (verb not in ("simulate", "populate"))
        assert "--json" in text


def commands_shown() -> list[tuple[str, str]]:
    """Commands in the pages (on a line or between backticks) and in the help of each verb, with their arguments."""
    texts = [page.read_text() for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))]
    texts += [ast.get_docstring(ast.parse(p.read_text())) or "" for p in (ROOT / "noble_prob" / "cli").glob("*.py")]
    command = r"(?:^ *|`)noble-prob ([\w-]+)((?: [^`\n]+)?)"
    found = {m for text in texts for m in re.findall(command, text, re.MULTILINE)}
    return sorted(
        (verb, rest)
        for verb, rest in found
        if "--" in rest and verb != "VERB" and "..." not in rest and "|" not in rest
    )


def test_there_are_commands_to_check():
    assert {"demo", "sample", "infer", "calibrate", "evaluate", "report", "sbc", "train-npe"} <= {
        verb for verb, _ in commands_shown()
    }


@pytest.mark.parametrize(("verb", "rest"), commands_shown())
def test_command_shown_is_understood(verb, rest):
    """It parses; nothing is run."""
    from noble_prob.cli import VERBS, parser_of

    assert verb in VERBS
    if "--help" not in rest:
        parser_of(verb).parse_args(rest.split())


def test_the_site_builds_without_a_warning(tmp_path):
    build = ["mkdocs", "build", "--strict", "-q", "-f", str(ROOT / ".mkdocs.yml"), "-d", str(tmp_path)]
    answer = subprocess.run(
        [sys.executable, "-m", *build],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    page = (tmp_path / "api" / "index.html").read_text()
    with contextlib.suppress(ImportError):
        import noble_prob

        undocumented = [name for name in noble_prob.__all__ if f">{name}</" not in page and f".{name}" not in page]
        assert undocumented == []
