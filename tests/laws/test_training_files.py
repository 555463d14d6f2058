"""Training files that can not be meant are answered when they are read, with what was meant."""

import pytest

from noble_prob.errors import UsageError
from noble_prob.training.config import parse_config, read_config

WRONG = {
    'latent_spce = "noble2"': "latent_space",
    "validaton = 6": "validation",
    'seed = "one"': "whole number",
    'precision = "fp8"': "tf32",
    'share = "all"': "everything",
    'decoder = "fno"': "paper",
    'latent_space = "features14"': "features13",
    "validation = 2.5": "whole number",
    "compiled = 1": "true or false",
    "[architecture]\nwidht = 8": "width",
    "[schedules.operater]\nsteps = 8": "operator",
    "[schedules.operator]\nsetps = 8": "steps",
    "[schedules.operator]\nsteps = 0": "positive",
    '[schedules.operator]\npeak_lr = "fast"': "a number",
    "[schedules]\noperator = 8": "a table",
    'decoder = "paper"\n[schedules.spike_map]\nsteps = 8': "operator",
    'decoder = "paper"\n[architecture]\nhidden = 8': "width",
    'decoder = "paper"\nshare = "operator"': "nothing",
    '[[cells]]\nname = "b"': "stores",
    '[[cells]]\nname = "tiny"\nparts = ["x.npz"]': "own name",
    'share = "operator"\n[[cells]]\nname = "b"\nparts = ["x.npz"]\nstart = "run"': "random weights",
    "[schedules.operator]\nstraight_left = 2": "share",
    '[[cells]]\nname = "a/b"\nparts = ["x.npz"]': "folder",
    '[[cells]]\nname = "b"\nparts = "x.npz"': "a list",
    "teachers = -1": "at least 0",
    "held = true": "give `teachers = 5`, too",
    "teachers = 2\nteacher_width = 0": "above 0",
    'decoder = "paper"\nteachers = 2': "leave it out",
    'teachers = 2\n[[cells]]\nname = "b"\nparts = ["x.npz"]\nstart = "run"': "leave it out",
    '[[cells]]\nparts = ["x.npz"]': "name",
    "seed = -1": "at least 0",
    "seed = 99999999999999999999": "below 2^63",
    "validation = 0": "above 0",
    "[architecture]\nwidth = 0": "architecture.width",
    "[schedules.operator]\nweight_decay = -1": "weight_decay",
    "[schedules.operator]\nweight_decay = nan": "weight_decay",
    "[schedules.operator]\npeak_lr = inf": "finite",
    "[schedules.operator]\npatience = -3": "patience",
    "[schedules.operator]\nseed = -1": "seed",
    '[[cells]]\nname = "b"\nparts = ["x.npz"]\nheld_out = [-1]': "held_out",
    '[[cells]]\nname = "state"\nparts = ["x.npz"]': "another than state",
    '[[cells]]\nname = "a\\u0000b"\nparts = ["x.npz"]': "control characters",
    f'[[cells]]\nname = "{"n" * 300}"\nparts = ["x.npz"]': "300 bytes",
    '[[cells]]\nname = "b"\npart = ["x.npz"]': "parts",
}
HEAD = 'out = "run"\n'
TAIL = '\n[[cells]]\nname = "tiny"\nparts = ["part_*.npz"]\n'


@pytest.mark.parametrize("line", WRONG, ids=lambda line: line.replace("\n", " "))
def test_a_wrong_line_is_answered_with_what_was_meant(tmp_path, line):
    path = tmp_path / "c.toml"
    path.write_text(HEAD + line + TAIL)
    with pytest.raises(UsageError) as error:
        read_config(path)
    assert WRONG[line] in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_none(tmp_path):
    (tmp_path / "bad.toml").write_text("out = [")
    for name, said in (("bad.toml", "readable TOML"), ("absent.toml", "which is not there")):
        with pytest.raises(UsageError, match=said):
            read_config(tmp_path / name)
    with pytest.raises(UsageError, match="cells"):
        parse_config({"out": "run"})
    with pytest.raises(UsageError, match="out"):
        parse_config({"cells": [{"name": "a", "parts": ["x"]}]})
