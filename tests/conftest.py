"""Fixtures that every kind of test shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from cli_example import toy_file
from hypothesis import settings

__all__ = ["shared_dir", "toy_file"]
if (
    "PYTEST_XDIST_WORKER" in os.environ
):  # one process per core: none of them needs threads, nor do the programs it starts
    os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder of published models and recordings beside the checkout; tests that need it skip without it."""
    if not SHARED.is_dir():
        pytest.skip(f"no folder of published models and recordings at {SHARED}")
    return SHARED
