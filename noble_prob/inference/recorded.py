"""A function of one tensor, recorded after some calls and replayed without Python.

The log density of a recording is a thousand small operations on two dozen rows, and most of its time is Python's: that
of the effect handlers, of the distributions, of the decoder's modules. All of it is the same at every step of a chain.
So the operations are recorded once per shape (``torch.jit.trace``), what does not depend on the argument is folded, and
the rest is replayed, at half the price. Only where a shape comes again and again, on a processor, for few rows:
elsewhere the arithmetic itself takes the time.

Limits: a function whose operations depend on the *values* of its argument would be replayed wrongly; those of a program
conditioned on its data do not. The recorder is deprecated in favour of a compiler that needs a C++ toolchain; where it
is gone, the function is called as it is.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

PATIENCE = 8
"""Calls of one shape before it is recorded: recording costs as much as some ten calls."""
LARGEST = 256
"""Rows up to which Python's share is worth it."""


class Recorded:
    """A function of one tensor with gradients, recorded when it pays.

    Args:
        function: To be called; its operations may depend on the shape of its argument, not on its values.
    """

    def __init__(self, function: Callable[[Tensor], Tensor]):
        self._function = function
        self._calls: Counter[torch.Size] = Counter()
        self._replays: dict[torch.Size, Callable[[Tensor], Tensor]] = {}

    def __call__(self, x: Tensor) -> Tensor:
        """The function's value; gradients flow to ``x``."""
        if x.device.type != "cpu" or x.shape[:-1].numel() > LARGEST:
            return self._function(x)
        self._calls[x.shape] += 1
        if self._calls[x.shape] == PATIENCE:
            self._replays[x.shape] = self._record(x)
        replay = self._replays.get(x.shape, self._function)
        with torch.jit.optimized_execution(False):  # optimising takes longer than most chains
            return replay(x)

    def _record(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        trace: Any = getattr(torch.jit, "trace", None)
        if trace is None:
            return self._function
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is deprecated; and that shapes become constants, as is meant here
            recorded = trace(_Called(self._function).eval(), (x,), check_trace=False)
            replay: Callable[[Tensor], Tensor] = torch.jit.freeze(recorded, optimize_numerics=False)
        return replay


class _Called(torch.nn.Module):
    """A function as a module, whose constants can be folded."""

    def __init__(self, function: Callable[[Tensor], Tensor]):
        super().__init__()
        self._function = function

    def forward(self, x: Tensor) -> Tensor:
        return self._function(x)
