"""NP240: could every file be used?

*Issue* for each file that was refused, with the reader's sentence; the other files are reported as if it had not been
there. Not emitted when all were used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from noble_prob.examination.many import Session
from noble_prob.findings.base import Finding
from noble_prob.findings.registry import check


@check("NP240", "File left out", Session)
def refused(result: Session, say: Callable[..., Finding]) -> Iterator[Finding]:
    """One finding per file."""
    for name, why in result.refused.items():
        yield say("issue", f"{name} was left out: {why}", "Repair or remove the file.", file=name)
