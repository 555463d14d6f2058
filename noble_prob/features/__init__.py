"""What is measured on a sweep: named features with units, a value and a mask, the same for every kind of recording."""

from noble_prob.features.fi import FICurve, fi_curve
from noble_prob.features.measure import Features, measure
from noble_prob.features.registry import FEATURES, Feature
from noble_prob.features.spikes import Spikes, find_spikes

__all__ = ["FEATURES", "FICurve", "Feature", "Features", "Spikes", "fi_curve", "find_spikes", "measure"]
