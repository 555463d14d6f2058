"""A posterior on disk: ``posterior.nc``, whole or not at all."""

from __future__ import annotations

from pathlib import Path

from noble_prob.errors import require
from noble_prob.inference.export import to_datatree
from noble_prob.inference.posterior import Posterior
from noble_prob.inference.restore import FILE
from noble_prob.jobs.whole import write_atomically


def as_netcdf(posterior: Posterior) -> bytes:
    """The content of ``posterior.nc``, made in memory: HDF5 that can not write to its file may crash.

    Args:
        posterior: The posterior.
    """
    return bytes(to_datatree(posterior).to_netcdf())


def write_posterior(posterior: Posterior, path: str | Path) -> Path:
    """Write a posterior that :func:`read_posterior` and ``arviz.from_netcdf`` read; also over one that is open.

    Args:
        posterior: The posterior.
        path: The file, replaced if it exists; or a folder, which then holds ``posterior.nc``.

    Returns:
        The file.

    Raises:
        UsageError: If the folder is not there.
    """
    file = Path(path) / FILE if Path(path).is_dir() else Path(path)
    require(
        file.parent.is_dir(),
        "path",
        "in an existing folder",
        f"folder {file.parent.name!r}, which is not there",
        "make the folder first",
    )
    write_atomically(file, as_netcdf(posterior))
    return file
