"""Many recordings in one call: found in folders, inferred in batches, written when ready, resumed after a crash."""

from noble_prob.runs.infer_many import Settings, infer_many
from noble_prob.runs.sources import Source, find_recordings, is_many, passed_over
from noble_prob.runs.summary import Summary

__all__ = ["Settings", "Source", "Summary", "find_recordings", "infer_many", "is_many", "passed_over"]
