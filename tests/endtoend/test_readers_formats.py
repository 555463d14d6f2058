"""Each format gives the numbers that were put into it, in mV and pA, whatever its own units, order and names."""

import json

import numpy as np
import pytest
import torch
from foreign_files import step_family, write_abf, write_ibw, write_long_nwb, write_nwb, write_table

from noble_prob.cli.options import Parser, add_reading, reading
from noble_prob.errors import UsageError
from noble_prob.readers import from_arrays, read, read_all

AMPLITUDES = [-50.0, 50.0, 100.0]


def assert_is_the_family(recording, *, dt_ms=0.1):
    _, current, voltage = step_family(dt_ms=dt_ms)
    assert recording.dt_ms == pytest.approx(dt_ms)
    assert recording.voltage_mv.numpy() == pytest.approx(voltage, abs=1e-3)
    assert recording.current_pa.numpy() == pytest.approx(current, abs=1e-3)
    assert recording.protocol.amplitudes_pa.tolist() == pytest.approx(AMPLITUDES, abs=1e-3)
    for step in recording.steps:
        assert (step.onset_ms, step.duration_ms) == pytest.approx((100.0, 200.0))


@pytest.mark.parametrize("first", ["voltage", "current"])
@pytest.mark.parametrize("unit", ["pA", "nA"])
def test_abf_channels_are_found_by_unit(tmp_path, first, unit):
    _, current, voltage = step_family()
    channels = {"IN 0": ("mV", voltage), "IN 1": (unit, current * {"pA": 1, "nA": 1e-3}[unit])}
    path = write_abf(tmp_path / "a.abf", dict(sorted(channels.items(), reverse=first == "current")))
    recording = read(path)
    assert_is_the_family(recording)
    assert recording.provenance["current"] == "recorded"


def test_abf_channel_is_chosen_by_number_or_name(tmp_path):
    _, current, voltage = step_family()
    path = write_abf(
        tmp_path / "a.abf", {"cell A": ("mV", voltage), "cell B": ("mV", voltage - 5), "I": ("pA", current)}
    )
    assert_is_the_family(read(path))
    assert "cell B" in " ".join(read(path).provenance["remarks"])
    for channel in (1, "1", "cell B"):
        assert torch.allclose(read(path, channel=channel).voltage_mv, read(path).voltage_mv - 5, atol=1e-3)
    with pytest.raises(UsageError, match="cell B"):
        read(path, channel=7)


@pytest.mark.parametrize("voltage_first", [True, False])
def test_ibw_pairs_are_found_by_name_and_told_apart_by_unit(tmp_path, voltage_first):
    _, current, voltage = step_family()
    for i in range(3):
        waves = [(voltage[i] * 1e-3, "V"), (current[i] * 1e-12, "A")]
        for k, (values, unit) in enumerate(waves if voltage_first else waves[::-1]):
            write_ibw(tmp_path / f"X_Step_ch{k}_{9 + i}.ibw", values, unit)
    assert_is_the_family(read(tmp_path))
    assert_is_the_family(read(sorted(tmp_path.glob("*.ibw"))))
    one = read(tmp_path / "X_Step_ch1_10.ibw")
    assert one.n_sweeps == 1
    assert one.protocol.amplitudes_pa.tolist() == pytest.approx([50.0], abs=1e-3)
    assert [s["label"] for s in read(tmp_path).provenance["sweeps"]] == ["X_Step_9", "X_Step_10", "X_Step_11"]


def test_ibw_folder_of_two_families_gives_the_larger_and_says_so(tmp_path):
    _, current, voltage = step_family()
    for name, count in (("Short", 1), ("Long", 2)):
        for i in range(count):
            write_ibw(tmp_path / f"{name}_ch0_{i}.ibw", voltage[i], "mV")
            write_ibw(tmp_path / f"{name}_ch1_{i}.ibw", current[i], "pA")
    write_ibw(tmp_path / "Long_ch0_8.ibw", voltage[0], "mV")
    recording = read(tmp_path)
    assert recording.n_sweeps == 2
    assert "2 kinds" in " ".join(recording.provenance["remarks"])
    assert "Long_8" in " ".join(recording.provenance["remarks"])
    assert [r.n_sweeps for r in read_all(tmp_path)] == [2, 1]


@pytest.mark.parametrize(("unit_scale", "offset_v"), [(1e-3, 0.0), (1.0, 0.0), (3.0517578125e-5, -0.02)])
def test_nwb_conversion_and_offset_are_applied(tmp_path, unit_scale, offset_v):
    _, current, voltage = step_family()
    assert_is_the_family(
        read(write_nwb(tmp_path / "a.nwb", voltage, current, unit_scale=unit_scale, offset_v=offset_v))
    )


def test_nwb_groups_sweeps_by_protocol_and_electrode(tmp_path):
    _, current, voltage = step_family()
    kinds = ["Long", "Noise", "Long"]
    path = write_nwb(tmp_path / "a.nwb", voltage, current, descriptions=kinds)
    assert [r.n_sweeps for r in read_all(path)] == [2, 1]
    path = write_nwb(tmp_path / "b.nwb", voltage, current, electrodes=2)
    assert read(path).protocol.amplitudes_pa.tolist() == pytest.approx([-50.0, 100.0])
    assert read(path, channel="electrode 1").protocol.amplitudes_pa.tolist() == pytest.approx([50.0])


@pytest.mark.parametrize("channel", ["0", "1"])
def test_nwb_electrodes_that_are_called_by_numbers(tmp_path, channel):
    """Electrode '1' is number 0; a name goes before a number, whoever asks."""
    _, current, voltage = step_family()
    path = write_nwb(tmp_path / "a.nwb", voltage, current, electrodes=2, names=("1", "0"))
    wanted = [50.0] if channel == "0" else [-50.0, 100.0]
    assert read(path, channel=channel).protocol.amplitudes_pa.tolist() == pytest.approx(wanted)
    parser = Parser()
    add_reading(parser)
    options = reading(parser.parse_args(["--channel", channel]))
    assert read(path, **options).protocol.amplitudes_pa.tolist() == pytest.approx(wanted)


def test_a_channel_of_a_raised_digit_is_refused(tmp_path):
    _, current, voltage = step_family()
    with pytest.raises(UsageError, match="channel"):
        read(write_nwb(tmp_path / "a.nwb", voltage, current), channel="²")


def test_nwb_sweeps_that_lie_in_one_series_are_told_apart(tmp_path):
    _, current, voltage = step_family()
    recording = read(write_long_nwb(tmp_path / "a.nwb", voltage, current))
    assert_is_the_family(recording)
    assert len({sweep["label"] for sweep in recording.provenance["sweeps"]}) == len(AMPLITUDES)


def test_nwb_bias_current_is_the_holding_current(tmp_path):
    _, current, voltage = step_family()
    recording = read(write_nwb(tmp_path / "a.nwb", voltage, current, bias_pa=-30.0))
    assert recording.steps[0].holding_pa == pytest.approx(-30.0)
    assert recording.protocol.amplitudes_pa.tolist() == pytest.approx(AMPLITUDES)
    assert "bias" in " ".join(recording.provenance["remarks"])


def test_nwb_with_irregular_timestamps_is_refused(tmp_path):
    time, current, voltage = step_family()
    late = time / 1000 + 0.01 * (time > 250)
    path = write_nwb(tmp_path / "a.nwb", voltage, current, timestamps=late)
    with pytest.raises(UsageError, match="regularly"):
        read(path)


def test_nwb_with_a_stimulus_of_less_than_half_of_the_response_is_refused(tmp_path):
    """A stimulus that breaks off is cut to what both have; one of another sweep would cut away most of this one."""
    time, current, voltage = step_family()
    share = {part: current[:, : round(part * len(time))] for part in (0.45, 0.55)}
    with pytest.raises(UsageError, match="store the stimulus of the whole sweep"):
        read(write_nwb(tmp_path / "a.nwb", voltage, share[0.45]))
    with pytest.raises(UsageError, match="as long as the response"):
        read(write_nwb(tmp_path / "b.nwb", voltage[:, : share[0.45].shape[1]], current))
    whole = read(write_nwb(tmp_path / "c.nwb", voltage, share[0.55]))
    assert len(whole.time_ms) == share[0.55].shape[1]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_of_any_separator_and_column_order(tmp_path, separator):
    time, current, voltage = step_family()
    lines = ["# made by a test", separator.join(['"Voltage_mV"', "time_ms", "sweep", "current_pa", "note"])]
    for i in (0, 1, 2):
        lines += [
            separator.join([f"{v:.7g}", f"{t:.7g}", str(i + 4), f"{c:.7g}", "0"])
            for t, c, v in zip(time, current[i], voltage[i], strict=True)
        ]
    path = tmp_path / "a.csv"
    path.write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
    assert_is_the_family(read(path))


@pytest.mark.parametrize(
    "header", ["sweep,time (ms),current (pA),voltage (mV)", "Sweep,Time [ms],Current [pA],Voltage [mV]"]
)
def test_csv_units_may_stand_in_brackets(tmp_path, header):
    assert_is_the_family(read(write_table(tmp_path / "a.csv", *step_family(), header=header)))
    twice = write_table(tmp_path / "b.csv", *step_family(), header="time_ms,time (ms),current (pA),voltage (mV)")
    with pytest.raises(UsageError, match=r"'time_ms'. twice"):
        read(twice)


def test_sweeps_of_different_lengths_are_grouped(tmp_path):
    time, current, voltage = step_family()
    path = write_table(tmp_path / "a.csv", time, current, voltage)
    path.write_text("\n".join(path.read_text().splitlines()[:-1000]))
    long, short = read_all(path)
    assert (long.n_sweeps, short.n_sweeps) == (2, 1)
    assert short.time_ms[-1] == pytest.approx(399.9)
    assert "2 kinds" in long.provenance["remarks"][1]  # after the one on the file's end


@pytest.mark.parametrize(
    ("samples", "flat", "why"), [(800, False, "shorter than 100 ms"), (3000, True, "never changes")]
)
def test_one_useless_sweep_does_not_cost_the_others(tmp_path, samples, flat, why):
    """It was aborted, or the electrode had come off; a file of nothing else is refused."""
    time, current, voltage = step_family()
    rows = [np.column_stack([np.full(len(time), k), time, current[k], voltage[k]]) for k in range(3)]
    rows.append(rows[-1][:samples].copy())
    rows[-1][:, 0] = 3
    if flat:
        rows[-1][:, 3] = 0.0
    keep = {"delimiter": ",", "header": "sweep,time_ms,current_pa,voltage_mv", "comments": "", "fmt": "%.8g"}
    np.savetxt(tmp_path / "a.csv", np.vstack(rows), **keep)
    recording = read(tmp_path / "a.csv")
    assert_is_the_family(recording)
    assert why in recording.provenance["remarks"][1]  # after the one on the file's end
    assert read(tmp_path / "a.csv", sweeps=[0, 1]).n_sweeps == 2
    np.savetxt(tmp_path / "b.csv", rows[-1], **keep)
    with pytest.raises(UsageError, match=r"100 ms|a voltage that varies"):
        read(tmp_path / "b.csv")


def test_arrays_without_a_sweep_are_refused():
    with pytest.raises(UsageError, match="at least one sweep"):
        from_arrays(np.arange(0, 700, 0.1), np.zeros((0, 7000)), np.zeros((0, 7000)))


def test_junction_potential_only_when_asked_for(tmp_path):
    path = write_table(tmp_path / "a.csv", *step_family())
    plain, corrected = read(path), read(path, liquid_junction_potential_mv=14.0)
    assert torch.allclose(corrected.voltage_mv, plain.voltage_mv - 14.0)
    assert (plain.provenance["liquid_junction_potential_mv"], corrected.provenance["liquid_junction_potential_mv"]) == (
        None,
        14.0,
    )
    with pytest.raises(UsageError, match="liquid_junction_potential_mv"):
        read(path, liquid_junction_potential_mv=float("nan"))


def test_provenance_tells_file_hash_rate_and_software(tmp_path):
    import hashlib

    path = write_table(tmp_path / "a.csv", *step_family())
    provenance = read(path).provenance
    assert provenance["file"] == "a.csv"
    assert provenance["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert provenance["sampling_rate_hz"] == pytest.approx(10000.0)
    assert {"noble_prob", "numpy"} <= set(provenance["software"])
    assert str(tmp_path) not in json.dumps(provenance)


def test_a_file_of_zero_current_can_be_read_on_purpose(tmp_path):
    time, current, voltage = step_family()
    path = write_table(tmp_path / "a.csv", time, 0 * current, voltage)
    recording = read(path, require_current=False)
    assert recording.steps == (None, None, None)
    assert "waveforms" in recording.provenance["remarks"][0]


def test_ramps_and_noise_are_kept_as_waveforms(tmp_path):
    time, current, voltage = step_family()
    noise = np.cumsum(np.random.default_rng(3).normal(size=current.shape), axis=1)
    ramp = np.clip(time - 100, 0, 250) * np.array([[0.5], [1.0], [2.0]])
    for waveform in (noise, ramp, 60 * np.sin(time / 30) * np.ones((3, 1))):
        recording = read(write_table(tmp_path / "a.csv", time, waveform, voltage))
        assert recording.steps == (None, None, None)
        assert recording.current_pa.numpy() == pytest.approx(waveform, abs=1e-3)


def test_no_writer_or_reader_leaves_something_behind(tmp_path):
    from noble_prob.readers import write_csv, write_npz

    recording = read(write_table(tmp_path / "a.csv", *step_family()))
    write_npz(recording, tmp_path / "b.npz")
    write_csv(recording, tmp_path / "c.csv")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "b.npz", "c.csv"]
    for bad in (tmp_path / "b.txt", tmp_path / "no" / "b.npz"):
        with pytest.raises(UsageError):
            write_npz(recording, bad)


def test_a_failing_write_keeps_the_old_file(tmp_path, monkeypatch):
    from noble_prob.readers import write_npz

    recording = read(write_table(tmp_path / "a.csv", *step_family()))
    write_npz(recording, tmp_path / "b.npz")
    before = (tmp_path / "b.npz").read_bytes()

    def full(stream, **_):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="space"):
        write_npz(recording, tmp_path / "b.npz")
    assert (tmp_path / "b.npz").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "b.npz"]
