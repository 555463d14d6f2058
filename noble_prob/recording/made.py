"""Which version of this package made a result."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def made_by() -> str:
    """``noble_prob 0.1.0``: the name of the package and its installed version."""
    try:
        return f"noble_prob {version('noble_prob')}"
    except PackageNotFoundError:
        return "noble_prob, not installed"
