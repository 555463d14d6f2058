"""How exactly matrix products are computed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def matrix_products(precision: str) -> Iterator[None]:
    """Inside, matrix products of float32 are exact or rounded on tensor cores; what was set before is restored.

    Args:
        precision: ``"tf32"`` for tensor cores, anything else for float32.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
