"""What no membrane gives is not read as one: lost and railed sweeps, forgotten gains, swapped columns."""

import numpy as np
import pytest
from foreign_files import step_family, write_nwb, write_table

import noble_prob as nb
from noble_prob.errors import UsageError
from noble_prob.readers import read, read_all

AMPLITUDES = (-50.0, 0.0, 50.0, 100.0)


def damaged(change):
    """A family whose third sweep is changed, between samples of the step of 200 ms."""
    time, current, voltage = step_family(AMPLITUDES)
    rng = np.random.default_rng(1)
    voltage = voltage + 0.1 * rng.normal(size=voltage.shape)
    change(voltage[2])
    return time, current, voltage


def constant(v):
    v[:] = 200.0


def railed(v):
    v[1500:] = 409.5


def clipped(v):
    v[1500:2500] = 102.4


def at_zero(v):
    v[:] = np.random.default_rng(0).normal(size=len(v))


def still(v):
    v[:] = -70.0  # although 50 pA are injected


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (constant, "constant at 200 mV"),
        (railed, "beyond 150 mV in size for 350 ms"),
        (clipped, "stands at 102.4 mV for 100 ms"),
        (at_zero, "unlike others"),
        (still, "constant at -70 mV"),
    ],
)
def test_a_sweep_of_no_membrane_is_left_out_and_named(tmp_path, change, why):
    time, current, voltage = damaged(change)
    for recording in (
        nb.from_arrays(time, current, voltage),
        read(write_table(tmp_path / "a.csv", time, current, voltage)),
    ):
        assert recording.protocol.amplitudes_pa.tolist() == pytest.approx([-50.0, 0.0, 100.0])
        (remark,) = recording.provenance["remarks"]
        assert remark.startswith("Left out, since no membrane has such a voltage: sweep '2' (")
        assert why in remark
    repeats = nb.from_arrays(time, current, np.stack([voltage, damaged(lambda v: None)[2]]), axes=["trial"])
    assert repeats.n_sweeps == 3


def an_artefact(v):
    v[1500:1508] = 300.0  # 0.8 ms


def a_depolarised_step(v):
    v[1000:3000] = 5.0 + 0.5 * np.round(np.random.default_rng(0).normal(size=2000))


def a_plateau(v):
    v[1000:3000] = -95.0


def missing(v):
    v[1500:] = np.nan


@pytest.mark.parametrize("change", [an_artefact, a_depolarised_step, a_plateau, missing])
def test_what_a_neuron_may_give_is_kept(change):
    recording = nb.from_arrays(*damaged(change))
    assert recording.n_sweeps == 4
    assert not any("Left out" in remark for remark in recording.provenance["remarks"])


def test_a_quiet_neuron_may_stand_still_where_nothing_is_injected():
    time, current, voltage = step_family(AMPLITUDES)
    assert np.ptp(voltage[1]) == 0
    assert nb.from_arrays(time, current, voltage).n_sweeps == 4


def test_an_offset_of_all_sweeps_is_told():
    time, current, voltage = damaged(lambda v: None)
    recording = nb.from_arrays(time, current, voltage + 55)
    assert recording.n_sweeps == 4
    assert "begin and end above -30 mV (the lowest at -15 mV)" in " ".join(recording.provenance["remarks"])


def test_a_file_of_such_sweeps_only_is_refused():
    time, current, _ = step_family(AMPLITUDES)
    railed_all = np.where(current != 0, 102.4, -70.0) + 0.1 * (time > 400)
    railed_all[1] = 12.0
    with pytest.raises(UsageError, match="a membrane's voltage in some sweep"):
        nb.from_arrays(time, current, railed_all)


def test_an_ensemble_of_drawn_neurons_stays_as_it_is():
    time, current, voltage = damaged(clipped)
    assert nb.from_arrays(time, current, voltage[None], axes=["draw"]).n_sweeps == 4


@pytest.mark.parametrize(("factor", "found"), [(5.0, "a median of -35"), (-1.0, "a median of 70")])
def test_a_forgotten_gain_is_asked_for(factor, found):
    time, current, voltage = damaged(lambda v: None)
    with pytest.raises(UsageError, match=found) as caught:
        nb.from_arrays(time, current, factor * voltage)
    assert "divide the voltage by the amplifier's gain" in str(caught.value)


def test_swapped_columns_are_refused_of_every_format(tmp_path):
    time, current, voltage = damaged(lambda v: None)
    table = write_table(tmp_path / "a.csv", time, voltage, current)
    series = write_nwb(tmp_path / "a.nwb", current, voltage)
    np.savez(tmp_path / "a.npz", time_ms=time, current_pa=voltage, voltage_mv=current)
    for path in (table, series, tmp_path / "a.npz"):
        with pytest.raises(UsageError, match="swap the two"):
            read_all(path)
    with pytest.raises(UsageError, match="swap the two"):
        nb.from_arrays(time, voltage, current)


@pytest.mark.parametrize(("samples", "told"), [(5000, False), (4900, True), (2, True)])
def test_a_table_that_was_cut_off_in_its_last_sweep_is_told(tmp_path, samples, told):
    path = write_table(tmp_path / "a.csv", *step_family())
    rows = path.read_text().splitlines(keepends=True)
    path.write_text("".join(rows[: 1 + 2 * 5000 + samples]))
    recording = read(path)
    assert ("the file has been cut off" in " ".join(recording.provenance["remarks"])) == told
    assert recording.n_sweeps == (2 if told else 3)
