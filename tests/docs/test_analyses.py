"""Every program in ``analyses/`` can be begun: what it imports is there, under the name it asks for."""

import pytest
from analysis_example import ANALYSES, program


@pytest.mark.parametrize("path", sorted(ANALYSES.glob("*.py")), ids=lambda path: path.stem)
def test_it_imports(path, monkeypatch):
    module = program(path.stem, monkeypatch)
    assert callable(module.main)
    assert module.__doc__
