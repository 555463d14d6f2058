"""The house keeps its shape: who may import whom, which library lives where, how long a file may be."""

from __future__ import annotations

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "noble_prob"

ROOMS = (
    "errors",
    "findings.base",
    "findings.words",
    "strict_json",
    "jobs",
    "recording",
    "resample",
    "windows",
    "readers",
    "features",
    "latent",
    "metrics",
    "population",
    "decoder",
    "training",
    "priors",
    "noise",
    "amortised",
    "cells",
    "program",
    "inference",
    "ensemble",
    "sampling",
    "evaluation",
    "bench",
    "calibration",
    "examination",
    "findings",
    "runs",
    "report",
    "cli",
    "__main__",
)
"""Every room, in the direction of imports: a room may import those before it."""

ONLY_IN = {
    "pyro": {"priors", "noise", "program", "inference"},
    "zuko": {"priors", "amortised", "inference"},
    "arviz": {"noise", "inference"},
    "arviz_stats": set(),
    "arviz_base": set(),
    "arviz_plots": set(),
    "xarray": set(),
    "arbor": {"population"},
    "ray": {"jobs"},
    "neuralop": {"decoder"},
    "neo": {"readers"},
    "pynwb": {"readers"},
    "h5py": {"readers"},
    "igor2": {"readers"},
    "quantities": {"readers"},
    "matplotlib": {"report"},
    "jinja2": {"report"},
    "argparse": {"cli"},
    "efel": set(),
    "pickle": set(),
    "ipfx": set(),
}
"""Libraries and the rooms that may know them."""

LONG_BODIES = {
    "decoder/kernels.py: layer": 37,
    "decoder/kernels_arithmetic.py: _gelu_of_halves": 33,
    "decoder/kernels_backward.py: layer_backward": 54,
    "decoder/kernels_embedding.py: channels_backward": 33,
    "decoder/kernels_mlp.py: mlp_backward": 37,
}
"""Functions with bodies of more than 30 lines, and their limits: kernels, which keep what they need in registers."""

FORBIDDEN_WORDS = (
    "/work" + "/",
    "/root" + "/",
    "/tmp" + "/",
    "home" + "/ubuntu",
    "artifact" + "ory",
    "claude",
    "anthropic",
    "chatgpt",
    "language " + "model",
    "lent " + "device",
)
TEXTS = (".py", ".md", ".toml", ".yml", ".yaml", ".html", ".css", ".json", ".sh", ".csv", ".svg", "run")


def room_of(module: str) -> str:
    """The room that a module of the package belongs to."""
    parts = module.split(".")[1:]
    if parts[:2] in (["findings", "base"], ["findings", "words"]):
        return ".".join(parts[:2])
    return parts[0] if parts else "__init__"


@cache
def imports() -> tuple[tuple[Path, str, str], ...]:
    """(file, its room, imported module) of every import statement of the package, TYPE_CHECKING blocks included."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        module = ".".join(parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: import by full name"
                exported = {"noble_prob.findings": "noble_prob.findings.base"}  # the package re-exports its base
                names = [exported.get(node.module or "", node.module or "")]
                if node.module == "noble_prob":
                    names = [f"noble_prob.{alias.name}" for alias in node.names]
            found += [(path, room_of(module), name) for name in names]
    return tuple(found)


def test_every_module_is_in_a_known_room():
    rooms = {room_of(".".join(p.relative_to(ROOT).with_suffix("").parts)) for p in PACKAGE.rglob("*.py")}
    assert rooms - {"__init__"} == set(ROOMS)


def test_the_page_draws_the_rooms_in_this_order():
    drawing = (ROOT / "docs" / "architecture.md").read_text().split("```text\n")[1].split("```")[0]
    drawn = [name.strip("/ ") for line in drawing.splitlines() for name in re.split(r" {2,}", line)[0].split(",")]
    assert [*drawn, "__main__"] == list(ROOMS)


def test_imports_go_one_way():
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path, room, name in imports()
        if name.startswith("noble_prob.")
        and room not in ("__init__", room_of(name))
        and ROOMS.index(room_of(name)) > ROOMS.index(room)
    ]
    assert wrong == []


def test_the_direction_test_sees_a_wrong_import():
    assert ROOMS.index(room_of("noble_prob.report.html")) > ROOMS.index(room_of("noble_prob.recording"))
    assert any(room == "report" and name == "noble_prob.findings.registry" for _, room, name in imports())


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_library_stays_in_its_rooms(library):
    wrong = {
        f"{path.relative_to(ROOT)}"
        for path, room, name in imports()
        if name.split(".")[0] == library and room not in ONLY_IN[library]
    }
    assert wrong == set()


def test_only_the_program_has_sample_sites():
    """One probabilistic program of a neuron; what is fitted beforehand (a population, a trial model) has its own."""
    sites = [p for p in PACKAGE.rglob("*.py") if re.search(r"\bpyro\.sample\(", p.read_text())]
    assert {room_of(".".join(p.relative_to(ROOT).with_suffix("").parts)) for p in sites} <= {
        "program",
        "priors",
        "noise",
    }
    assert PACKAGE / "program.py" in sites


def test_files_are_short():
    long = {str(p.relative_to(ROOT)): n for p in python_files() if (n := len(p.read_text().splitlines())) > 300}
    assert long == {}


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_bodies_are_short():
    long = {
        f"{p.relative_to(PACKAGE)}: {node.name}": n
        for p in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(p.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (n := body_lines(node)) > 30
    }
    assert {name: n for name, n in long.items() if n > LONG_BODIES.get(name, 0)} == {}


def test_every_module_teaches():
    silent = [
        str(p.relative_to(ROOT)) for p in PACKAGE.rglob("*.py") if not ast.get_docstring(ast.parse(p.read_text()))
    ]
    assert silent == []


def test_the_library_does_not_print():
    """Results are values; only the command line writes to stdout."""
    loud = [
        f"{p.relative_to(ROOT)}:{node.lineno}"
        for p in PACKAGE.rglob("*.py")
        if "cli" not in p.parts
        for node in ast.walk(ast.parse(p.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert loud == []


def test_no_global_seeding():
    seeding = re.compile(r"(torch\.manual_seed|np\.random\.seed|pyro\.set_rng_seed|random\.seed)\(")
    found = {str(p.relative_to(PACKAGE)) for p in PACKAGE.rglob("*.py") if seeding.search(p.read_text())}
    forked = {name for name in found if "fork_rng" in (PACKAGE / name).read_text()}
    assert found - forked == set()


def committed_files() -> list[Path]:
    """Files of the project: those that git knows, or all where this is no checkout."""
    answer = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    names = answer.stdout.split("\n") if answer.returncode == 0 else []
    files = [ROOT / name for name in names if name] or [p for p in ROOT.rglob("*") if "." not in p.parts[-1][:1]]
    return [p for p in files if p.is_file()]


def python_files() -> list[Path]:
    """Python files of the project."""
    return [p for p in committed_files() if p.suffix == ".py"]


def test_the_project_speaks_of_itself_alone():
    """No path of one machine, no host of a registry, no tool that made it."""
    hits = []
    for path in committed_files():
        if path.name.endswith(TEXTS) and path != Path(__file__):
            text = path.read_text(errors="ignore").lower()
            hits += [f"{path.relative_to(ROOT)}: {word}" for word in FORBIDDEN_WORDS if word in text]
    assert hits == []


def test_the_top_level_is_what_it_should_be():
    allowed = {"pyproject.toml", "noble_prob", "analyses", "tests", "docs", "README.md", "LICENSE"}
    top = {p.relative_to(ROOT).parts[0] for p in committed_files()}
    assert {name for name in top if not name.startswith(".")} <= allowed


def test_types_travel_with_the_package():
    """What is not committed is not in a wheel, and without the marker type checkers of users see nothing."""
    assert PACKAGE / "py.typed" in committed_files()
