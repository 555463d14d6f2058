"""Several sequential samplers fed by one batched gradient.

A sampler that asks for one gradient at a time leaves a batched decoder idle. Here every chain runs in a thread of its
own, but only one thread moves at any moment, in fixed order: a chain runs until it asks for a gradient and then
waits. When all chains wait, their points are evaluated together and they go on. The order is fixed, so the draws
depend on the seed alone; nothing runs in parallel, so nothing needs to be thread-safe.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
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


def run(chains: Sequence[Callable[[Potential], Any]], evaluate: Batch) -> tuple[list[Any], int]:
    """Run the chains side by side.

    Args:
        chains: Each is given a function from a point to a differentiable value, and returns its result.
        evaluate: Computes values and slopes for a batch of points.

    Returns:
        The results in order, and the number of batched evaluations.

    Raises:
        Exception: Whatever a chain raised first.
    """
    n = len(chains)
    turn, back = [threading.Semaphore(0) for _ in chains], threading.Semaphore(0)
    asked: dict[int, Tensor] = {}
    answers: dict[int, tuple[Tensor, Tensor]] = {}
    results: list[Any] = [None] * n
    failed: list[BaseException] = []

    def potential(k: int, point: Tensor) -> Tensor:
        asked[k] = point.detach()
        back.release()
        turn[k].acquire()
        if failed:
            raise _Stop
        return _Known.apply(point, *answers[k])

    def body(k: int) -> None:
        turn[k].acquire()
        try:
            if not failed:
                results[k] = chains[k](lambda point: potential(k, point))
        except _Stop:
            pass
        except BaseException as error:
            failed.append(error)
        back.release()

    threads = [threading.Thread(target=body, args=(k,), daemon=True) for k in range(n)]
    for thread in threads:
        thread.start()
    evaluations, alive = 0, list(range(n))
    while alive:
        for k in alive:
            turn[k].release()
            back.acquire()
        alive = sorted(asked)
        if alive and not failed:
            value, slope = evaluate(torch.stack([asked[k] for k in alive]))
            answers.update({k: (value[i], slope[i]) for i, k in enumerate(alive)})
            evaluations += 1
        asked.clear()
    if failed:
        raise failed[0]
    return results, evaluations
