"""An option that a call would ignore is refused; the help tells choices and defaults as they are."""

from __future__ import annotations

from typing import get_args

import pytest
from cli_example import call, complaint

from noble_prob.cli import parser_of
from noble_prob.cli.given import given
from noble_prob.cli.options import METHODS
from noble_prob.cli.populate import DESIGN_NAMES
from noble_prob.inference.task import Method
from noble_prob.population.standard import DESIGNS

TABLES = "calibrate --population a.csv --experiment b.csv"
SIMULATE = "simulate --hof builtin --amps-na 0.1"
POPULATE = "populate --hof builtin --design builtin --n-models 1"
IGNORED = (
    *(
        (TABLES, option)
        for option in (
            "--device cuda:9",
            "--cell toy",
            "--prior student",
            "--method nuts",
            "--chains 4",
            "--noiseless",
            "--pulse 3",
            "--ljp-mv 1",
            "--neurons 999",
            "--current-pa 180",
        )
    ),
    ("calibrate --repeats a.csv --ensemble b.csv", "--neurons 400"),
    ("calibrate --population a.csv", "--method=hmc"),
    ("calibrate --population a.csv", "--sweeps 0"),
    *(("calibrate cell.abf", option) for option in ("--where a=b", "--neurons 50", "--current-pa 12345")),
    (f"{TABLES} cell.abf", "--neurons 50"),
    *(("infer cell.abf", option) for option in ("--engine ray", "--address nowhere", "--jobs 1", "--batch 7")),
    ("infer cell.abf --each", "--address nowhere"),
    ("infer cell.abf --each --engine ray", "--jobs 3"),
    ("report folder", "--channel 0"),
    (SIMULATE, "--address nowhere"),
    (SIMULATE, "--noise-tau-ms 3"),
    (SIMULATE, "--seed 1"),
    *((f"infer cell.abf --method {method}", "--warmup 50") for method in ("importance", "npe", "svi")),
    ("infer cell.abf --each --method npe", "--warmup 50"),
    ("calibrate cell.abf --method npe", "--warmup 50"),
    ("demo --method importance", "--warmup 50"),
    (f"{SIMULATE} --engine ray", "--jobs 2"),
    (POPULATE, "--address nowhere"),
    (POPULATE, "--k-sd 3"),
    (POPULATE, "--random-duration-share 0.5"),
    (f"{POPULATE} --n-random 0", "--range-pa=-10,20"),
    ("bench", "--hof builtin"),
)


@pytest.mark.parametrize(("command", "option"), IGNORED, ids=lambda text: text.replace(" ", "_"))
def test_an_option_that_would_be_ignored_is_refused(command, option, tmp_path, capsys):
    place = ("--json", tmp_path / "o") if command == "bench" else ("--out", tmp_path / "o")
    sentence = complaint(capsys, tmp_path, [*command.split(), *option.split(), *place])
    assert f"{option.partition('=')[0].split()[0]} would be ignored" in sentence
    assert "leave it out, or " in sentence


@pytest.mark.parametrize(
    ("command", "option"),
    [(SIMULATE, "--device"), (POPULATE, "--device"), ("evaluate --reference x", "--prior"), ("bench", "--prior")],
)
def test_an_option_without_any_meaning_is_none(command, option, tmp_path, capsys):
    arguments = [*command.split(), option, "student", *(["--out", tmp_path / "o"] if "--hof" in command else [])]
    assert f"unrecognized arguments: {option}" in complaint(capsys, tmp_path, arguments)


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("infer a.abf --draws 4", "--draws 5"),
        ("infer a.abf --draws=4", "--draws=5"),
        ("sample --current-pa 1 2", "--current-pa 3"),
        ("infer a.abf --cell toy", "--cell toy"),
    ],
)
def test_an_option_with_a_value_is_given_once(command, option, tmp_path, capsys):
    sentence = complaint(capsys, tmp_path, [*command.split(), *option.split(), "--out", tmp_path / "o"])
    assert f"{option.partition('=')[0].split()[0]} was given 2 times" in sentence


def test_flags_and_conditions_may_come_again(tmp_path, capsys):
    """The table is not there, which is found out after the options were read."""
    twice = ["--quiet", "--quiet", "--where", "a=b", "--where", "c=d"]
    arguments = ["calibrate", "--population", tmp_path / "no.csv", *twice, "--out", tmp_path / "o"]
    assert "no.csv" in complaint(capsys, tmp_path, arguments)


@pytest.mark.parametrize(
    "command",
    [
        "infer|",
        "infer|a.abf|--out|",
        "infer|a.abf|--cell|",
        "infer|a.abf|--sweeps|",
        "calibrate|--population|",
        "simulate|--hof|",
        "sbc|--json|",
        "report| ",
    ],
)
def test_an_empty_word_is_no_path(command, tmp_path, capsys):
    """As a path it is the current folder."""
    assert "should not be empty; found '" in complaint(capsys, tmp_path, command.split("|"))


def test_what_was_given_is_known_however_it_was_written():
    assert given(["a", "--jobs=3", "--range-pa=-1,2", "--each", "--", "--batch"]) == {"--jobs", "--range-pa", "--each"}


def test_choices_are_those_of_the_rooms():
    assert get_args(Method) == METHODS
    assert sorted(DESIGNS) == sorted(DESIGN_NAMES)


def test_half_a_minute_of_training_may_be_asked_for():
    assert parser_of("train").parse_args(["x.toml", "--max-minutes", "0.5"]).max_minutes == 0.5


@pytest.mark.parametrize(("asked", "used"), [((), "cuda:99"), (("--device", "cpu"), None)])
def test_a_file_names_a_device_and_the_command_another(asked, used, tmp_path, capsys):
    """The processor, too: there the device is found, and it is the data that are missing."""
    text = 'out = "run"\ndevice = "cuda:99"\n[[cells]]\nname = "a"\nstores = ["no"]\n'
    (tmp_path / "c.toml").write_text(text)
    sentence = complaint(capsys, tmp_path, ["train", tmp_path / "c.toml", *asked])
    assert ("cuda:99" in sentence) == (used is not None)


@pytest.mark.parametrize(
    ("verb", "told"),
    [
        ("report", "models (as stored)"),
        ("infer", "models (the stored one, else student)"),
        ("populate", "CSV file (fires)"),
        ("populate", "none of builtin"),
        ("simulate", "chunk (none)"),
        ("sbc", "decoder's range)"),
        ("train", "the file's, which it overrules"),
    ],
)
def test_the_help_tells_defaults(verb, told, capsys):
    assert call(verb, "--help") == 0
    assert told in " ".join(capsys.readouterr().out.split())
