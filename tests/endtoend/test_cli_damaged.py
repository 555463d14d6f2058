"""Damaged cells and posteriors at the command line: exit code 2, one helpful sentence, no file left behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_example import complaint

import noble_prob as nb
from noble_prob.cells import load_cell
from noble_prob.decoder.checkpoint import CARD, WEIGHTS, cell_folder, shipped_cells


@pytest.fixture(scope="module")
def posterior(tmp_path_factory):
    """A posterior in memory, as `infer` writes it."""
    cell = load_cell("toy")
    found = nb.infer(cell.demo[0], decoder=cell.decoder, prior=cell.prior, method="importance", chains=2, draws=20)
    return nb.inference.to_datatree(found)


ATTRIBUTES = {
    "half a cell": ("cell", "[1", "posterior.nc"),
    "many cells": ("cell", "[1]", "--cell"),
    "a prior that is a number": ("prior", 3, "--prior"),
    "half a note": ("notes", "[1]", "posterior.nc"),
    "other noise": ("noise_prior", '{"x": 1}', "posterior.nc"),
    "many seeds": ("seed", "[1]", "posterior.nc"),
}


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_posterior_with_a_damaged_attribute(name, posterior, tmp_path, capsys):
    attribute, value, word = ATTRIBUTES[name]
    tree = posterior.copy()
    tree.attrs.update({"cell": "toy", attribute: value})
    (tmp_path / "posterior.nc").write_bytes(tree.to_netcdf())
    assert word in complaint(capsys, tmp_path, ["report", tmp_path, "--out", tmp_path / "page"])


@pytest.fixture
def checkpoint(tmp_path):
    """A copy of a shipped cell's folder, to be damaged."""
    copy = tmp_path / "checkpoint"
    shutil.copytree(cell_folder(shipped_cells()[0]), copy)
    return copy


def _truncate(folder: Path) -> None:
    weights = folder / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:100_000])


def _flip(folder: Path) -> None:
    raw = bytearray((folder / WEIGHTS).read_bytes())
    raw[-1000] ^= 1
    (folder / WEIGHTS).write_bytes(raw)


def _other_format(folder: Path) -> None:
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**card, "format": 99}))


def _lacking(key: str) -> Callable[[Path], None]:
    def cut(folder: Path) -> None:
        card = json.loads((folder / CARD).read_text())
        del card[key]
        (folder / CARD).write_text(json.dumps(card))

    return cut


def _card(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        card = json.loads((folder / CARD).read_text())
        for name, value in changes.items():
            card[name] = {**card[name], **value} if isinstance(value, dict) else value
        (folder / CARD).write_text(json.dumps(card))

    return change


DAMAGES = {
    "error that is a word": (_card(error="x"), CARD),
    "error of words": (_card(error={"residual_ms": "x"}), CARD),
    "decoder that is a list": (_card(decoder=[]), "kind"),
    "step of a window that is a word": (_card(window={"dt_ms": "a"}), "window"),
    "currents that are words": (_card(window={"current_range_pa": ["a", "b"]}), "window"),
    "currents of a lightning": (_card(window={"current_range_pa": [-110.0, 1e9]}), "window"),
    "window shorter than its step": (_card(window={"n_samples": 8}), "window"),
    "table empty": (lambda folder: (folder / "hof_latents.csv").write_text(""), "hof_latents.csv"),
    "table that is no text": (lambda folder: (folder / "hof_latents.csv").write_bytes(b"\xff\xfe"), "hof_latents.csv"),
    "estimator truncated": (lambda folder: (folder / "npe.safetensors").write_bytes(b"x"), "unaltered weights"),
    "card of an estimator a list": (lambda folder: (folder / "npe.json").write_text("[]"), "npe.json"),
    "truncated weights": (_truncate, "truncated"),
    "altered weights": (_flip, "altered"),
    "weights missing": (lambda folder: (folder / WEIGHTS).unlink(), WEIGHTS),
    "card missing": (lambda folder: (folder / CARD).unlink(), CARD),
    "card truncated": (lambda folder: (folder / CARD).write_text((folder / CARD).read_text()[:500]), "card.json"),
    "card of another format": (_other_format, "format"),
    "card without a window": (_lacking("window"), "card.json"),
    "table missing": (lambda folder: (folder / "hof_latents.csv").unlink(), "hof_latents.csv"),
    "table of other latents": (
        lambda folder: (folder / "hof_latents.csv").write_text("model,split,x\n0,train,1\n"),
        "columns",
    ),
    "table truncated": (
        lambda folder: (folder / "hof_latents.csv").write_text((folder / "hof_latents.csv").read_text()[:-30]),
        "hof_latents.csv",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_checkpoint(name, checkpoint, tmp_path, capsys):
    damage, word = DAMAGES[name]
    damage(checkpoint)
    sentence = complaint(
        capsys, tmp_path, ["sample", "--cell", checkpoint, "--current-pa", 100, "--out", tmp_path / "out"]
    )
    assert word in sentence


def test_undamaged_copy_is_accepted(checkpoint):
    """The tests above fail for the damage and not for the copy."""
    assert load_cell(checkpoint).name == shipped_cells()[0]
