"""Whether a device is there, said before anything is sent to it."""

from __future__ import annotations

import torch

from noble_prob.errors import UsageError, require


def require_device(device: str | torch.device) -> None:
    """Refuse a device that torch does not know or that is not there.

    Args:
        device: Its name: ``cpu``, ``cuda`` or ``cuda:1``.

    Raises:
        UsageError: If so.
    """
    remedy = "choose cpu, or cuda on a machine with an NVIDIA GPU"
    try:
        kind = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise UsageError("device", "cpu, cuda or cuda:N", repr(device), remedy) from error
    require(kind.type in ("cpu", "cuda"), "device", "cpu, cuda or cuda:N", repr(device), remedy)
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    require(
        kind.type == "cpu" or (kind.index or 0) < there,
        "device",
        "a device of this machine",
        f"{device!r} with {there} CUDA devices",
        remedy,
    )
