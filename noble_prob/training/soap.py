r"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner, for networks of which many digits are asked.

A gradient :math:`G` of a weight matrix has covariances :math:`L = E[G G^T]` and :math:`R = E[G^T G]` over recent steps.
Adam's moments are kept in the basis of their eigenvectors, where directions of the loss are nearly independent, and the
step is turned back. The basis is turned every few steps by one QR step of power iteration. A small network that has to
be right to a hundredth of a millisecond needs a tenth of the steps that AdamW takes (docs/training.md has the figures).

Weights of several members, shape ``(member, in, out)``, are as many matrices; vectors are left to Adam.

Source of the method: Vyas et al. 2024, "SOAP: Improving and Stabilizing Shampoo using Adam", arXiv 2409.11321.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from noble_prob.errors import require

TURN_EVERY = 10
"""Steps between turns of the basis."""
MEMORY = 0.95
"""Decay of all averages."""
EPS = 1e-8


class Soap(torch.optim.Optimizer):
    """The optimiser. Call :meth:`turn` after every step: it is apart because a CUDA graph can not hold it.

    Args:
        params: Real parameters.
        lr: Learning rate; a tensor where a graph reads it.
        weight_decay: Decoupled, as AdamW's.
        capturable: Kept for whoever asks; every state is a tensor on the device of its parameter anyway.

    Raises:
        UsageError: If a parameter is complex.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        *,
        lr: float | Tensor = 1e-3,
        weight_decay: float = 0.0,
        capturable: bool = False,
    ):
        params = list(params)
        require(
            not any(p.is_complex() for p in params),
            "optimiser",
            "adamw for a network with complex weights",
            "soap",
            "leave it out",
        )
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "capturable": capturable})
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p] = _beginning(p)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """One step along the gradients of all parameters; nothing in it waits for the device."""
        assert closure is None, "losses are computed before"
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    change = _change(p.grad, self.state[p])
                    p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(group["lr"] * change)

    @torch.no_grad()
    def turn(self, done: int) -> None:
        """Turn the basis where it is due.

        Args:
            done: Steps that were done.
        """
        if done != 1 and done % TURN_EVERY:
            return
        for state in self.state.values():
            if "left" in state:
                for basis, covariance in (("basis_left", "left"), ("basis_right", "right")):
                    state[basis].copy_(_turned(state[basis], state[covariance], first=done == 1))


def _beginning(p: Tensor) -> dict[str, Tensor]:
    """State before the first step: no memory, the basis of the weights themselves."""
    zero = torch.zeros_like(p, memory_format=torch.preserve_format)
    state = {"step": torch.zeros((), device=p.device), "mean": zero, "square": zero.clone()}
    if p.ndim >= 2 and min(p.shape[-2:]) > 1:
        for side, size in (("left", p.shape[-2]), ("right", p.shape[-1])):
            eye = torch.eye(size, dtype=p.dtype, device=p.device).expand(*p.shape[:-2], -1, -1)
            state |= {side: torch.zeros_like(eye), f"basis_{side}": eye.clone()}
    return state


def _change(g: Tensor, state: dict[str, Tensor]) -> Tensor:
    """Update the averages with a gradient and give the step of unit learning rate."""
    state["step"] += 1
    state["mean"].lerp_(g, 1 - MEMORY)
    correction = 1 - MEMORY ** state["step"]
    if "left" not in state:
        state["square"].lerp_(g.square(), 1 - MEMORY)
        return state["mean"] / correction / ((state["square"] / correction).sqrt() + EPS)
    left, right = state["basis_left"], state["basis_right"]
    state["left"].lerp_(g @ g.mT, 1 - MEMORY)
    state["right"].lerp_(g.mT @ g, 1 - MEMORY)
    state["square"].lerp_((left.mT @ g @ right).square(), 1 - MEMORY)
    mean = left.mT @ state["mean"] @ right
    return left @ (mean / correction / ((state["square"] / correction).sqrt() + EPS)) @ right.mT


def _turned(basis: Tensor, covariance: Tensor, *, first: bool) -> Tensor:
    """The eigenbasis of a covariance, followed from the last one."""
    if first:
        return torch.linalg.eigh(covariance)[1]
    return torch.linalg.qr(covariance @ basis)[0]
