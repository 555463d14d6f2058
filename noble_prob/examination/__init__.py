"""All that can be said about a recording, about many, and about a table of cells: rooms above, put in a row."""

from noble_prob.examination.cells import PopulationComparison, examine_population
from noble_prob.examination.many import Session, examine_files
from noble_prob.examination.one import Examination, examine, examine_posterior, some_draws
from noble_prob.examination.repeats import judge_repeats
from noble_prob.examination.tables import examine_tables

__all__ = [
    "Examination",
    "PopulationComparison",
    "Session",
    "examine",
    "examine_files",
    "examine_population",
    "examine_posterior",
    "examine_tables",
    "judge_repeats",
    "some_draws",
]
