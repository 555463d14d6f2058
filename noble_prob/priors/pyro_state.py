"""Work with Pyro that leaves no trace in the process, also when it is interrupted.

Pyro keeps its handlers, its plates and its checks in globals. Ctrl-C between two lines of a handler leaves it on the
stack, and every later program of the process runs inside it. The same holds of torch's gradient mode, threads and
default type, which the work sets for itself: numbers must not depend on what the caller made the default. All of this
is one per process, not per thread, so threads that work with Pyro do so one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyro
import torch
from pyro.poutine.runtime import _DIM_ALLOCATOR, _PYRO_STACK

from noble_prob.priors.rng import ONE_AT_A_TIME


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put Pyro's and torch's global state back as it was; inside, the default type is single and gradients are kept.

    Also a decorator. The caller's own handlers stay in force inside. A second thread waits here until the first has
    left (two inferences of two threads take as long as one after the other); use processes to gain time.
    """
    with ONE_AT_A_TIME:
        yield from _put_back()


def _put_back() -> Iterator[None]:
    """The state, as it is now, after the block."""
    stack, plates, settings = list(_PYRO_STACK), list(_DIM_ALLOCATOR._stack), pyro.settings.get()
    torchs = torch.is_grad_enabled(), torch.get_num_threads(), torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float32)
        torch.set_grad_enabled(True)
        yield
    finally:
        _PYRO_STACK[:] = stack  # in place: handlers hold this very list
        _DIM_ALLOCATOR._stack[:] = plates
        try:
            _restore(settings, *torchs)
        except KeyboardInterrupt:  # a second one: finish first
            _restore(settings, *torchs)
            raise


def _restore(settings: dict[str, Any], grad: bool, threads: int, dtype: torch.dtype) -> None:
    """The rest of the state, which takes function calls."""
    pyro.settings.set(**settings)
    torch.set_grad_enabled(grad)
    torch.set_default_dtype(dtype)
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
