"""How fast the decoder answers on this machine, beside what it is compared with: rows of numbers, nothing printed.

Every row is the median of repeated calls, latents and currents in, millivolts out, after a first call that is not
counted. The error of a row is the relative L2 distance of its voltages from the same weights in float64. Rows of one
report were taken in one run, so that their ratios mean something on a machine that does other work too.
"""

from noble_prob.bench.decoders import bench_decoder, bench_paper
from noble_prob.bench.everything import benchmark
from noble_prob.bench.gradients import bench_gradients, bench_training
from noble_prob.bench.limits import limits
from noble_prob.bench.throughput import bench_ensemble, bench_simulator
from noble_prob.bench.timing import describe_machine, median_seconds, neurons_and_currents

__all__ = [
    "bench_decoder",
    "bench_ensemble",
    "bench_gradients",
    "bench_paper",
    "bench_simulator",
    "bench_training",
    "benchmark",
    "describe_machine",
    "limits",
    "median_seconds",
    "neurons_and_currents",
]
