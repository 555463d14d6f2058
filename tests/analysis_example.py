"""The programs in ``analyses/``, loaded as modules."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ANALYSES = Path(__file__).resolve().parents[1] / "analyses"
OPTIONAL = ("sbi", "neuron", "ray")


def program(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A program as a module; the test is skipped where it needs a package that is optional and absent."""
    monkeypatch.syspath_prepend(str(ANALYSES))
    spec = importlib.util.spec_from_file_location(f"analysis_{name}", ANALYSES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        if error.name.split(".")[0] not in OPTIONAL:
            raise
        pytest.skip(f"needs {error.name}")
    return module
