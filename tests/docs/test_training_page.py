"""The page on training names every key there is, and every configuration in the repository can be read."""

import ast
import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from noble_prob.decoder.architecture import Architecture
from noble_prob.decoder.paper import PaperArchitecture
from noble_prob.training.config import CellData, TrainConfig, parse_config, read_config
from noble_prob.training.schedule import Schedule

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted((ROOT / "analyses" / "configs").glob("*.toml"))
PAGE = (ROOT / "docs" / "training.md").read_text()


@pytest.mark.parametrize("kind", [TrainConfig, CellData, Architecture, PaperArchitecture, Schedule])
def test_every_key_is_on_the_page(kind):
    missing = [f.name for f in fields(kind) if f"`{f.name}`" not in PAGE and f.name not in ("cells", "schedules")]
    assert [name for name in missing if name != "architecture"] == []


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_configuration_can_be_read(path):
    config = read_config(path)
    assert path.name in PAGE
    assert not Path(str(config.out)).is_absolute() or ROOT in Path(config.out).resolve().parents


def test_there_are_configurations():
    assert {path.stem for path in CONFIGS} >= {"quick", "pvalb", "vip", "joint", "paper"}


def test_the_file_in_the_help_can_be_read():
    lines = (ast.get_docstring(ast.parse((ROOT / "noble_prob" / "cli" / "train.py").read_text())) or "").splitlines()
    config = parse_config(tomllib.loads("\n".join(line for line in lines if line.startswith("    "))))
    assert (config.cells[0].held_out, config.validation, config.architecture.width) == ((), 8, 12)
    assert config.schedules["operator"].steps == 400


def test_the_program_on_the_page_about_decoders_runs():
    page = (ROOT / "docs" / "decoder.md").read_text()
    programs = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(programs) == 1
    scope = {}
    exec(programs[0], scope)
    times = scope["cell"].decoder.spike_times(scope["latents"][:, None], scope["current_pa"])
    assert tuple(times.shape) == (2, 3, 64)
