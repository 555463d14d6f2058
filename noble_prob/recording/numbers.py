"""What is given as numbers becomes a tensor; what is given as places along an axis becomes indices."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from noble_prob.errors import UsageError, listed, require


def numbers(values: Any, parameter: str) -> Tensor:
    """Numbers as a tensor: single and double precision stay, half precision, whole numbers and lists become double.

    Args:
        values: A tensor, which is not copied; or a NumPy array, nested lists, or what NumPy makes an array of (tables
            of pandas, xarray), which are. Masked samples and None become NaN.
        parameter: What the caller calls it.

    Raises:
        UsageError: If these are no real numbers in rows of one length.
    """
    if not isinstance(values, Tensor):
        values = torch.from_numpy(_array(values, parameter))
    require(not values.is_complex(), parameter, "real numbers", "complex ones", "pass their real part, x.real")
    return values if values.dtype in (torch.float32, torch.float64) else values.double()


def indices(given: Any, n: int, parameter: str, things: str) -> list[int]:
    """Indices along an axis, of one index, several, a slice, or True and False for everything on it.

    Args:
        given: Which to take.
        n: How many there are.
        parameter: What the caller calls it.
        things: What lies along the axis, plural.

    Raises:
        UsageError: If an index is out of range, none is given, or a mask is not as long as the axis.
    """
    given = list(range(n)[given]) if isinstance(given, slice) else given
    index = numbers(given, parameter).reshape(-1)
    if given.dtype == torch.bool if isinstance(given, Tensor) else np.asarray(given).dtype == np.bool_:
        require(
            len(index) == n,
            parameter,
            f"one True or False for each of {n} {things}",
            f"{len(index)} of them",
            f"give a mask for all {things}, or indices",
        )
        index = index.nonzero()[:, 0]
    good = (index >= -n) & (index < n) & (index == index.round())
    require(
        bool(good.all()) and len(index) > 0,
        parameter,
        f"indices below {n}, at least one",
        listed(index.tolist()) or "none",
        f"pick existing {things}",
    )
    return [int(i) % n for i in index.tolist()]


def _array(values: Any, parameter: str) -> NDArray[Any]:
    """An array in memory of its own and of a type that torch takes, NaN where masked."""
    rows = values.tolist() if isinstance(values, np.ndarray) and values.dtype == object else values
    many = isinstance(rows, list | tuple)
    hidden = isinstance(rows, np.ma.MaskedArray) or (many and any(isinstance(r, np.ma.MaskedArray) for r in rows))
    try:
        array = np.ma.array(rows, copy=True) if hidden else np.array(rows)
        if array.dtype == object and array.ndim and not any(isinstance(v, str | bytes) for v in array.flat):
            array = np.array(rows, dtype=np.float64)  # None and the missing values of tables
    except (TypeError, ValueError, RuntimeError) as error:
        _refuse(rows, values, parameter, error)
    if array.dtype.kind not in "biufc":
        _refuse(rows, values, parameter, None)
    single = array.dtype.kind == "f" and array.dtype.itemsize == 4 and not many
    kept = np.complex128 if array.dtype.kind == "c" else np.float32 if single else np.float64
    array = array.astype(kept, copy=False)
    return array.filled(np.nan) if isinstance(array, np.ma.MaskedArray) else array


def _refuse(rows: Any, values: Any, parameter: str, error: Exception | None) -> None:
    """Say why these are no numbers."""
    lengths = _lengths(rows) if isinstance(rows, list | tuple) else []
    if lengths:
        raise UsageError(
            parameter,
            "rows of one length",
            f"rows of {listed(lengths)} values",
            "cut the longer rows, or fill missing voltage with NaN",
        ) from error
    raise UsageError(
        parameter,
        "numbers: a tensor, an array, a table or lists of one length",
        type(values).__name__,
        "pass numbers; words that are numbers are converted by numpy.asarray(x, float)",
    ) from error


def _lengths(rows: Any) -> list[int]:
    """Lengths of rows on the outermost level where they differ; none if they do nowhere."""
    inner = [row for row in rows if isinstance(row, list | tuple) or getattr(row, "ndim", None)]
    lengths = sorted({len(row) for row in inner})
    return lengths if len(lengths) > 1 else next((found for row in inner if (found := _lengths(row))), [])
