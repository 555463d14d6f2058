"""Every mistake at the command line: exit code 2, one helpful sentence on stderr, no file left behind."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from bad_inputs import CASES
from cli_example import complaint
from foreign_files import step_family, write_table


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
@pytest.mark.parametrize("verb", ["infer", "calibrate"])
def test_bad_recording(case, verb, tmp_path, capsys):
    path = case.make(tmp_path)
    sentence = complaint(capsys, tmp_path, [verb, path, "--cell", "toy", "--out", tmp_path / "out", "--quiet"])
    assert case.word in sentence
    assert "should be" in sentence


class Mistake(NamedTuple):
    """A mistake in the options: its name, the arguments, a word of the answer."""

    name: str
    arguments: Callable[[Path], list[object]]
    word: str


def good_file(folder: Path) -> Path:
    """A recording that can be read."""
    path = folder / "cell.csv"
    return path if path.exists() else write_table(path, *step_family())


def sample(*options: object, out: str = "out") -> Callable[[Path], list[object]]:
    """A `sample` command with toy and a current unless the options say otherwise."""
    usual = [] if "--cell" in options else ["--cell", "toy"]
    usual += [] if "--current-pa" in options else ["--current-pa", 100]
    return lambda folder: ["sample", *usual, *options, "--out", folder / out]


def infer(*options: object) -> Callable[[Path], list[object]]:
    """An `infer` command on a good file with the toy, few draws."""
    few = [
        word for pair in (("--chains", 2), ("--warmup", 4), ("--draws", 4)) if pair[0] not in options for word in pair
    ] + ["--quiet"]
    return lambda folder: ["infer", good_file(folder), "--cell", "toy", *few, *options, "--out", folder / "out"]


def occupied(folder: Path) -> list[object]:
    """`--out` names a file."""
    (folder / "taken").write_text("mine")
    return sample(out="taken")(folder)


def below_a_file(folder: Path) -> list[object]:
    """`--out` lies below a file."""
    (folder / "taken").write_text("mine")
    return sample(out="taken/out")(folder)


def read_only(folder: Path) -> list[object]:
    """`--out` lies where nobody may write."""
    return ["sample", "--cell", "toy", "--current-pa", 100, "--out", "/proc/out"]


def empty(folder: Path) -> Path:
    """A folder with nothing in it."""
    (folder / "day_4").mkdir()
    return folder / "day_4"


def table(text: str) -> Callable[[Path], list[object]]:
    """`calibrate --population` on a table."""

    def make(folder: Path) -> list[object]:
        (folder / "cells.csv").write_text(text)
        return ["calibrate", "--population", folder / "cells.csv", "--cell", "toy", "--out", folder / "out"]

    return make


def two_tables(rows: str) -> Callable[[Path], list[object]]:
    """`calibrate --repeats` on a table, against another."""

    def make(folder: Path) -> list[object]:
        (folder / "first.csv").write_text("latency_ms\n" + rows)
        (folder / "second.csv").write_text("latency_ms\n8\n9\n10\n")
        return [
            "calibrate",
            "--repeats",
            folder / "first.csv",
            "--ensemble",
            folder / "second.csv",
            "--out",
            folder / "out",
        ]

    return make


def linked(target: str, *options: object) -> Callable[[Path], list[object]]:
    """`--out` is a symbolic link to this."""

    def make(folder: Path) -> list[object]:
        (folder / "link").symlink_to(folder / target)
        return [*infer(*options)(folder)[:-1], folder / "link"]

    return make


def not_a_posterior(folder: Path) -> list[object]:
    """`report` on a file that is no posterior."""
    (folder / "posterior.nc").write_bytes(b"CDF nothing")
    return ["report", folder / "posterior.nc", "--cell", "toy", "--out", folder / "out"]


def only_bad_files(folder: Path) -> list[object]:
    """`calibrate` with two files, both broken."""
    for name in ("a.abf", "b.abf"):
        (folder / name).write_bytes(b"nothing in " + name.encode())
    return ["calibrate", folder / "a.abf", folder / "b.abf", "--cell", "toy", "--out", folder / "out", "--quiet"]


MISTAKES = (
    Mistake("no such verb", lambda folder: ["infre"], "infer"),
    Mistake("no such option", sample("--current", 3), "--current"),
    Mistake("required option missing", lambda folder: ["sample", "--current-pa", 1], "--out"),
    Mistake("nothing to calibrate", lambda folder: ["calibrate", "--out", folder / "out"], "recordings"),
    Mistake("unknown cell", sample("--cell", "sst-1"), "pvalb-689331391"),
    Mistake("folder that is no checkpoint", lambda folder: sample("--cell", folder)(folder), "card.json"),
    Mistake("unknown prior", sample("--prior", "uniform"), "gaussian"),
    Mistake("unknown device", sample("--device", "tpu0"), "cuda"),
    Mistake("device that is not there", sample("--device", "cuda:99"), "CUDA devices"),
    Mistake("negative draws", sample("--draws", -5), "at least 1"),
    Mistake("no draws", sample("--draws", 0), "at least 1"),
    Mistake("fractional draws", sample("--draws", 2.5), "whole number"),
    Mistake("negative seed", sample("--seed", -1), "at least 0"),
    Mistake("seed of more than 63 bits", sample("--seed", 2**63), "below 2^63"),
    Mistake("current that is no number", sample("--current-pa", "strong"), "finite number"),
    Mistake("current NaN", sample("--current-pa", "nan"), "finite number"),
    Mistake("current infinite", sample("--current-pa", "inf"), "finite number"),
    Mistake("current out of range", sample("--current-pa", 5000), "range"),
    Mistake("current in nA by its size below the range", sample("--current-pa", -900), "range"),
    Mistake("out is a file", occupied, "file"),
    Mistake("out below a file", below_a_file, "is a file"),
    Mistake("out not writable", read_only, "written"),
    Mistake("out of too long a name", sample(out="o" * 300), "File name too long"),
    Mistake(
        "out of too long a name for many",
        lambda folder: [*infer("--each")(folder)[:-1], folder / ("o" * 300)],
        "File name too long",
    ),
    Mistake(
        "json of too long a name",
        lambda folder: ["sbc", "--cell", "toy", "--json", folder / ("o" * 300)],
        "File name too long",
    ),
    Mistake("cell of too long a name", sample("--cell", "c" * 300), "pvalb-689331391"),
    Mistake("out is a link to nothing", linked("nothing"), "leads nowhere"),
    Mistake("out is a link to itself", linked("link", "--each"), "leads nowhere"),
    Mistake("more recordings than memory", lambda f: ["sbc", "--cell", "toy", "--n", 10**10], "at most"),
    Mistake("more draws than memory", infer("--draws", 10**12), "at most"),
    Mistake("unknown method", infer("--method", "metropolis"), "nuts"),
    Mistake("one chain", infer("--chains", 1), "R-hat"),
    Mistake("too few draws", infer("--draws", 3), "--draws: should be a whole number of at least 4 and at"),
    Mistake("too little warm-up", infer("--warmup", 1), "--warmup: should be a whole number of at least 4"),
    Mistake(
        "folder without recordings",
        lambda f: ["infer", empty(f), "--cell", "toy", "--out", f / "o"],
        ".abf, .csv, .ibw, .npz, .nwb",
    ),
    Mistake("pulse that is no number", infer("--pulse", "second"), "whole number"),
    Mistake("pulse that is not there", infer("--pulse", 7), "pulse"),
    Mistake("junction potential that is no number", infer("--ljp-mv", "minus"), "finite number"),
    Mistake("only broken files", only_bad_files, "a.abf"),
    Mistake(
        "population without a table", lambda f: ["calibrate", "--population", f / "x.csv", "--out", f / "o"], "CSV"
    ),
    Mistake("population of unknown columns", table("colour,mood\n1,2\n2,3\n3,1\n"), "colour"),
    Mistake("population without numbers", table("colour\nred\nblue\n"), "numerical"),
    Mistake(
        "population of one cell to recalibrate to",
        lambda f: [*table("resting_voltage_mv\n-70\n")(f), "--recalibrate", "both"],
        "at least two cells that differ",
    ),
    Mistake("population with an infinite value", table("resting_voltage_mv\n-70\ninf\n-71\n"), "inf in row 2"),
    Mistake("population in volts", table("resting_voltage_mv\n-0.07\n-0.071\n-0.069\n"), "multiply by 1000"),
    Mistake("repeats with an infinite value", two_tables("7\ninf\n"), "first.csv"),
    Mistake(
        "the same recording twice",
        lambda f: [
            "calibrate",
            good_file(f),
            shutil.copy(good_file(f), f / "copy.csv"),
            "--cell",
            "toy",
            "--out",
            f / "out",
        ],
        "copy.csv, which are the same",
    ),
    Mistake("population without rows", table("sag_mv\n"), "row"),
    Mistake(
        "repeats without anything to compare",
        lambda f: ["calibrate", "--repeats", f / "x.csv", "--out", f / "o"],
        "--ensemble",
    ),
    Mistake(
        "a second table alone",
        lambda f: ["calibrate", "a.abf", "--ensemble", f / "x.csv", "--out", f / "o"],
        "--population",
    ),
    Mistake(
        "recalibration of a recording",
        lambda f: ["calibrate", "a.abf", "--recalibrate", "tilt", "--out", f / "o"],
        "--population",
    ),
    Mistake(
        "condition without a word",
        lambda f: ["calibrate", "--population", f / "x.csv", "--where", "kind", "--out", f / "o"],
        "COLUMN=WORD",
    ),
    Mistake("posterior that is not there", lambda f: ["report", f / "no", "--cell", "toy", "--out", f / "o"], "infer"),
    Mistake("posterior that is none", not_a_posterior, "posterior.nc"),
    Mistake("calibration of nothing", lambda f: ["sbc", "--cell", "toy", "--n", 0, "--json", f / "o"], "at least 20"),
    Mistake("calibration at a far current", lambda f: ["sbc", "--cell", "toy", "--currents-pa", "9e9"], "range"),
    Mistake(
        "models that are no numbers",
        lambda f: ["simulate", "--hof", "builtin", "--models", "a-b", "--amps-na", 0.1, "--out", f / "o.npz"],
        "models",
    ),
    Mistake(
        "currents that are no numbers",
        lambda f: ["simulate", "--hof", "builtin", "--amps-na", "0.1,x", "--out", f / "o.npz"],
        "finite number",
    ),
    Mistake(
        "currents in pA as nA",
        lambda f: ["simulate", "--hof", "builtin", "--amps-na", "-50,100", "--out", f / "o.npz"],
        "if these are pA",
    ),
    Mistake(
        "random currents beyond reason",
        lambda f: [
            "populate",
            "--hof",
            "builtin",
            "--design",
            "builtin",
            "--n-models",
            1,
            "--range-pa",
            "-1e5,100",
            "--out",
            f / "o",
        ],
        "within -10000..10000",
    ),
    Mistake(
        "path of the decoder that is not there",
        lambda f: ["bench", "--paths", "fast,quick", "--json", f / "o.json"],
        "fast, products, reference",
    ),
    Mistake(
        "Hall of Fame that is not there",
        lambda f: ["simulate", "--hof", f / "no", "--amps-na", 0.1, "--out", f / "o.npz"],
        "folder",
    ),
    Mistake("training file that is not there", lambda f: ["train", f / "no.toml"], "'no.toml', which is not there"),
    Mistake("json is a folder", lambda f: ["sbc", "--cell", "toy", "--json", empty(f)], "`json` should be a file"),
    Mistake("sweeps far beyond the last", infer("--sweeps", "0-99"), "3, 4, 5, 6, 7, 8, 9, 10, … (97 in all)"),
)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: m.name.replace(" ", "-"))
def test_bad_options(mistake, tmp_path, capsys):
    arguments = mistake.arguments(tmp_path)
    assert mistake.word in complaint(capsys, tmp_path, arguments)


def test_more_than_twenty_kinds():
    assert len({m.name for m in MISTAKES}) >= 20


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_folder_without_permission(tmp_path, capsys):
    tmp_path.chmod(0o500)
    try:
        assert "written" in complaint(capsys, tmp_path, sample()(tmp_path))
    finally:
        tmp_path.chmod(0o700)
