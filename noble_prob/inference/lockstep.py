"""Several sequential samplers fed by one batched gradient.

A sampler that asks for one gradient at a time leaves a batched decoder idle. Here every chain runs in a thread of its
own, but only one thread moves at any moment, in fixed order: a chain runs until it asks for a gradient and then
waits. When all chains wait, their points are evaluated together and they go on. The order is fixed, so the draws
depend on the seed alone.

Two groups of chains keep two cores busy: while the one is evaluated, in compiled code, the chains of the other move.
Whoever moves holds a baton, and the random numbers of its group with it, so samplers need not be thread-safe and draws
do not depend on which group was faster; only the evaluation has to be.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

Batch = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Points ``(chain, size)`` to values ``(chain,)`` and slopes ``(chain, size)``."""
Potential = Callable[[Tensor], Tensor]
"""One point to a value that knows its gradient."""


class _Stop(Exception):  # noqa: N818
    """Ends a chain whose neighbour failed."""


class _Known(torch.autograd.Function):
    """A number whose gradient was computed beforehand."""

    @staticmethod
    def forward(ctx: Any, point: Tensor, value: Tensor, slope: Tensor) -> Tensor:  # noqa: ARG004
        ctx.save_for_backward(slope)
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *grad: Any) -> Any:
        (slope,) = ctx.saved_tensors
        return grad[0] * slope, None, None


def run(chains: Sequence[Callable[[Potential], Any]], evaluate: Batch, *, groups: int = 1) -> tuple[list[Any], int]:
    """Run the chains side by side.

    Args:
        chains: Each is given a function from a point to a differentiable value, and returns its result.
        evaluate: Computes values and slopes for a batch of points, one per chain of a group (of a chain that has ended
            the last one again); with several groups called by several threads at once.
        groups: Into how many groups the chains are split.

    Returns:
        The results in order, and the number of batched evaluations of the group that had most.

    Raises:
        Exception: Whatever a chain raised first.
    """
    failed: list[BaseException] = []
    baton = threading.Lock()
    seeds = [0] if groups == 1 else torch.randint(2**62, (groups,)).tolist()
    parts = [
        _Group(part, evaluate, _Turn(baton, None if groups == 1 else seed), failed)
        for part, seed in zip(split(chains, groups), seeds, strict=True)
    ]
    threads = [threading.Thread(target=part.drive, daemon=True) for part in parts[1:]]
    try:
        for thread in threads:
            thread.start()
        parts[0].drive()
    except BaseException as stop:  # Ctrl-C reaches one thread only: nobody may go on with the caller's global state
        failed.append(stop)
        raise
    finally:
        for thread in threads:
            if thread.ident is not None:
                thread.join()
        parts[0].end()
    if failed:
        raise failed[0]
    return [result for part in parts for result in part.results], max(part.evaluations for part in parts)


def split(chains: Sequence[Any], groups: int) -> list[Sequence[Any]]:
    """Consecutive groups of nearly equal size, none empty.

    Args:
        chains: What to split, at least as many as groups.
        groups: How many.
    """
    ends = [len(chains) * k // groups for k in range(groups + 1)]
    return [chains[a:b] for a, b in pairwise(ends)]


class _Turn:
    """The right to move, and the random numbers that belong to whoever has it."""

    def __init__(self, baton: threading.Lock, seed: int | None):
        self.baton = baton
        self._state = None if seed is None else torch.Generator().manual_seed(seed).get_state()

    def begin(self) -> None:
        """The global random state becomes the group's; the baton is in hand."""
        if self._state is not None:
            torch.set_rng_state(self._state)

    def end(self) -> None:
        """Keep the random state for the next turn."""
        if self._state is not None:
            self._state = torch.get_rng_state()


class _Group:
    """Chains that are evaluated together."""

    def __init__(self, chains: Sequence[Callable[[Potential], Any]], evaluate: Batch, turn: _Turn, failed: list[Any]):
        self.results: list[Any] = [None] * len(chains)
        self.evaluations = 0
        self._chains, self._evaluate, self._turn, self._failed = chains, evaluate, turn, failed
        self._go, self._back = [threading.Semaphore(0) for _ in chains], threading.Semaphore(0)
        self._asked: dict[int, Tensor] = {}
        self._answers: dict[int, tuple[Tensor, Tensor]] = {}
        self._threads: list[threading.Thread] = []

    def drive(self) -> None:
        """Move all chains to where they wait, evaluate, and again, until none is left."""
        for k in range(len(self._chains)):
            self._threads.append(threading.Thread(target=self._body, args=(k,), daemon=True))
            self._threads[-1].start()
        points: dict[int, Tensor] = {}
        alive = list(range(len(self._chains)))
        while alive:
            with self._turn.baton:  # itself, no context manager around it: Ctrl-C inside one would keep it
                self._turn.begin()
                for k in alive:
                    self._go[k].release()
                    self._back.acquire()
                self._turn.end()
            points |= self._asked
            alive = sorted(self._asked)
            self._asked.clear()
            if alive and not self._failed:
                self._answer(points)

    def end(self) -> None:
        """Let chains that still wait see that the run has failed, and wait for their end."""
        for go, thread in zip(self._go, self._threads, strict=False):
            go.release()
            if thread.ident is not None:
                thread.join()

    def _answer(self, points: dict[int, Tensor]) -> None:
        """Evaluate; a failure is the whole run's."""
        try:
            value, slope = self._evaluate(torch.stack(list(points.values())))
        except BaseException as error:
            self._failed.append(error)
        else:
            self._answers = {k: (value[i], slope[i]) for i, k in enumerate(points)}
        self.evaluations += 1

    def _potential(self, k: int, point: Tensor) -> Tensor:
        """Ask for the gradient at a point, and wait for it."""
        self._asked[k] = point.detach()
        self._back.release()
        self._go[k].acquire()
        if self._failed:
            raise _Stop
        return _Known.apply(point, *self._answers[k])

    def _body(self, k: int) -> None:
        """The life of a chain."""
        self._go[k].acquire()
        try:
            if not self._failed:
                self.results[k] = self._chains[k](lambda point: self._potential(k, point))
        except _Stop:
            pass
        except BaseException as error:
            self._failed.append(error)
        self._back.release()
