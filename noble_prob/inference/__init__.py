"""From a recording to a posterior: samplers, diagnostics, export."""

from noble_prob.inference.amortise import train_estimator
from noble_prob.inference.export import convergence, to_datatree, to_json
from noble_prob.inference.export_population import population_datatree
from noble_prob.inference.hierarchy import infer_population
from noble_prob.inference.infer import infer, infer_evidence
from noble_prob.inference.observe import Observation, observe
from noble_prob.inference.population import Population
from noble_prob.inference.posterior import Posterior, Predictive
from noble_prob.inference.pyro_export import from_pyro
from noble_prob.inference.restore import read_posterior

__all__ = [
    "Observation",
    "Population",
    "Posterior",
    "Predictive",
    "convergence",
    "from_pyro",
    "infer",
    "infer_evidence",
    "infer_population",
    "observe",
    "population_datatree",
    "read_posterior",
    "to_datatree",
    "to_json",
    "train_estimator",
]
