"""Readers: files of electrophysiology become recordings in mV and pA.

This is the only room that knows files and foreign units. Each format has a module that turns a file into sweeps
(`abf`, `ibw`, `nwb`, `csv_table`, `npz`; `arrays` are in memory); what comes after is shared: `checks` refuses what can
not be a neuron in mV and pA, `levels` and `pulses` find the stimulus, `cut` separates several pulses of one sweep,
`assemble` makes the recording.
"""

from noble_prob.readers.arrays import from_arrays
from noble_prob.readers.read import EXTENSIONS, read, read_all
from noble_prob.readers.write import write_csv, write_npz

__all__ = ["EXTENSIONS", "from_arrays", "read", "read_all", "write_csv", "write_npz"]
