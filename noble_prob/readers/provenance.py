"""Where a recording came from: enough to find the file again, and to know which software turned it into numbers.

Names only, no paths: a result may be shared without telling where its maker keeps files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal text."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def name_and_hash(name: str, files: Sequence[Path]) -> dict[str, Any]:
    """Name and hash of what was read; of several files, one hash over their names and hashes, and the list.

    Args:
        name: Name of the file, or of the folder that holds the files.
        files: The files, in the order of their sweeps; nothing is said of none.
    """
    if not files:
        return {}
    hashes = [(path.name, sha256_of(path)) for path in files]
    if len(hashes) == 1:
        return {"file": hashes[0][0], "sha256": hashes[0][1]}
    joint = hashlib.sha256("".join(f"{file}:{digest}\n" for file, digest in sorted(hashes)).encode()).hexdigest()
    return {"file": name, "sha256": joint, "files": [{"file": file, "sha256": digest} for file, digest in hashes]}


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Installed versions of packages and of this one."""
    return {name: _version(name) for name in ("noble_prob", "numpy", "scipy", *packages)}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
