"""A function of one tensor with its gradient, recorded after some calls and replayed without Python.

The log density of a recording is a thousand small operations on two dozen rows, and most of its time is Python's and
autograd's: effect handlers, distributions, the decoder's modules, a graph to build and to walk back. All of it is the
same at every step of a chain. So the operations of value and gradient are written down once per shape
(:class:`~noble_prob.inference.tape.Tape`), what does not depend on the argument is folded, and the rest is replayed: on
a processor by ``torch.jit``, in a third of the time, on a CUDA device by a CUDA graph
(:class:`~noble_prob.decoder.graphs.Replay`). Only where a shape comes again and again, for few rows: elsewhere the
arithmetic itself takes the time.

A function whose operations depend on the *values* of its argument would be replayed wrongly. Those of a program
conditioned on its data do not; that a replay is the function is checked at another point before it is used, and a
function that fails, or a PyTorch without the (deprecated) recorder, is called as it is.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor

from noble_prob.decoder.graphs import Replay, avoided
from noble_prob.inference.tape import NotRecordableError, Tape
from noble_prob.priors.tracing import can_trace

PATIENCE = 40
"""Calls of one shape before it is recorded: recording costs as much as some twenty calls."""
LARGEST = {"cpu": 256, "cuda": 1024}
"""Rows up to which Python's share is worth it, by kind of device."""
ELSEWHERE, CLOSE = 1.01, 1e-5
"""Where a replay is checked, as a multiple of the argument, and how close it has to be (networks are in single
precision, and an operation may be done in another order)."""

Both = Callable[[Tensor], tuple[Tensor, Tensor]]


class Recorded:
    """Value and gradient of a function of one tensor, recorded when it pays.

    Args:
        function: One value for each row; its operations may depend on the shape of its argument, not on its values.
        patience: Calls of one shape before it is recorded.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], *, patience: int = PATIENCE):
        self._function, self._patience = function, patience
        self._calls: Counter[torch.Size] = Counter()
        self._replays: dict[torch.Size, Both] = {}

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The function's values and the gradient of each, detached."""
        if x.shape[:-1].numel() > LARGEST.get(x.device.type, 0):
            return self._both(x)
        self._calls[x.shape] += 1
        if self._calls[x.shape] == self._patience:
            self._replays[x.shape] = self._record(x)
        return self._replays.get(x.shape, self._both)(x.detach())

    def is_replayed(self, shape: torch.Size) -> bool:
        """Whether arguments of this shape are replayed, hence without Python, its handlers and its lock."""
        return self._replays.get(shape, self._both) != self._both

    def _both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            value = self._function(x)
            (slope,) = torch.autograd.grad(value.sum(), x)
        return value.detach(), slope

    def _record(self, x: Tensor) -> Both:
        replay = _replay(self._both, x.detach().clone())
        elsewhere = ELSEWHERE * x.detach()
        alike = replay and all(
            torch.allclose(
                ours, theirs, rtol=CLOSE, atol=CLOSE * float(theirs.nan_to_num(0, 0, 0).abs().max()), equal_nan=True
            )
            for ours, theirs in zip(replay(elsewhere), self._both(elsewhere), strict=True)
        )
        return replay if replay and alike else self._both


def _replay(both: Both, x: Tensor) -> Both | None:
    """The operations of one call as a program of their own; None where PyTorch can not make one."""
    try:
        with avoided(), Tape(x) as tape:
            results = both(x)
    except NotRecordableError:
        return None
    player = tape.player(*results)
    return _on_cuda(player, x) if x.device.type == "cuda" else _on_cpu(player, x)


def _on_cpu(player: Callable[[Tensor], tuple[Tensor, ...]], x: Tensor) -> Both | None:
    """Replayed by TorchScript."""
    if not can_trace():
        return None
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # that it is deprecated; and that shapes become constants, as is meant here
        frozen = torch.jit.freeze(
            torch.jit.trace(_Played(player).eval(), (x,), check_trace=False), optimize_numerics=False
        )

    def replay(x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.inference_mode(), torch.jit.optimized_execution(False):  # optimising takes longer than most chains
            value, slope = frozen(x)
        return value.clone(), slope.clone()  # as ordinary tensors

    return replay


def _on_cuda(player: Callable[[Tensor], tuple[Tensor, ...]], x: Tensor) -> Both | None:
    """Replayed by a CUDA graph, if every operation can be captured."""

    def joined(x: Tensor) -> Tensor:
        value, slope = player(x)
        return torch.cat([value[..., None], slope], -1)

    try:
        graph = Replay(joined, (x,), gradient=False)
    except RuntimeError:  # an operation that waits for the device
        return None

    def replay(x: Tensor) -> tuple[Tensor, Tensor]:
        both = graph.run(x)
        return both[..., 0].clone(), both[..., 1:].clone()

    return replay


class _Played(torch.nn.Module):
    """A function as a module, whose constants can be folded."""

    def __init__(self, function: Callable[[Tensor], tuple[Tensor, ...]]):
        super().__init__()
        self._function = function

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return self._function(x)
