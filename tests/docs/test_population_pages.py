"""The programs on the pages about simulation run as they stand, one after the other."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("page", ["simulation.md", "data_sets.md"])
def test_every_program_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    programs = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), flags=re.DOTALL)
    assert programs
    names: dict = {"__name__": "page"}
    for program in programs:
        exec(compile(program, page, "exec"), names)
    if page == "simulation.md":
        assert names["recording"].axes == ("neuron",)
        assert tuple(names["recording"].voltage_mv.shape) == (2, 3, 8192)
        assert names["repeats"].axes == ("trial",)
    else:
        assert names["store"].missing() == []
