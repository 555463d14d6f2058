"""What is measured on a sweep: named features with units, a value and a mask, the same for every kind of recording."""

from noble_prob.features.measure import Features, measure
from noble_prob.features.registry import FEATURES, Feature
from noble_prob.features.spikes import Spikes, find_spikes

__all__ = ["FEATURES", "Feature", "Features", "Spikes", "find_spikes", "measure"]
