"""A recorded neuron and a simulated one are the same type, so everything that measures one judges the other.

A :class:`Protocol` is what was injected, a :class:`Recording` is what came back. Time is in milliseconds (a file is
read from its first sample on), current in picoampere (positive depolarises), voltage in millivolt. Every sweep of a
recording shares one regular time grid; an ensemble is a recording whose leading axes are named (``draw``, ``neuron`` or
``trial``: see :mod:`noble_prob.latent` for why the name matters).
"""

from noble_prob.recording.protocol import Protocol, Step
from noble_prob.recording.recording import Axis, Recording

__all__ = ["Axis", "Protocol", "Recording", "Step"]
