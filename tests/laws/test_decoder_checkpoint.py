"""A checkpoint describes itself, comes back as it was written, and is refused when anything about it is wrong."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from noble_prob.cells import load_cell
from noble_prob.decoder.architecture import Architecture
from noble_prob.decoder.base import DecoderError, Window
from noble_prob.decoder.checkpoint import (
    CARD,
    WEIGHTS,
    load_decoder,
    read_card,
    save_decoder,
    shipped_cells,
    write_error,
)
from noble_prob.decoder.noble import NobleDecoder
from noble_prob.errors import UsageError
from noble_prob.latent import LatentSpace
from noble_prob.population.latents import NOBLE2

SPACE = LatentSpace(
    name="noble2",
    latents=NOBLE2,
    mean=torch.tensor([30.0, 400.0], dtype=torch.float64),
    sd=torch.tensor([10.0, 50.0], dtype=torch.float64),
)
WINDOW = Window(dt_ms=0.5, n_samples=256, onset_ms=12.0, duration_ms=100.0, current_range_pa=(-110.0, 280.0))
TINY = Architecture(n_spikes=8, map_width=8, map_depth=1, map_members=2, width=4, layers=1, modes=8, hidden=4)
ERROR = DecoderError(
    latency_log_sd=0.1,
    rate_log_sd=0.02,
    current_length_pa=50.0,
    residual_ms=0.2,
    summary_sd=torch.tensor([0.5], dtype=torch.float64),
)


@pytest.fixture
def checkpoint(tmp_path):
    decoder = NobleDecoder(space=SPACE, window=WINDOW, summary_names=("sag_mv",), architecture=TINY, error=ERROR)
    save_decoder(decoder, tmp_path / "cell", {"cell": "tiny", "licence": "MIT"})
    return tmp_path / "cell", decoder


def edit_card(folder, change):
    card = json.loads((folder / CARD).read_text())
    change(card)
    (folder / CARD).write_text(json.dumps(card))


def test_what_comes_back_is_what_was_written(checkpoint):
    folder, decoder = checkpoint
    again = load_decoder(folder)
    assert again.architecture == TINY
    assert again.window == WINDOW
    assert again.space.names == SPACE.names
    assert torch.equal(again.error.summary_sd, ERROR.summary_sd)
    assert again.error.current_length_pa == 50.0
    z, current = SPACE.mean[None], torch.tensor([180.0])
    with torch.no_grad():  # one has frozen weights, the other has not: with gradients they take different paths
        assert torch.equal(again.respond(z, current), decoder.respond(z, current))
    assert not any(p.requires_grad for p in again.parameters())
    assert sorted(p.name for p in folder.iterdir()) == [CARD, WEIGHTS]  # no draft is left behind


@pytest.mark.parametrize(
    "write",
    [
        lambda folder, decoder: save_decoder(decoder, folder, {"cell": "other"}),
        lambda folder, decoder: write_error(folder, replace(ERROR, residual_ms=9.0)),
    ],
)
def test_a_full_disk_leaves_the_older_checkpoint_and_no_draft(checkpoint, monkeypatch, write):
    folder, decoder = checkpoint
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*files):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.rename", full)
    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="space"):
        write(folder, decoder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_facts_that_no_card_can_hold_leave_the_older_checkpoint(checkpoint):
    folder, decoder = checkpoint
    with torch.no_grad():
        next(decoder.parameters()).add_(1.0)
    with pytest.raises(TypeError):
        save_decoder(decoder, folder, {"cell": object()})
    assert load_decoder(folder).window == WINDOW


def test_weights_are_plain_tensors_and_their_hash_is_in_the_card(checkpoint):
    folder, decoder = checkpoint
    card = read_card(folder)
    assert card["parameters"] == sum(p.numel() for p in decoder.parameters())
    assert card["licence"] == "MIT"
    head = int.from_bytes((folder / WEIGHTS).read_bytes()[:8], "little")
    assert "__metadata__" not in json.loads((folder / WEIGHTS).read_bytes()[8 : 8 + head])


def flip_one_byte(folder):
    raw = bytearray((folder / WEIGHTS).read_bytes())
    raw[-7] ^= 1
    (folder / WEIGHTS).write_bytes(raw)


def truncate(folder):
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-100])


DAMAGE = {
    "a flipped bit": (flip_one_byte, "SHA-256"),
    "a truncated file": (truncate, "SHA-256"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), WEIGHTS),
    "no card": (lambda f: (f / CARD).unlink(), CARD),
    "half a card": (lambda f: (f / CARD).write_text((f / CARD).read_text()[:200]), "readable card"),
    "a binary card": (lambda f: (f / CARD).write_bytes(b"\x80\x04\x95\xff"), "readable card"),
    "a list for a card": (lambda f: (f / CARD).write_text("[1, 2]"), "format 1"),
    "another format": (lambda f: edit_card(f, lambda c: c.update(format=99)), "format 1"),
    "another architecture": (lambda f: edit_card(f, lambda c: c["architecture"].update(width=8)), "card"),
    "an unknown size": (lambda f: edit_card(f, lambda c: c["architecture"].update(heads=8)), "card"),
    "no latent space": (lambda f: edit_card(f, lambda c: c.pop("latent_space")), "card"),
    "no hash": (lambda f: edit_card(f, lambda c: c.pop("weights_sha256")), "card"),
    "a share too many": (lambda f: edit_card(f, lambda c: c["error"].update(summary_shares=[0.5, 0.5])), "shares"),
    "an impossible share": (lambda f: edit_card(f, lambda c: c["error"].update(summary_shares=[1.5])), "shares"),
    "a share that is a word": (lambda f: edit_card(f, lambda c: c["error"].update(summary_shares="a")), "card"),
    "a length of zero": (lambda f: edit_card(f, lambda c: c["error"].update(summary_lengths_pa=[0])), "lengths"),
    "a negative SD": (lambda f: edit_card(f, lambda c: c["error"].update(summary_sd=[-1.0])), "summary_sd"),
    "knots that turn back": (lambda f: edit_card(f, lambda c: c["error"].update(summary_knots_pa=[2.0, 1.0])), "knots"),
    "another decoder": (lambda f: edit_card(f, lambda c: c.update(decoder="oracle")), "decoder"),
}


@pytest.mark.parametrize("damage", DAMAGE, ids=str)
def test_a_damaged_checkpoint_is_refused_in_one_sentence(checkpoint, damage):
    folder, _ = checkpoint
    spoil, word = DAMAGE[damage]
    spoil(folder)
    with pytest.raises(UsageError) as error:
        load_decoder(folder)
    assert word in str(error.value)
    assert str(error.value).count("\n") == 0


def test_an_unknown_cell_is_answered_with_those_that_exist():
    with pytest.raises(UsageError, match="pvalb-689331391"):
        load_decoder("pvalb-1")


@pytest.mark.parametrize("name", ["toy", "pvalb-689331391"])
def test_a_shipped_cell_is_not_hidden_by_a_folder_of_its_name(name, tmp_path, monkeypatch):
    """Results of an earlier run are often called after their cell; a path still leads to the folder."""
    monkeypatch.chdir(tmp_path)
    Path(name).mkdir()
    assert load_cell(name).name == name
    for path in (Path(name), f"./{name}"):
        with pytest.raises(UsageError, match="checkpoint"):
            load_cell(path)
    if name in shipped_cells():
        assert isinstance(load_decoder(name), NobleDecoder)
    Path(name).rmdir()
    assert load_cell(Path(name)).name == name


def test_both_cells_of_the_paper_are_shipped_below_ten_megabytes():
    assert {"pvalb-689331391", "vip-650077366"} <= set(shipped_cells())
    for cell in shipped_cells():
        decoder = load_decoder(cell)
        size = sum(p.numel() * p.element_size() for p in decoder.parameters())
        assert size < 10_000_000
        assert decoder.window.duration_ms == 400.0
        assert bool((decoder.error.summary_sd > 0).all())
