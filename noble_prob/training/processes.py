"""Several processes train one network: ``torchrun --nproc-per-node N -m noble_prob train CONFIG``.

Gradients are averaged by torch's own DistributedDataParallel (NCCL between GPUs, Gloo between processes on CPUs). Each
process draws its own share of every batch; what is decided by one (when to stop, what a validation says) is told to
all, so that no two processes ever disagree about the next step. Without ``torchrun`` there is one process and no cost.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@contextmanager
def joined(device: str) -> Iterator[torch.device]:
    """Join the group of processes that ``torchrun`` started, if it did, and leave it at the end.

    Args:
        device: ``cpu``, ``cuda`` or ``cuda:N``; under ``torchrun`` process ``i`` of a host takes the i-th GPU.

    Yields:
        The device of this process.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield torch.device(device)
        return
    on_gpu = torch.device(device).type == "cuda"
    place = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if on_gpu else torch.device("cpu")
    if on_gpu:
        torch.cuda.set_device(place)
    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield place
    finally:
        dist.destroy_process_group()


def world() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Number of this process, from 0; before and after the group's time, what ``torchrun`` calls it."""
    return dist.get_rank() if dist.is_initialized() else int(os.environ.get("RANK", "0"))


def first() -> bool:
    """Whether this process writes the files and shows the progress."""
    return rank() == 0


def shared(module: nn.Module) -> nn.Module:
    """The module with its gradients averaged over all processes; all begin with the weights of the first."""
    if world() == 1:
        return module
    return DistributedDataParallel(module, broadcast_buffers=False)


def from_first(value: Any) -> Any:
    """The first process's value, in every process."""
    if world() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def mean(value: Tensor) -> Tensor:
    """Mean of a number over the processes."""
    if world() == 1:
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total / world()
