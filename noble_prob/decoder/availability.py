"""Whether the Triton kernels run here; the first reason why not is said once in the log, and then they are let be."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from functools import cache

import torch

_given_up: list[str] = []


@cache
def _missing() -> str | None:
    """What is missing on this machine."""
    if not torch.cuda.is_available():
        return "there is no CUDA device"
    if importlib.util.find_spec("triton") is None:
        return "triton is not installed"
    if torch.cuda.get_device_capability()[0] < 8:
        return f"{torch.cuda.get_device_name()} is older than the kernels need (compute capability 8.0)"
    return None


def kernels_run() -> bool:
    """Whether the kernels can be tried; says why not, once."""
    if not _given_up and (why := _missing()):
        _give_up(why)
    return not _given_up


def _give_up(why: str) -> None:
    _given_up.append(why)
    logging.getLogger(__name__).warning("decoders render by plain matrix products, not by fused kernels: %s", why)


def attempt[T](call: Callable[[], T]) -> T | None:
    """The call's result, or None where the kernels do not run; a failure is said once and not tried again.

    Args:
        call: What launches kernels. Running out of memory and misuse are passed on.
    """
    if not kernels_run():
        return None
    try:
        return call()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # compilers and drivers have exceptions of their own
        _give_up(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200])
        return None
