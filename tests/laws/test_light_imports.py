"""What is imported only where it is needed: the package alone is light, and the simulator runs on few libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter that finds this checkout first."""
    command = [sys.executable, "-W", "ignore", "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_importing_the_package_imports_no_library():
    heavy = ("torch", "numpy", "pyro", "neuralop", "arviz", "scipy", "matplotlib", "arbor", "neo", "pynwb")
    answer = run(f"import sys, noble_prob, noble_prob.cli; print([m for m in {heavy} if m in sys.modules])")
    assert answer.stdout.strip() == "[]", answer.stderr


def test_no_import_brings_back_warnings_that_were_turned_off():
    """As that of neuraloperator does, from which on ArviZ speaks to the users of the command line."""
    answer = run(
        "import warnings; import noble_prob.decoder.operator, noble_prob.inference, noble_prob.report.parts\n"
        "warnings.warn('seen by nobody')"
    )
    assert (answer.returncode, answer.stderr) == (0, "")


def test_help_of_every_verb_imports_no_library():
    code = """
import contextlib, io, sys
from noble_prob.cli import VERBS, main
with contextlib.redirect_stdout(io.StringIO()):
    codes = {main([verb, "--help"]) for verb in VERBS}
print(codes, [m for m in ("torch", "numpy", "arbor") if m in sys.modules])
"""
    answer = run(code)
    assert answer.stdout.strip() == "{0} []", answer.stderr


WATCHED = """
import builtins, sys, tempfile
real, allowed = builtins.__import__, {"noble_prob", *sys.argv[1:], *sys.stdlib_module_names}
def watched(name, globals=None, locals=None, fromlist=(), level=0):
    if str((globals or {}).get("__name__")).split(".")[0] == "noble_prob" and name.split(".")[0] not in allowed:
        raise ModuleNotFoundError(name)
    return real(name, globals, locals, fromlist, level)
builtins.__import__ = watched
from noble_prob.cli import main
folder = tempfile.mkdtemp()
common = ["--quiet", "--hof", "builtin", "--dt-ms", "0.1", "--cv-um", "500", "--out"]
one = ["--amps-na", "0.1", "--duration-ms", "5", "--models", "0"]
print(main(["simulate", *common, folder + "/x.npz", *one]),
      main(["populate", *common, folder + "/set", "--design", "builtin", "--n-models", "1"]))
"""
"""Simulates and makes a set where the package itself may import nothing but the standard library and the arguments."""


@pytest.mark.parametrize("missing", [None, "tqdm", "arbor"])
def test_the_simulator_needs_little(missing):
    """The verbs simulate and populate run where only five libraries are installed, and the test would see a sixth."""
    pytest.importorskip("arbor", reason="the simulate extra is not installed")
    allowed = [name for name in ("numpy", "torch", "jaxtyping", "arbor", "tqdm") if name != missing]
    answer = run(WATCHED, *allowed)
    assert (answer.stdout.splitlines()[-1:] == ["0 0"]) == (missing is None), answer.stdout + answer.stderr
