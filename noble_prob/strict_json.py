"""JSON that every reader takes: arrays are lists, and what is not a finite number is null."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any


def dumps(values: Any) -> str:
    """Strict, indented JSON text; arrays become lists, NaN and infinity null.

    Args:
        values: JSON values, arrays, tensors, dataclasses, nested as you like.

    Example:
        >>> print(dumps({"r_hat": float("inf")}), end="")
        {
         "r_hat": null
        }
    """
    try:
        text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        text = json.dumps(jsonable(values), indent=1, ensure_ascii=False, allow_nan=False)
    return text + "\n"


def jsonable(value: Any) -> Any:
    """Plain JSON values: arrays and tensors as lists, NaN and infinity as null, dataclasses as objects.

    Args:
        value: Anything; what is of no known kind is told as text.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: jsonable(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if hasattr(value, "tolist"):
        return jsonable(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)
