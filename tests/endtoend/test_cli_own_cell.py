"""A cell of one's own, as the verbs know it: by its folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from cli_example import QUICK, call

from noble_prob import cells
from noble_prob.decoder.checkpoint import cell_folder

SHIPPED = "pvalb-689331391"


def test_a_cell_remembers_its_folder_unless_it_ships():
    own, shipped = (cells.load_cell(where).decoder.identity for where in (cell_folder(SHIPPED), SHIPPED))
    assert own == {**shipped, "cell_folder": str(cell_folder(SHIPPED).resolve())}
    assert shipped == {"cell": SHIPPED, "decoder_sha256": cells.load_cell(SHIPPED).card["weights_sha256"]}


def test_a_posterior_finds_the_folder_of_its_cell_again(toy_file, tmp_path, monkeypatch, capsys):
    toy, asked = cells.load_cell("toy"), []

    def load(where, **_):
        asked.append(Path(where))
        known = {"cell": "mine", "decoder_sha256": "none", "cell_folder": str(tmp_path / "cells" / "mine")}
        return replace(toy, name="mine", decoder=replace(toy.decoder, identity=known))

    monkeypatch.setattr(cells, "load_cell", load)
    own = (*QUICK[2:], "--noiseless", "--quiet", "--cell", tmp_path / "cells" / "mine")
    assert call("infer", toy_file, *own, "--out", tmp_path / "posterior") == 0
    assert json.loads((tmp_path / "posterior" / "posterior.json").read_text())["provenance"]["cell"] == "mine"
    assert call("report", tmp_path / "posterior", "--out", tmp_path / "page", "--quiet") == 0
    assert asked == [tmp_path / "cells" / "mine"] * 2
