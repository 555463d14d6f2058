"""References that are no such thing: `evaluate` names the file in one sentence and writes nothing."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from test_cli_bad_inputs import Mistake, complaint


def reference(content: bytes | None) -> Callable[[Path], list[object]]:
    """`evaluate` on a folder of references, or without one."""

    def make(folder: Path) -> list[object]:
        if content is not None:
            (folder / "ref").mkdir()
            (folder / "ref" / "s1_h0.npz").write_bytes(content)
        return ["evaluate", "--cell", "toy", "--reference", folder / "ref", "--json", folder / "out.json", "--quiet"]

    return make


def archive(**changes: object) -> bytes:
    """A reference file of noise at one current."""
    rng = np.random.default_rng(0)
    arrays = {"V": rng.integers(-9999, 9999, (1, 400)).astype(np.int16), "scale": 0.01, "amps": [0.1]} | changes
    file = io.BytesIO()
    np.savez_compressed(file, **{name: np.asarray(value) for name, value in arrays.items()})
    return file.getvalue()


def flipped(content: bytes) -> bytes:
    """The same bytes but for one bit in the middle."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


MISTAKES = (
    Mistake("reference that is not there", reference(None), "folder"),
    Mistake("reference that is broken", reference(b"PK nothing"), "s1_h0.npz"),
    Mistake("reference that is truncated", reference(archive()[:300]), "s1_h0.npz"),
    Mistake("reference with another bit", reference(flipped(archive())), "s1_h0.npz"),
    *(
        Mistake(f"reference with wrong {name}", reference(archive(**{name: value})), word)
        for name, value, word in (
            ("scale", [0.01, 0.01], "one scale"),
            ("scale", float("nan"), "positive scale"),
            ("scale", 0.0, "positive scale"),
            ("V", [["a", "b"]], "s1_h0.npz"),
            ("V", [[0.0, float("nan")]], "finite V"),
            ("V", [0, 1], "(current, time)"),
            ("amps", [0.1, 0.2], "one of amps per current"),
        )
    ),
)


def test_the_folder_without_references_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "none in '.'" in complaint(capsys, tmp_path, ["evaluate", "--cell", "toy", "--reference", "."])


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: m.name.replace(" ", "-"))
def test_bad_reference(mistake, tmp_path, capsys):
    assert mistake.word in complaint(capsys, tmp_path, mistake.arguments(tmp_path))
