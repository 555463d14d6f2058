"""Mistakes in the options of the verbs of simulation: one sentence, before anything is simulated or made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from test_cli_bad_inputs import Mistake, below_a_file, complaint, occupied


def simulate(*options: object) -> Callable[[Path], list[object]]:
    """A `simulate` command on the built-in population."""
    return lambda folder: ["simulate", "--hof", "builtin", "--amps-na", 0.1, "--out", folder / "o.npz", *options]


def populate(*options: object, out: object = "set") -> Callable[[Path], list[object]]:
    """A `populate` command on the built-in population."""
    asked = ["populate", "--hof", "builtin", "--design", "builtin", "--n-models", 1, "--quiet", *options]
    return lambda folder: [*asked, "--out", folder / str(out)]


def targets(row: str) -> Callable[[Path], list[object]]:
    """`populate --targets` with one target."""

    def make(folder: Path) -> list[object]:
        (folder / "targets.csv").write_text(f"feature,current_pa,mean,sd,source\n{row}\n")
        return populate("--targets", folder / "targets.csv")(folder)

    return make


MISTAKES = (
    *(
        Mistake(f"simulate {wrong}", simulate(*wrong.split()), word)
        for wrong, word in (
            ("--dt-ms 0", "above 0"),
            ("--dt-ms 50", "at most 1 ms"),
            ("--sample-ms 0", "above 0"),
            ("--sample-ms -1", "above 0"),
            ("--duration-ms 1e300", "10,000,000"),
            ("--timeout-s -1", "above 0"),
            ("--models 0-99999999999", "ranges"),
            ("--models 0,0", "more than once"),
            ("--noise-sd-na -1", "sd_pa"),
        )
    ),
    *(
        Mistake(f"populate {wrong}", populate(*wrong.split()), word)
        for wrong, word in (
            ("--timeout-s -1", "above 0"),
            ("--random-duration-ms 0,60", "positive"),
            ("--chunks 50", "chunks"),
            ("--chunks 5-2", "upwards"),
            ("--max-minutes -1", "above 0"),
            ("--noise-sd -1", "at least 0"),
            ("--random-duration-ms 50,60 --random-duration-share 9", "from 0 to 1"),
            ("--held-out 77", "77"),
            ("--held-out a", "`held_out` should be numbers"),
            ("--total-ms 1e300", "at most"),
        )
    ),
    Mistake("targets at a current that is not simulated", targets("spike_count,20,9,2,x"), "20 pA of spike_count"),
    Mistake("targets without spread", targets("spike_count,180,9,0,x"), "positive standard deviations"),
    Mistake("data set in place of a file", lambda f: populate(out=occupied(f)[-1])(f), "can be written"),
    Mistake("data set below a file", lambda f: populate(out=below_a_file(f)[-1])(f), "can be written"),
    Mistake("data set where nobody may write", populate(out="/proc/x"), "can be written"),
)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: m.name.replace(" ", "-"))
def test_bad_options(mistake, tmp_path, capsys):
    arguments = mistake.arguments(tmp_path)
    assert mistake.word in complaint(capsys, tmp_path, arguments)
