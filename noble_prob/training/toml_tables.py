"""Tables of a TOML file as dataclasses: known keys and values of the right types, or a sentence that says which."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from noble_prob.errors import require


def as_dataclass(kind: type[Any], where: str, table: Any, base: Path) -> Any:
    """One table as a dataclass: known keys only, values of the right types.

    Args:
        kind: The dataclass.
        where: Name of the table.
        table: What the file says.
        base: What paths are relative to.

    Raises:
        UsageError: If it is no table, a key is not known or missing, or a value has the wrong type.
    """
    require(isinstance(table, Mapping), where, "a table", repr(table), f"write [{where}] and keys below it")
    hints = get_type_hints(kind)
    for name in table:
        require_known(where, name, hints)
    return construct(kind, where, {k: typed(f"{where}.{k}", v, hints[k], base) for k, v in table.items()})


def construct(kind: type[Any], where: str, values: Mapping[str, Any]) -> Any:
    """A dataclass from the values of its fields.

    Raises:
        UsageError: If a field without a default has no value, or the dataclass itself refuses one.
    """
    needed = [f.name for f in fields(kind) if f.default is f.default_factory and f.name not in values]
    require(not needed, where, f"given `{', '.join(needed)}`", "a table without it", "add the key")
    return kind(**values)


def typed(where: str, value: Any, kind: Any, base: Path) -> Any:
    """A value of the type that a field has: TOML's numbers, texts and lists as Python's, paths from ``base``.

    Raises:
        UsageError: If it has another type, or is none of those allowed.
    """
    if get_origin(kind) is Literal:
        allowed = get_args(kind)
        require(value in allowed, where, f"one of {', '.join(map(repr, allowed))}", repr(value), "choose one of them")
        return value
    if get_origin(kind) is tuple:
        require(isinstance(value, list), where, "a list", repr(value), "write it in brackets")
        return tuple(typed(where, item, get_args(kind)[0], base) for item in value)
    if get_origin(kind) is not None or get_args(kind):  # int | None
        kind = next(k for k in get_args(kind) if k is not type(None))
    if kind is Path:
        require(isinstance(value, str), where, "a path in quotes", repr(value), "write it in quotes")
        return base / value
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text in quotes"}
    fits = type(value) is kind or (kind is float and type(value) is int)
    require(fits, where, words[kind], repr(value), "correct the value")
    return kind(value)


def require_known(where: str, name: str, known: Any) -> None:
    """Refuse an unknown name, with the nearest known one.

    Raises:
        UsageError: If it is not known.
    """
    near = difflib.get_close_matches(name, known, 1)
    remedy = f"did you mean {near[0]!r}? Correct it" if near else "remove it"
    require(name in known, where, f"made of {', '.join(known)}", repr(name), remedy)
