"""Every program in ``analyses/`` can be begun: what it imports is there, under the name it asks for."""

import importlib.util
import sys
from pathlib import Path

import pytest

ANALYSES = Path(__file__).resolve().parents[2] / "analyses"
OPTIONAL = ("sbi", "neuron", "ray")


@pytest.mark.parametrize("path", sorted(ANALYSES.glob("*.py")), ids=lambda path: path.stem)
def test_it_imports(path, monkeypatch):
    monkeypatch.syspath_prepend(str(ANALYSES))
    spec = importlib.util.spec_from_file_location(f"analysis_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        if error.name.split(".")[0] not in OPTIONAL:
            raise
        pytest.skip(f"needs {error.name}")
    assert callable(module.main)
    assert module.__doc__
