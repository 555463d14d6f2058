"""The page on inference: its program runs and recovers what it simulated."""

import re
from pathlib import Path

import pytest

from noble_prob.cells import load_cell

PAGE = Path(__file__).resolve().parents[2] / "docs" / "inference.md"


def test_the_program_recovers_its_neuron():
    program, pooling, held = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict = {}
    exec(compile(program, PAGE.name, "exec"), names)
    short = pooling.replace("prior=cell.prior, seed=1)", "prior=cell.prior, seed=1, warmup=80, draws=80)")
    assert short != pooling
    exec(compile(short, PAGE.name, "exec"), names)
    exec(compile(held, PAGE.name, "exec"), names)
    assert not names["check"].seen
    assert names["check"].p_misfit > 0.05
    assert len(pooling.strip().splitlines()) <= 10
    assert names["verdict"][0].code == "NP120"
    assert names["unseen"].value.shape == (100, 5)
    assert (names["centre"][0] < names["centre"][1]).all()
    truth = names["truth"].value[0]
    inside = (truth >= names["low"]) & (truth <= names["high"])
    assert int(inside.sum()) >= 3
    assert {"NP104", "NP105", "NP106", "NP107"} <= {finding.code for finding in names["findings"]}


def test_it_names_every_site_of_the_program():
    from noble_prob.program import SCALES

    text = PAGE.read_text(encoding="utf-8")
    assert all(f"`{site}`" in text for site in ("z", *SCALES, "spikes", "summary"))


@pytest.mark.parametrize("name", ["pvalb-689331391", "vip-650077366"])
def test_its_table_of_latents_is_that_of_the_cells(name):
    rows = re.findall(
        r"^\| `(\w+)` \| [^|]+ \| (-?\d+) pA \| (\S+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    latents = load_cell(name).decoder.space.latents
    assert rows == [(item.name, f"{item.current_pa:g}", item.unit) for item in latents]
