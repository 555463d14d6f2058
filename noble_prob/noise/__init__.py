"""Trial model, phase diffusion, and the densities of what is observed."""

from noble_prob.noise.design import Design, Evidence, defined
from noble_prob.noise.scales import NoisePrior, Scale
from noble_prob.noise.summaries import Summaries, mask_undefined
from noble_prob.noise.timing import TimingByInterval, TimingScatter
from noble_prob.noise.traces import TraceNoise
from noble_prob.noise.trains import SpikeTrains
from noble_prob.noise.trial import TrialModel, diffuse

__all__ = [
    "Design",
    "Evidence",
    "NoisePrior",
    "Scale",
    "SpikeTrains",
    "Summaries",
    "TimingByInterval",
    "TimingScatter",
    "TraceNoise",
    "TrialModel",
    "defined",
    "diffuse",
    "mask_undefined",
]
