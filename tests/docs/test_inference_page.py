"""The page on inference: its program runs and recovers what it simulated."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from noble_prob.cells import load_cell
from noble_prob.cli import main

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


def results(run: Path) -> dict[str, dict]:
    """Every posterior of a run without what the clock decides."""
    found = {path.parent.name: json.loads(path.read_text()) for path in run.glob("*/posterior.json")}
    return {
        name: {k: v for k, v in values.items() if k not in ("wall_s", "posterior_nc_sha256")}
        for name, values in found.items()
    }


@pytest.mark.skipif(shutil.which("bash") is None, reason="the recipe is for bash")
@pytest.mark.parametrize("method", ["importance", "hmc"])
def test_the_shares_of_a_job_array_become_one_run(method, tmp_path, monkeypatch):
    """The page's scripts, where a program in the place of ours notes what it was called with."""
    from noble_prob.readers import read, write_npz

    (tmp_path / "recordings").mkdir()
    recording, _ = load_cell("toy").demo
    write_npz(recording, tmp_path / "toy.npz")
    for k in range(3):
        write_npz(read(tmp_path / "toy.npz", sweeps=[k, 3]), tmp_path / "recordings" / f"cell {k}.npz")
    program = tmp_path / "noble-prob"
    program.write_text("#!/bin/bash\nprintf '%s\\n' \"$@\" > called\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    quick = ["--chains", "2", "--draws", "20", "--quiet", *(["--warmup", "20"] if method == "hmc" else [])]
    share, together = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)

    def run(script: str, **task: str) -> int:
        script = script.replace("*.abf", "*.npz").replace("pvalb-689331391", "toy").replace("npe", method)
        path = f"{tmp_path}:{os.environ['PATH']}"
        subprocess.run(["bash", "-eu", "-c", script], check=True, env={**os.environ, "PATH": path, **task})
        return main([*Path("called").read_text().splitlines(), *quick])

    for task in range(2):
        assert run(share, SLURM_ARRAY_TASK_ID=str(task), SLURM_ARRAY_TASK_COUNT="2") == 0
    before = {path.name: (path / "posterior.nc").read_bytes() for path in Path("shares").glob("*/*.npz")}
    assert run(together) == 0
    assert {path.name: (path / "posterior.nc").read_bytes() for path in Path("posteriors").glob("*.npz")} == before
    assert json.loads(Path("posteriors/summary.json").read_text())["done"] == 3
    whole = ["infer", "recordings", "--cell", "toy", "--method", method, "--seed", "1", *quick]
    assert main([*whole, "--out", "whole"]) == 0
    same = results(Path("posteriors")) == results(Path("whole"))
    assert same == (method == "importance")
    assert results(Path("posteriors")).keys() == results(Path("whole")).keys()


def test_it_names_every_site_of_the_program():
    from noble_prob.program import SCALES

    text = PAGE.read_text(encoding="utf-8")
    assert all(f"`{site}`" in text for site in ("z", *SCALES, "spikes", "summary"))


@pytest.mark.parametrize("name", ["pvalb-689331391", "vip-650077366"])
def test_its_table_of_latents_is_that_of_the_cells(name):
    rows = re.findall(
        r"^\| `(\w+)` \| [^|]+ \| (-?\d+) pA \| (\S+) \| (both|PVALB|VIP) \|$",
        PAGE.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    own = {row[:3] for row in rows if row[3] in ("both", name.split("-")[0].upper())}
    latents = load_cell(name).decoder.space.latents
    assert own == {(item.name, f"{item.current_pa:g}", item.unit) for item in latents}
