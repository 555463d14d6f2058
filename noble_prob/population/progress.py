"""How far a data set has come, in numbers and in a sentence."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from noble_prob.errors import listed
from noble_prob.population.store import Store


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What a data set holds and what it lacks.

    Attributes:
        n_models: Models of the complete set.
        statuses: Models that are there, by status.
        missing: Numbers of the chunks that are not there, or not whole.
    """

    n_models: int
    statuses: Counter[str]
    missing: tuple[int, ...]

    @property
    def accepted(self) -> int:
        """Models that were accepted."""
        return self.statuses["accepted"]

    @property
    def why(self) -> str:
        """Why models were not accepted, the most frequent reasons first."""
        reasons = Counter({status: n for status, n in self.statuses.items() if status != "accepted"})
        return listed((f"{n} {status}" for status, n in reasons.most_common()), 3)

    @property
    def sentence(self) -> str:
        """All of it, and what to do."""
        held = self.statuses.total()
        said = f"The set holds {held} of {self.n_models} models, of which {self.accepted} were accepted"
        if held and not self.accepted:
            said += f" ({self.why}): nothing can be trained on it. Ask for other `--targets` or a larger `--k-sd`"
        if self.missing:
            said += f"; missing chunks: {listed(self.missing)} (the same `populate` without `--chunks` makes them)"
        return f"{said}."

    def to_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "models": self.statuses.total(),
            "of": self.n_models,
            "accepted": self.accepted,
            "missing_chunks": list(self.missing),
        }


def progress(store: Store) -> Progress:
    """How far a data set has come, without reading a voltage.

    Args:
        store: The set.
    """
    found = [store.statuses(index) for index in range(store.n_chunks)]
    missing = tuple(i for i, statuses in enumerate(found) if len(statuses) < len(store.members(i)))
    statuses = Counter(status for chunk in found for status in chunk)
    return Progress(n_models=store.manifest["n_models"], statuses=statuses, missing=missing)
