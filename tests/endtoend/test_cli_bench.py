"""The verb `bench` as a shell calls it: the rows and keys that the page on speed names, finite figures, a table."""

import json
import math
from typing import get_args

import pytest
from cli_example import call

from noble_prob.cli import bench
from noble_prob.decoder.operator import Path

KEYS = {
    "results": {
        "decoder",
        "path",
        "device",
        "dtype",
        "batch",
        "traces_per_s",
        "latency_ms",
        "rel_error",
        "peak_memory_mb",
    },
    "gradients": {"what", "path", "device", "batch", "latency_ms", "rel_error"},
}


@pytest.fixture(scope="module")
def timed(tmp_path_factory):
    """One trace along both paths of the shipped decoder, timed once, without the paper's architecture."""
    file = tmp_path_factory.mktemp("bench") / "speed.json"
    asked = ("--cell", "pvalb-689331391", "--batches", 1, "--repeats", 1, "--no-paper")
    assert call("bench", *asked, "--json", file) == 0
    return json.loads(file.read_text())


def test_the_file_holds_what_the_page_names(timed):
    assert {"machine", "device", "results", "gradients", "limits", "training", "ensemble", "simulator"} <= set(timed)
    assert timed["device"] == "cpu"
    for part, keys in KEYS.items():
        assert all(keys <= set(row) for row in timed[part]), part
    assert [timed[part] for part in ("training", "ensemble", "simulator")] == [[], [], []]  # not asked for


def test_every_path_of_the_decoder_can_be_asked_for():
    assert get_args(Path) == bench.PATHS


def test_rows_are_what_was_asked_for(timed):
    rows = timed["results"]
    assert [(row["decoder"], row["path"], row["batch"]) for row in rows] == [
        ("shipped", "fast", 1),
        ("shipped", "reference", 1),
    ]
    for row in rows:
        assert row["traces_per_s"] == pytest.approx(1000 / row["latency_ms"])
        assert 0 < row["rel_error"] < 1e-3
        assert row["peak_memory_mb"] is None
    assert {(row["what"], row["path"]) for row in timed["gradients"]} == {
        (what, path) for what in ("spike_times", "respond") for path in ("fast", "reference")
    }
    assert all(math.isfinite(row["latency_ms"]) and row["latency_ms"] > 0 for row in timed["gradients"])
