"""How far a decoder is from the truth: errors of voltage, of spike times and of features, trace by trace."""

from noble_prob.metrics.decoder import METRICS, MetricAccumulator, decoder_metrics

__all__ = ["METRICS", "MetricAccumulator", "decoder_metrics"]
