"""The simulator against the published models: reference traces at the same numerics, and the features of their authors.

Skipped where the folder of published models is absent. All sixty models: ``analyses/simulation_published_features.py``.
"""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from noble_prob.features import find_spikes
from noble_prob.population.hof import import_hof
from noble_prob.population.simulate import simulate
from noble_prob.population.trace import Numerics
from noble_prob.recording import Protocol

SAME_NUMERICS = Numerics(dt_ms=0.02, preroll_ms=1000.0, preroll_dt_ms=0.02)


@pytest.fixture(scope="module")
def pvalb(shared_dir):
    return import_hof(shared_dir / "hof" / "pvalb-689331391")


@pytest.mark.parametrize("key", [5])
def test_reference_traces_are_met_to_a_twentieth_of_a_millisecond(shared_dir, pvalb, key):
    with np.load(shared_dir / "reference" / "pvalb-689331391" / f"s{key // 20 + 1}_h{key % 20}.npz") as data:
        columns = [0, 19]
        amps_pa, truth = 1000 * data["amps"][columns], data["V"][columns] * float(data["scale"])
    protocol = Protocol.step_family(amps_pa.tolist(), onset_ms=15, total_ms=530, dt_ms=0.02)
    recording = simulate(pvalb.select([key]).models[0], protocol, numerics=SAME_NUMERICS, progress=False)
    mine = find_spikes(recording.voltage_mv, recording.time_ms)
    theirs = find_spikes(recording.voltage_mv.new_tensor(truth), recording.time_ms)
    assert mine.count.tolist() == theirs.count.tolist()
    assert mine.count[1] > 20
    fired = ~theirs.peak_ms.isnan()
    assert (mine.peak_ms - theirs.peak_ms)[fired].abs().max() <= 0.05
    assert (recording.voltage_mv[0] - theirs.peak_mv.new_tensor(truth[0])).abs().max() < 0.01


def test_published_features_are_reproduced(shared_dir, monkeypatch, capsys):
    program = Path(__file__).resolve().parents[2] / "analyses" / "simulation_published_features.py"
    monkeypatch.setattr(sys, "argv", [str(program), "--hof", str(shared_dir / "hof"), "--models", "0,27"])
    code = runpy.run_path(str(program), run_name="analysis")["main"]()
    text = capsys.readouterr().out
    assert text.count(" ok\n") == 9, text
    assert code == 0
