"""Fixtures that every kind of test shares."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from cli_example import toy_file
from hypothesis import settings
from toy_example import decoder, prior

__all__ = ["decoder", "prior", "shared_dir", "toy_file"]
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # one process per core: none needs threads, nor do the programs it starts
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


@pytest.fixture
def only_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Held by tests that start a Ray cluster: two at once on two cores take ten times as long."""
    with (tmp_path_factory.getbasetemp().parent / "cluster.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long ones, so that no process is left alone with them at the end; types take a minute."""
    order = ("test_tools.py", "statistics", "oracles", "endtoend", "docs", "laws")

    def place(item: pytest.Item) -> int:
        name = item.path.name if item.path.name in order else item.path.parent.name
        return order.index(name) if name in order else len(order)

    items.sort(key=place)
