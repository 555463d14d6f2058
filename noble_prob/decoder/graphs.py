"""CUDA graphs of small batches: a response of some hundred small kernels is replayed by one launch.

A :class:`Replay` holds a function of tensors of fixed shapes, captured once with its gradient. Calls look like calls of
the function, gradients like autograd's: if the function was called again in between, or the gradient is taken twice,
a backward pass replays its own forward pass first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from noble_prob.decoder.spectral import cached_matrices

WARM_UP = 3
KEPT = 8
"""Graphs that a decoder keeps, the latest ones."""
_avoided = False


@contextmanager
def avoided() -> Iterator[None]:
    """No decoder answers by a graph of its own in here: its operations are to be seen, for example to be captured."""
    global _avoided
    before, _avoided = _avoided, True
    try:
        yield
    finally:
        _avoided = before


def wanted() -> bool:
    """Whether decoders may answer by graphs: nobody avoids them, and no other graph is being captured."""
    return not (_avoided or torch.cuda.is_current_stream_capturing())


class Replay:
    """A captured function of ``(latents, current)``.

    Args:
        function: From tensors to a tensor, without host synchronisation.
        inputs: Examples, which give shapes, precision, device and what the gradient is taken of.
        gradient: Whether its vector-Jacobian product is captured too.
    """

    def __init__(self, function: Callable[..., Tensor], inputs: tuple[Tensor, ...], *, gradient: bool):
        with torch.inference_mode(mode=False):
            self.inputs = tuple(x.detach().clone().requires_grad_(gradient and x.requires_grad) for x in inputs)
            self.gradient, self.turn = gradient, 0
            self.device = inputs[0].device  # that of streams and graphs, whatever the process's own is
            with torch.cuda.device(self.device), torch.set_grad_enabled(gradient):
                self._capture(function)
            self.alive = (function, cached_matrices())  # a graph knows addresses, not tensors

    def _capture(self, function: Callable[..., Tensor]) -> None:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                out = function(*self.inputs)
                self.cotangent = torch.ones_like(out, requires_grad=False)
                if self.gradient:
                    self._backward(out)
        torch.cuda.current_stream().wait_stream(stream)
        self.forward_graph, self.backward_graph = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.forward_graph, stream=stream):
            self.out = function(*self.inputs)
        if self.gradient:
            with torch.cuda.graph(self.backward_graph, stream=stream, pool=self.forward_graph.pool()):
                self.gradients = self._backward(self.out)
        self.out = self.out.detach()

    def _backward(self, out: Tensor) -> tuple[Tensor | None, ...]:
        wanted = [x for x in self.inputs if x.requires_grad]
        found = iter(torch.autograd.grad(out, wanted, self.cotangent, allow_unused=True, materialize_grads=True))
        return tuple(next(found) if x.requires_grad else None for x in self.inputs)

    def run(self, *inputs: Tensor) -> Tensor:
        """The function's value in a buffer that the next call overwrites."""
        with torch.cuda.device(self.device), torch.no_grad():
            for buffer, x in zip(self.inputs, inputs, strict=True):
                buffer.copy_(x)
            self.forward_graph.replay()
        self.turn += 1
        return self.out

    def __call__(self, *inputs: Tensor) -> Tensor:
        """The function's value."""
        if self.gradient:
            return _Replayed.apply(self, *inputs)
        return self.run(*inputs).clone()


class _Replayed(torch.autograd.Function):
    """A replay as a node of autograd's graph."""

    @staticmethod
    def forward(ctx: Any, replay: Replay, *inputs: Tensor) -> Tensor:
        out = replay.run(*inputs).clone()
        ctx.replay, ctx.turn = replay, replay.turn
        ctx.save_for_backward(*inputs)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        replay = ctx.replay
        if replay.turn != ctx.turn:
            replay.run(*ctx.saved_tensors)
            ctx.turn = replay.turn
        with torch.cuda.device(replay.device):
            replay.cotangent.copy_(cotangent)
            replay.backward_graph.replay()
        replay.turn += 1  # the memory of what it read is overwritten: another backward pass begins with a forward pass
        return (None, *(None if g is None else g.clone() for g in replay.gradients))


class Replays:
    """The graphs of one decoder, renewed when a weight has changed."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Any, ...], Replay] = {}
        self._state: Any = None

    def __call__(self, name: str, function: Callable[..., Tensor], state: Any, *inputs: Tensor) -> Tensor:
        """``function(*inputs)`` by a graph.

        Args:
            name: Of the function.
            function: From tensors to a tensor.
            state: What the function depends on beside its inputs; graphs of another state are dropped.
            inputs: Its inputs.
        """
        if state != self._state:
            self._kept.clear()
            self._state = state
        gradient = torch.is_grad_enabled() and any(x.requires_grad for x in inputs)
        key = (name, gradient, *((x.shape, x.dtype, gradient and x.requires_grad) for x in inputs))
        if key not in self._kept:
            if len(self._kept) >= KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = Replay(function, inputs, gradient=gradient)
        return self._kept[key](*inputs)
