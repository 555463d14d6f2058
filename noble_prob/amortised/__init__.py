"""A network that knows the posterior of any recording about: a normalising flow conditioned on a set of sweeps."""

from noble_prob.amortised.estimator import Conditional, Estimator, fingerprint

__all__ = ["Conditional", "Estimator", "fingerprint"]
