"""All that can be said about a recording, about many, and about a table of cells: rooms above, put in a row."""

from noble_prob.examination.cells import examine_population
from noble_prob.examination.many import Session, examine_files
from noble_prob.examination.one import Examination, examine, examine_posterior, some_draws
from noble_prob.examination.repeats import judge_repeats

__all__ = [
    "Examination", "Session", "examine", "examine_files", "examine_population", "examine_posterior", "judge_repeats",
    "some_draws",
]  # fmt: skip
