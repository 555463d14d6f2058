"""What is trained: a task, and its loss as a module."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn


class Task(Protocol):
    """What is trained: a module, random batches, the loss of a batch, a validation."""

    module: nn.Module

    def draw(self, batch: int, generator: torch.Generator) -> Tensor:
        """A random batch: positions of its rows, or the rows themselves."""
        ...

    def loss(self, rows: Tensor) -> Tensor:
        """Scalar loss of a batch."""
        ...

    def validate(self) -> dict[str, float]:
        """Figures on the validation models; the first is the one to be small."""
        ...


@runtime_checkable
class Bending(Protocol):
    """A task whose network can be charged for curvature over neurons (see :mod:`noble_prob.training.bend`)."""

    def bend(self, rows: Tensor) -> Tensor:
        """Scalar bend of a batch."""
        ...


class Objective(nn.Module):
    """A task's loss as the forward of a module, which is what gradients are averaged over.

    Args:
        task: What is trained.
        straight: Weight of the task's bend; the tensor is filled anew at every step.
    """

    def __init__(self, task: Task, straight: Tensor | None):
        super().__init__()
        self.task, self.module, self.straight = task, task.module, straight

    def forward(self, rows: Tensor) -> Tensor:
        """Loss of a batch, with the charge for bending where there is one."""
        loss = self.task.loss(rows)
        if self.straight is not None and isinstance(self.task, Bending):
            loss = loss + self.straight * self.task.bend(rows)
        return loss
