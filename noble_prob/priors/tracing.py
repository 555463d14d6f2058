"""Whether PyTorch can still write down the operations of a function: its recorder is deprecated."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor


def can_trace() -> bool:
    """Whether ``torch.jit.trace`` is there and works; without it a function is called as it is, which takes longer."""

    def shifted(x: Tensor) -> Tensor:
        return x + 1

    zero = torch.zeros(2)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is deprecated
            return bool(torch.equal(torch.jit.trace(shifted, (zero,))(zero), zero + 1))
    except (AttributeError, RuntimeError, TypeError):
        return False
