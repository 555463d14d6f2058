"""Seeds for libraries that only know a global generator.

Pyro and torch distributions draw from torch's global state. Inside :func:`seeded` that state is set from a seed; behind
it the caller's state is as it was: no global seeding is left behind. CUDA generators are treated the same way. There is
one global state for all threads, so a second thread waits until the first has left.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

ONE_AT_A_TIME = threading.RLock()
"""Held by the thread that works with global state of torch or Pyro."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw reproducibly inside the block, leave the global random state untouched outside.

    Args:
        seed: Any integer.
    """
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with ONE_AT_A_TIME, torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def derive(purpose: str, seed: int, *index: int) -> int:
    """A seed of one purpose, unrelated to those of another purpose, of another seed and of another index.

    Sums do not do: those of neighbouring seeds and indices meet.

    Args:
        purpose: What it is for.
        seed: Any integer.
        index: Numbers of the batch, chain or round that it is for.
    """
    digest = hashlib.sha256(" ".join([purpose, *map(str, (seed, *index))]).encode()).digest()
    return int.from_bytes(digest[:7], "big")


def stream(purpose: str, seed: int, *index: int) -> torch.Generator:
    """Random numbers from the seed that :func:`derive` gives, on the CPU.

    Args:
        purpose: What they are for.
        seed: Any integer.
        index: Numbers of the batch, chain or round that they are for.
    """
    return torch.Generator().manual_seed(derive(purpose, seed, *index))
