"""One optimiser step as a CUDA graph: a single launch in place of the hundreds of a small network's step.

The step is recorded once on static buffers (rows of the batch, learning rate) and replayed; what is random is drawn
outside of the graph, so a captured run sees the batches of one that is not captured. Recording works on the weights'
own memory: saving, averaging and validating between steps need not know of it.

Method: NVIDIA, "CUDA graphs" (https://docs.nvidia.com/cuda/cuda-c-programming-guide/#cuda-graphs), through torch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from noble_prob.training.state import State

WARM_UP = 3
"""Steps on a side stream before recording, so that libraries allocate what they keep; they are undone."""


class CapturedStep:
    """Forward, backward, clipping and optimiser of a step, recorded at the first call.

    Args:
        loss: Rows of a batch to a scalar loss; must not wait for the device.
        state: Weights and an optimiser whose step can be captured (``capturable``, learning rate a tensor).
        clip: Largest norm of the gradient.
    """

    def __init__(self, loss: Callable[[Tensor], Tensor], state: State, clip: float):
        self.loss, self.state, self.clip = loss, state, clip
        self.graph: torch.cuda.CUDAGraph | None = None
        self.rows = self.value = torch.empty(0)

    def __call__(self, rows: Tensor) -> Tensor:
        """Take one step.

        Args:
            rows: The batch, of the same shape at every call.

        Returns:
            The loss, overwritten by the next call.
        """
        with torch.cuda.device(rows.device):  # that of the streams and of the graph, whatever the process's own is
            if self.graph is None:
                self._record(rows)
                assert self.graph is not None
            self.rows.copy_(rows)
            self.graph.replay()
        return self.value

    def _step(self) -> Tensor:
        optimiser = self.state.optimiser
        optimiser.zero_grad(set_to_none=False)
        loss = self.loss(self.rows)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.state.params, self.clip, foreach=True)
        optimiser.step()
        return loss.detach()

    def _record(self, rows: Tensor) -> None:
        """Warm up, put everything back, record."""
        self.rows = rows.clone()
        kept = [p.detach().clone() for p in self.state.params]
        moments = {p: {k: v.clone() for k, v in s.items()} for p, s in self.state.optimiser.state.items()}
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self._step()
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph, stream=side):  # the default one stays on the device that recorded first
            self.value = self._step()
        with torch.no_grad():
            torch._foreach_copy_(self.state.params, kept)
            for p, values in self.state.optimiser.state.items():
                for name, value in values.items():
                    value.copy_(moments[p][name]) if p in moments else value.zero_()
