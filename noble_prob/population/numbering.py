"""Numbers of the models of a Hall of Fame, from the names of their files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from noble_prob.errors import listed, require


def number_in(name: str) -> int | None:
    """Model number ``20 * (seed - 1) + rank`` of a name that holds ``seed_S_hof_H``; None for others."""
    match = re.search(r"seed_(\d+)_hof_(\d+)", name)
    return None if match is None else 20 * (int(match[1]) - 1) + int(match[2])


def file_numbers(files: Sequence[Path]) -> tuple[int, ...]:
    """The number of every file: that in its name, else its place.

    Args:
        files: In their natural order.

    Raises:
        UsageError: If a number is negative or comes twice.
    """
    keys = [place if (number := number_in(file.stem)) is None else number for place, file in enumerate(files)]
    below = [file.name for file, key in zip(files, keys, strict=True) if key < 0]
    require(not below, "path", "a folder of files seed_S_hof_H.json with S from 1", listed(below), "rename these files")
    for key, n in Counter(keys).items():
        alike = [file.name for file, own in zip(files, keys, strict=True) if own == key]
        require(
            n == 1,
            "path",
            "a folder in which every model has a number of its own",
            f"{listed(alike)} with the number {key}",
            "name all files alike",
        )
    return tuple(keys)


def natural_order(file: Path) -> tuple[int, list[str | int]]:
    """By number, then by name with its digits read as numbers."""
    words = re.split(r"(\d+)", file.name)
    return number_in(file.stem) or 0, [int(word) if k % 2 else word for k, word in enumerate(words)]
