"""From a TOML file to a checkpoint that every other verb takes; and files that can not be meant."""

import json
import tomllib

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from training_example import one_thread, read_latent_table, read_log, write_parts  # noqa: F401

from noble_prob import cli
from noble_prob.cells import load_cell
from noble_prob.decoder.checkpoint import load_decoder, read_card
from noble_prob.errors import UsageError
from noble_prob.jobs.place import locked
from noble_prob.population.latents import HELD_OUT_MODELS
from noble_prob.training.config import parse_config, read_config
from noble_prob.training.history import board_installed
from noble_prob.training.loop import OutOfTimeError
from noble_prob.training.publish import LATENT_TABLE
from noble_prob.training.run import train

CONFIG = """
out = "run"
validation = 6
[[cells]]
name = "tiny"
parts = ["part_*.npz"]
[architecture]
map_width = 32
map_depth = 2
map_members = 2
width = 8
layers = 1
modes = 64
hidden = 8
[schedules]
spike_map = { steps = 60, batch = 64, validate_every = 30, log_every = 5 }
summary = { steps = 40, batch = 64, validate_every = 40 }
offset = { steps = 40, batch = 64, validate_every = 40 }
operator = { steps = 8, batch = 4, validate_every = 8, log_every = 2 }
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with parts and the file above."""
    folder = tmp_path_factory.mktemp("training")
    write_parts(folder / "part_0.npz")
    (folder / "tiny.toml").write_text(CONFIG)
    return folder


@pytest.fixture(scope="module")
def trained(place):
    return train(read_config(place / "tiny.toml"), progress=False)["tiny"]


def config(place, out, **changes):
    table = tomllib.loads(CONFIG) | {"out": out} | changes
    return parse_config(table, base=place)


def test_the_checkpoint_is_a_cell_like_those_that_ship(trained):
    cell = load_cell(trained)
    assert cell.name == "tiny"
    assert [int(label) for label in cell.held_out.labels] == [2, 5]
    assert cell.held_out_numbers == HELD_OUT_MODELS  # also those that are no part of the data
    assert len(cell.models) == 6
    assert cell.decoder.respond(cell.models.value, torch.tensor(180.0)).shape == (6, 8192)
    assert bool((cell.decoder.error.summary_sd > 0).all())
    model, split, values = read_latent_table(trained / LATENT_TABLE)
    assert all((s == "held_out") == (m in HELD_OUT_MODELS) for m, s in zip(model, split, strict=True))
    assert np.isfinite(values).all()


def test_the_card_says_how_it_was_made_and_nothing_about_this_machine(trained, place):
    card = read_card(trained)
    assert card["models"] == {"train": 12, "validation": 6, "held_out": 2}
    assert card["shared_currents_pa"] == [-110.0, 50.0, 180.0]
    assert card["training"]["config"]["schedules"]["operator"]["steps"] == 8
    assert set(card["training"]["wall_s"]) == {"spike_map", "summary", "offset", "operator"}
    assert set(card["metrics"]["validation"]["spike_map"]) >= {"spike_time_error_ms", "spiking_mismatch"}
    assert str(place) not in json.dumps(card)
    assert json.loads((trained / "card.json").read_text(), parse_constant=lambda name: pytest.fail(name))


def test_the_networks_learn(trained, place):
    rows = read_log(place / "run" / "state" / "tiny" / "spike_map.csv")
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]


def test_with_teachers_a_stopped_run_ends_with_the_same_bytes_and_one_network(place):
    schedules = tomllib.loads(CONFIG)["schedules"] | {"student": {"steps": 30, "batch": 32, "log_every": 10}}
    changes = {
        "schedules": schedules,
        "teachers": 2,
        "teacher_width": 16,
        "architecture": tomllib.loads(CONFIG)["architecture"] | {"map_members": 1},
    }
    whole = train(config(place, "taught", **changes), progress=False)["tiny"]
    for done in [f"spike_map: {k} of 60" for k in range(5, 65, 5)] + ["student: 10 of 30", "student: 20 of 30"]:
        with pytest.raises(OutOfTimeError, match=done):
            train(config(place, "taught-stopped", **changes), max_minutes=1e-9, progress=False)
    again = train(config(place, "taught-stopped", **changes), progress=False)["tiny"]
    assert (again / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()
    card = read_card(whole)
    assert "student_time_error_ms" in card["metrics"]["validation"]["student"]
    assert load_cell(whole).decoder.spike_map.members == 1


def test_stopped_by_the_clock_and_continued_it_ends_with_the_same_bytes(trained, place):
    often = tomllib.loads(CONFIG)["schedules"]
    often["spike_map"]["log_every"], often["operator"]["log_every"] = 25, 3  # changes no weight
    for done in ("spike_map: 25 of 60", "spike_map: 50 of 60", "operator: 3 of 8", "operator: 6 of 8"):
        with pytest.raises(OutOfTimeError, match=done):
            train(config(place, "stopped", schedules=often), max_minutes=1e-9, progress=False)
        assert not (place / "stopped" / "tiny").exists()
    again = train(config(place, "stopped", schedules=often), max_minutes=1e-9, progress=False)
    assert (again["tiny"] / "weights.safetensors").read_bytes() == (trained / "weights.safetensors").read_bytes()


def test_a_finished_run_can_be_asked_again_but_not_under_other_settings(trained, place):
    before = (trained / "weights.safetensors").stat().st_mtime_ns, (trained / "weights.safetensors").read_bytes()
    train(read_config(place / "tiny.toml"), progress=False)
    assert (trained / "weights.safetensors").read_bytes() == before[1]
    table = tomllib.loads(CONFIG)
    table["schedules"]["spike_map"]["peak_lr"] = 0.1
    with pytest.raises(UsageError, match=r"schedules.spike_map.peak_lr.*spike_map.state.*0.002.*0.1"):
        train(parse_config(table, base=place), progress=False)
    changed = r"`train_models` should be .*\(spike_map.state, train_models = None\); found train_models = 10; restore"
    with pytest.raises(UsageError, match=changed):
        train(config(place, "run", train_models=10), progress=False)


def test_a_checkpoint_can_be_trained_on(trained, place):
    short = {n: {**s, "steps": 2, "peak_lr": 1e-5} for n, s in tomllib.loads(CONFIG)["schedules"].items()}
    part = [str(place / "part_0.npz")]

    def on(out, start, **changes):
        cells = [{"name": "tiny", "parts": part, "start": str(start), "held_out": [2, 5, 7]}]
        return train(config(place, out, cells=cells, schedules=short, **changes), progress=False)["tiny"]

    folder = on("on", trained)
    before, after = load_decoder(trained), load_decoder(folder)
    assert torch.equal(before.space.mean, after.space.mean)  # although one model less is trained on
    z, current = load_cell(trained).models.value, torch.tensor(180.0)
    off = (before.spike_times(z, current) / after.spike_times(z, current)).log().abs().max()
    assert 0 < off < 1e-2
    card = read_card(folder)
    assert card["training"]["started_from"] == read_card(trained)["training"]
    assert card["training"]["config"]["cells"][0]["start"] == "tiny"
    with pytest.raises(UsageError, match=r"cells.start.*features13.*'noble2'|cells.start.*'noble2'.*features13"):
        on("other", trained, latent_space="noble2")
    with pytest.raises(UsageError, match=r"`cells.tiny.start, cells.tiny.start_weights` should.*run/tiny.*on/tiny"):
        on("on", folder)


def two_cells(place, out, share):
    part = [str(place / "part_0.npz")]
    short = {n: {**s, "steps": 3} for n, s in tomllib.loads(CONFIG)["schedules"].items()}
    cells = [{"name": "a", "parts": part}, {"name": "b", "parts": part, "held_out": [0, 1]}]
    return train(config(place, out, share=share, cells=cells, schedules=short), progress=False)


def test_cells_can_share_the_operator(place):
    folders = two_cells(place, "operator", "operator")
    a, b = (load_decoder(folder) for folder in folders.values())
    weights = a.operator.state_dict(), b.operator.state_dict()
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])
    z = load_cell(folders["a"]).models.value[:2]
    current = torch.tensor([180.0, 180.0])
    conditions = [d.condition(d.space.standardise(z).float(), current) for d in (a, b)]
    assert not torch.allclose(a.space.mean, b.space.mean)
    assert torch.allclose(*conditions, atol=1e-5)  # one neuron is one condition, whatever its cell's scale
    assert not torch.equal(a.spike_map.net.weights[0], b.spike_map.net.weights[0])
    figures = read_card(folders["a"])["metrics"]["validation"]["operator"]
    assert set(figures) == {"waveform_error", "waveform_error_a", "waveform_error_b"}


def test_cells_can_share_everything(place):
    folders = two_cells(place, "everything", "everything")
    a, b = (load_cell(folder) for folder in folders.values())
    assert torch.equal(a.decoder.space.mean, b.decoder.space.mean)
    z = a.models.value[:2]
    assert torch.equal(a.decoder.spike_times(z, torch.tensor(180.0)), b.decoder.spike_times(z, torch.tensor(180.0)))
    assert [int(label) for label in a.held_out.labels] == [2, 5]
    assert b.held_out_numbers == (0, 1)


def test_the_configuration_of_the_paper(place):
    table = {
        "out": "paper",
        "decoder": "paper",
        "latent_space": "noble2",
        "validation": 6,
        "cells": tomllib.loads(CONFIG)["cells"],
        "architecture": {"layers": 1, "width": 4, "modes": 16},
        "schedules": {"operator": {"steps": 4, "batch": 4, "validate_every": 4, "log_every": 1}},
    }
    folder = train(parse_config(table, base=place), progress=False)["tiny"]
    cell = load_cell(folder)
    assert cell.decoder.space.names == ("threshold_current", "fi_slope")
    rows = read_log(place / "paper" / "state" / "tiny" / "operator.csv")
    assert rows[-1]["relative_l4"] < 1.0
    voltage = cell.decoder.respond(cell.models.value[:2, None], torch.tensor([0.0, -110.0]))
    assert voltage.shape == (2, 2, 8192)  # zero current too
    assert bool(torch.isfinite(voltage).all())
    assert "not modelled" in read_card(folder)["limits"]


def test_data_that_can_not_be_used(place, tmp_path):
    (tmp_path / "part_0.npz").write_bytes(b"PK\x03\x04 not an archive")
    np.savez(tmp_path / "other.npz", a=1)
    for parts, word in ((["nowhere_*.npz"], "exist"), (["part_*.npz"], "part_0.npz"), (["other.npz"], "other.npz")):
        with pytest.raises(UsageError, match=word):
            train(config(tmp_path, "run", cells=[{"name": "a", "parts": parts}]), progress=False)
    with pytest.raises(UsageError, match="data set"):
        train(config(tmp_path, "run", cells=[{"name": "a", "stores": ["nowhere"]}]), progress=False)
    with pytest.raises(UsageError, match="validation"):
        train(config(place, "many", validation=500), progress=False)
    with pytest.raises(UsageError, match="train_models"):
        train(config(place, "many", train_models=500), progress=False)
    with pytest.raises(UsageError, match=r"`validation` should be enough models.*only one of the latencies"):
        train(config(place, "many", validation=1), progress=False)
    with pytest.raises(UsageError, match=r"at least 5 published models.*found 4 in 'tiny'"):
        train(config(place, "many", train_models=4), progress=False)
    with pytest.raises(UsageError, match=r"named once each; found part_0.npz more than once"):
        train(config(place, "many", cells=[{"name": "a", "parts": ["part_*.npz", "./part_0.npz"]}]), progress=False)
    assert not (tmp_path / "run").exists()
    assert not (place / "many").exists()


def test_two_runs_in_one_folder_and_folders_that_are_none(place, tmp_path, capsys):
    (tmp_path / "taken").write_text("mine")
    for out in (tmp_path / "taken", tmp_path / "taken" / "out", "/proc/x"):
        assert cli.main(["train", str(place / "tiny.toml"), "--out", str(out), "--quiet"]) == 2
        assert "`out` should be a folder" in capsys.readouterr().err
    with locked(tmp_path / "run"), pytest.raises(UsageError, match="nobody is at work"):
        train(config(place, str(tmp_path / "run")), progress=False)
    assert not (tmp_path / "run").exists()


def test_a_state_without_its_settings_is_refused(place):
    short = {n: {**s, "steps": 2} for n, s in tomllib.loads(CONFIG)["schedules"].items()}
    train(config(place, "cut", schedules=short), progress=False)
    state = place / "cut" / "state" / "tiny" / "spike_map.state"
    save_file(load_file(state), state, metadata={"run": json.dumps({"step": 1})})
    with pytest.raises(UsageError, match=r"spike_map.state without .*settings"):
        train(config(place, "cut", schedules=short), progress=False)


def test_the_verb(place, trained, capsys):
    arguments = [str(place / "tiny.toml"), "--quiet", "--json"]
    assert cli.main(["train", *arguments]) == 0
    assert json.loads(capsys.readouterr().out) == {"finished": True, "cells": {"tiny": str(trained)}}
    assert cli.main(["train", str(place / "absent.toml")]) == 2
    assert "absent.toml" in capsys.readouterr().err
    assert cli.main(["train", str(place / "tiny.toml"), "--device", "tpu"]) == 2


@pytest.mark.skipif(not board_installed(), reason="tensorboard is not installed")
def test_tensorboard_if_wanted(place):
    table = tomllib.loads(CONFIG)
    for schedule in table["schedules"].values():
        schedule["steps"] = 2
    train(parse_config(table | {"out": "board", "tensorboard": True}, base=place), progress=False)
    assert list((place / "board" / "state" / "tiny" / "tensorboard" / "spike_map").glob("events*"))
