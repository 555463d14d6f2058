"""The same work on a cluster of two nodes, one of which dies while it runs: complete, and equal to one process's."""

import time

import numpy as np
import pytest

from noble_prob.jobs.fanout import fan_out
from noble_prob.population.builtin import builtin_hof
from noble_prob.population.trace import Numerics, Trace, run_trace
from noble_prob.recording import Protocol

ray = pytest.importorskip("ray", reason="the cluster extra is not installed")
from ray.cluster_utils import Cluster  # noqa: E402


@pytest.fixture
def cluster(only_cluster):
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    doomed = nodes.add_node(num_cpus=1)
    ray.init(address=nodes.address, log_to_driver=False)
    yield nodes, doomed
    ray.shutdown()
    nodes.shutdown()


@pytest.mark.slow
def test_a_lost_node_loses_no_result(cluster):
    nodes, doomed = cluster

    def slow_trace(trace):  # long enough for its node to die under it
        time.sleep(0.5)
        return ray.get_runtime_context().get_node_id(), run_trace(trace)

    protocol = Protocol.step_family([180.0], onset_ms=2, duration_ms=20, total_ms=30, dt_ms=0.1)
    traces = [Trace(model=m, protocol=protocol, numerics=Numerics()) for m in builtin_hof().models]
    found = {}
    for outcome in fan_out(slow_trace, traces, engine="ray", address=nodes.address):
        assert outcome.error is None
        found[outcome.index] = outcome
        if outcome.value[0] == doomed.node_id and doomed.any_processes_alive():
            nodes.remove_node(doomed, allow_graceful=False)  # it has begun its next item
    assert not doomed.any_processes_alive()
    assert sorted(found) == list(range(len(traces)))
    where = [o.value[0] for o in found.values()]
    assert 1 <= where.count(doomed.node_id) <= 3
    for index, trace in enumerate(traces):
        np.testing.assert_array_equal(found[index].value[1], run_trace(trace))
