"""A neuron is accepted if it meets every target; what is undefined meets none; reasons name what failed."""

import pytest
import torch

from noble_prob.errors import UsageError
from noble_prob.population.accept import FIRES, Criterion, judge_models
from noble_prob.population.targets import read_targets, target, targets_of
from noble_prob.recording import Protocol, Recording


def recording(rests, spikes):
    """Flat neurons with square spikes of 1 ms at 180 pA."""
    protocol = Protocol.step_family([-110.0, 50.0, 180.0], dt_ms=0.1)
    voltage = torch.tensor(rests)[:, None, None].repeat(1, 3, len(protocol.time_ms))
    for neuron, n in enumerate(spikes):
        for k in range(n):
            at = 200 + 300 * k
            voltage[neuron, 2, at : at + 10] = 20 - torch.arange(-5, 5).abs()
    return Recording(protocol=protocol, voltage_mv=voltage, axes=("neuron",))


def test_five_spikes_are_enough_and_four_are_not():
    verdicts = judge_models(recording([-70.0, -70.0], [5, 4]), FIRES)
    assert [v.status for v in verdicts] == ["accepted", "rejected: spike_count at 180 pA"]


def test_all_missed_targets_are_named_and_undefined_ones_too():
    table = (
        target("resting_voltage_mv", -110.0, mean=-70.0, sd=1.0, k_sd=2.0, source="test"),
        Criterion(feature="ap1_peak_mv", current_pa=180.0, low=-100.0, high=100.0),
    )
    good, warm, silent = judge_models(recording([-71.9, -67.9, -70.0], [6, 6, 0]), table)
    assert good.reasons == ()
    assert warm.reasons == ("resting_voltage_mv at -110 pA",)
    assert silent.reasons == ("ap1_peak_mv at 180 pA",)


def test_targets_of_a_population_accept_its_middle():
    base = recording([-72.0, -71.0, -70.0, -69.0, -68.0], [6, 7, 8, 9, 10])
    table = {c.feature: c for c in targets_of(base, k_sd=1.0, source="these five") if c.current_pa != 50.0}
    assert table["resting_voltage_mv"].mean == pytest.approx(-70.0, abs=1e-3)
    assert table["resting_voltage_mv"].sd == pytest.approx(2.5**0.5, abs=1e-3)
    accepted = [not v.reasons for v in judge_models(base, [table["resting_voltage_mv"], table["spike_count"]])]
    assert accepted == [False, True, True, True, False]


def test_a_count_is_not_judged_finer_than_one_spike():
    assert target("spike_count", 180.0, mean=27.0, sd=0.3, k_sd=2.0, source="test").low == 25.0
    assert target("sag_mv", -110.0, mean=2.0, sd=0.3, k_sd=2.0, source="test").low == pytest.approx(1.4)


def test_tables_are_read_from_a_file_and_bad_ones_are_refused(tmp_path):
    table = (target("sag_mv", -110.0, mean=2.0, sd=0.3, k_sd=2.0, source="these, here"),)
    row = 'feature,current_pa,mean,sd,source\nsag_mv,-110,2,0.3,"these, here"\n'
    (tmp_path / "targets.csv").write_text(row)
    assert read_targets(tmp_path / "targets.csv", k_sd=2.0) == table
    (tmp_path / "bad.csv").write_text("feature,current_pa,mean,sd,source\nsga_mv,-110,2,0.3,x\n")
    with pytest.raises(UsageError, match="sga_mv"):
        read_targets(tmp_path / "bad.csv", k_sd=2.0)
    for row in ("sag_mv,-110,2,0,x", "sag_mv,-110,2,nan,x", "sag_mv,-110,nan,1,x", ""):
        (tmp_path / "bad.csv").write_text(f"feature,current_pa,mean,sd,source\n{row}\n")
        with pytest.raises(UsageError, match="targets"):
            read_targets(tmp_path / "bad.csv", k_sd=2.0)
    (tmp_path / "bad.csv").write_text("feature,mean\nsag_mv,2\n")
    with pytest.raises(UsageError, match="current_pa"):
        read_targets(tmp_path / "bad.csv", k_sd=2.0)


def test_a_recording_without_the_protocol_is_refused():
    with pytest.raises(UsageError, match="sweep at 20 pA"):
        judge_models(recording([-70.0], [5]), (Criterion(feature="spike_count", current_pa=20.0),))
