"""Published recordings read as their authors describe them: units, protocols, step tables, and the same samples."""

import csv
from itertools import pairwise

import numpy as np
import pytest
import torch

from noble_prob.readers import read
from noble_prob.windows import to_grid


@pytest.fixture(scope="module")
def recordings(shared_dir):
    return shared_dir / "recordings"


@pytest.fixture(scope="module")
def fsi(recordings):
    return recordings / "fsi" / "2019_07_24_0055_fsi.abf"


@pytest.fixture(scope="module")
def bbp(recordings):
    return read(recordings / "bbp_sscx_l5pc" / "raw_C060109A1")


def peaks_ms(voltage, dt, level=-10.0):
    """Peaks above a level, by the parabola through three samples (ms)."""
    v = np.asarray(voltage)
    k = np.flatnonzero((v[1:-1] > level) & (v[1:-1] >= v[:-2]) & (v[1:-1] > v[2:])) + 1
    keep = np.concatenate([[True], np.diff(k) * dt > 1.0]) if len(k) else np.zeros(0, bool)
    k = k[keep]
    a, b, c = v[k - 1], v[k], v[k + 1]
    return (k + 0.5 * (a - c) / (a - 2 * b + c)) * dt


def test_fast_spiking_cell_has_seventeen_steps_from_rest(fsi):
    recording = read(fsi)
    assert recording.protocol.amplitudes_pa.tolist() == [-100.0 + 25 * i for i in range(17)]
    assert {(s.onset_ms, s.duration_ms, s.holding_pa) for s in recording.steps} == {(146.85, 500.0, 0.0)}
    assert recording.dt_ms == 0.05
    rest = recording.voltage_mv[:, :2900].mean()
    assert -75 < rest < -55
    counts = [len(peaks_ms(v[2937:12937], 0.05)) for v in recording.voltage_mv]
    assert counts[:2] == [0, 0]
    assert counts[-1] > 40
    assert all(b >= a - 2 for a, b in pairwise(counts))
    assert "2 pulses" in recording.provenance["remarks"][0]


def test_fast_spiking_cell_second_pulse_departs_from_a_prepulse(fsi):
    second, both = read(fsi, pulse=1), read(fsi, pulse="all")
    assert {(s.duration_ms, s.holding_pa) for s in second.steps} == {(500.0, 0.0)}
    assert {s["from_pa"] for s in second.provenance["sweeps"]} == {-100.0}
    assert any("prepulse" in remark for remark in second.provenance["remarks"])
    assert both.n_sweeps == 34
    assert [s["pulse"] for s in both.provenance["sweeps"]][:4] == [0, 1, 0, 1]
    onset = round(second.steps[0].onset_ms / 0.05)
    before = second.voltage_mv[:, onset - 100 : onset].mean(dim=1)
    assert torch.all(before < -85), "the prepulse hyperpolarises the cell"
    start = round(both.steps[1].onset_ms / 0.05)
    assert torch.equal(both.voltage_mv[1::2, start : start + 10_000], second.voltage_mv[:, onset : onset + 10_000])


def test_brief_pulses_are_read_but_not_put_on_the_grid(recordings):
    from noble_prob.errors import UsageError

    recording = read(recordings / "fsi" / "File_axon_6.abf")
    assert recording.n_sweeps == 32
    assert {(s.onset_ms, s.duration_ms, s.amplitude_pa) for s in recording.steps} == {(215.6, 2.0, 2000.0)}
    assert [len(peaks_ms(v, recording.dt_ms)) for v in recording.voltage_mv] == [1] * 32
    assert "less than 100 ms" in recording.provenance["remarks"][0]
    with pytest.raises(UsageError, match="100 ms"):
        to_grid(recording)


def test_pyramidal_cell_step_table_agrees_with_its_index(recordings, bbp):
    folder = recordings / "bbp_sscx_l5pc"
    with (folder / "idrest_index.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["cell"] == "C060109A1-SR-C1"]
    assert [s["label"] for s in bbp.provenance["sweeps"]] == [f"X_IDrest_{row['sweep']}" for row in rows]
    hold = [s.holding_pa for s in bbp.steps]
    assert hold == pytest.approx([float(r["hold_pA"]) for r in rows], abs=1.0)
    assert bbp.protocol.amplitudes_pa.tolist() == pytest.approx([float(r["step_pA"]) for r in rows], abs=5.0)
    on = np.array([float(r["stim_on_ms"]) for r in rows])
    off = np.array([float(r["stim_off_ms"]) for r in rows])
    usual = (abs(on - 700) < 3) & (abs(off - 2700) < 5)
    assert usual.sum() == 31, "one row of the index has no sensible step: noise on its recorded current"
    assert {s.onset_ms for s in bbp.steps} == {700.5}
    assert {s.offset_ms for s in bbp.steps} == {2700.75}


def test_pyramidal_cell_amplitudes_are_plain_means_of_the_current(bbp):
    current = bbp.current_pa
    inside, before = current[:, 2900:10700].mean(dim=1), current[:, :2750].mean(dim=1)
    assert bbp.protocol.amplitudes_pa.tolist() == pytest.approx((inside - before).tolist(), abs=2.0)


def test_pyramidal_cell_voltage_is_that_of_the_table(recordings, bbp):
    folder = recordings / "bbp_sscx_l5pc"
    with np.load(folder / "idrest.npz") as archive, (folder / "idrest_index.csv").open() as stream:
        mine = [i for i, row in enumerate(csv.DictReader(stream)) if row["cell"] == "C060109A1-SR-C1"]
        table = archive["V"][mine] * float(archive["V_scale_mV"])
    assert np.abs(bbp.voltage_mv.numpy() - table).max() < 0.02


def test_frozen_noise_is_a_waveform_and_equals_the_published_array(recordings):
    recording = read(recordings / "gif_cell3")
    assert recording.steps == (None,)
    assert recording.dt_ms == 0.1
    with np.load(recordings / "gif_cell3" / "cell3_test_9rep.npz") as archive:
        v, i = archive["V_mV"], archive["I_pA"]
    row = int(np.argmin(np.abs(v - recording.voltage_mv.numpy()).mean(axis=1)))
    assert np.abs(recording.voltage_mv[0].numpy() - v[row]).max() < 0.05
    assert np.abs(recording.current_pa[0].numpy() - i[row]).max() < 1.0


def test_nwb_file_reads_into_plausible_mv_and_pa(recordings):
    import h5py

    path = recordings / "bluepyefe" / "99111002.nwb"
    recording = read(path)
    assert recording.protocol.amplitudes_pa.tolist() == pytest.approx([-2000.0 + 200 * i for i in range(16)], abs=0.01)
    assert {(s.onset_ms, s.duration_ms) for s in recording.steps} == {(31.2, 400.0)}
    assert -150 < recording.voltage_mv.min() < recording.voltage_mv.max() < 150
    with h5py.File(path) as file:
        raw = file["acquisition/ic__Step__12/data"]
        assert recording.voltage_mv[11].numpy() == pytest.approx(raw[:] * raw.attrs["conversion"] * 1e3)


def test_second_igor_family_has_other_units_and_channels(recordings):
    recording = read(recordings / "bluepyefe" / "B6")
    assert recording.protocol.amplitudes_pa.tolist() == pytest.approx([118.0, 176.6, 237.2, 296.0, 353.9], abs=0.5)
    assert {(s.onset_ms, s.duration_ms) for s in recording.steps} == {(700.25, 2000.0)}
    assert -80 < recording.voltage_mv[:, :2000].mean() < -60


@pytest.mark.parametrize(("which", "error_ms"), [("fsi", 0.02), ("bbp", 0.06)])
def test_spikes_stay_where_they_were_on_the_grid(request, which, error_ms):
    recording = request.getfixturevalue(which)
    recording = read(recording) if which == "fsi" else recording
    grid = to_grid(recording)
    assert not torch.isnan(grid.voltage_mv).any()
    for i in range(recording.n_sweeps):
        shift = round(recording.steps[i].onset_ms / recording.dt_ms) * recording.dt_ms - 12.0
        before = peaks_ms(recording.voltage_mv[i], recording.dt_ms) - shift
        before = before[(before > 12) & (before < 500)]
        after = peaks_ms(grid.voltage_mv[i], grid.dt_ms)
        after = after[(after > 12) & (after < 500)]
        assert len(before) == len(after)
        if len(before):
            assert np.abs(before - after).max() < error_ms * 2
            assert np.median(np.abs(before - after)) < error_ms
