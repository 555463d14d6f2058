"""Small files of foreign formats, written byte by byte, so that the readers' tests need no recording of anybody's."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from pathlib import Path

import numpy as np


def step_family(amplitudes=(-50.0, 50.0, 100.0), *, dt_ms=0.1, total_ms=500.0, onset_ms=100.0, duration_ms=200.0):
    """Time (ms), current (pA), and a voltage (mV) that follows it as a membrane with a time constant of 10 ms."""
    time = np.arange(round(total_ms / dt_ms)) * dt_ms
    on = (time >= onset_ms - 1e-9) & (time < onset_ms + duration_ms - 1e-9)
    current = np.array(amplitudes)[:, None] * on
    charge = np.where(time < onset_ms, 0.0, 1 - np.exp(-(time - onset_ms) / 10.0))
    after = np.where(time < onset_ms + duration_ms, 0.0, 1 - np.exp(-(time - onset_ms - duration_ms) / 10.0))
    voltage = -70.0 + 0.2 * np.array(amplitudes)[:, None] * (charge - after)
    return time, current, voltage


def write_table(path: Path, time, current, voltage, *, header="sweep,time_ms,current_pa,voltage_mv") -> Path:
    """A CSV file of all sweeps."""
    rows = [
        np.column_stack([np.full(len(time), i), time, c, v])
        for i, (c, v) in enumerate(zip(current, voltage, strict=True))
    ]
    np.savetxt(path, np.vstack(rows), delimiter=",", header=header, comments="", fmt="%.8g")
    return path


def write_ibw(path: Path, values, unit: str, *, dt_s=1e-4, x_unit: str = "s") -> Path:
    """An Igor binary wave of version 2 (Technical Note 003 of WaveMetrics): headers, float32 samples, padding."""
    data = np.asarray(values, "<f4").tobytes()
    wave = struct.pack(
        "<hI20shhI4s4si", 2, 0, path.stem[:18].encode(), 0, 0, 0, unit.encode(), x_unit.encode(), len(values)
    )
    wave += struct.pack("<hddhhhddBBIiI2sII", 0, dt_s, 0.0, 0, 0, 0, 0.0, 0.0, 0, 0, 0, 0, 0, b"", 0, 0)
    assert len(wave) == 110
    header = struct.pack("<hiiih", 2, len(wave) + len(data) + 16, 0, 0, 0)
    path.write_bytes(header + wave + data + bytes(16))
    return path


def write_abf(
    path: Path, channels: dict[str, tuple[str, np.ndarray]], *, rate_hz=10000.0, keep_bytes: int | None = None
) -> Path:
    """An ABF 1.8 file in episodic mode: name -> (unit, samples of shape (sweep, time)), stored as float32."""
    names, n = list(channels), len(channels)
    sweeps, samples = next(iter(channels.values()))[1].shape
    head = bytearray(6144)

    def put(offset, fmt, *values):
        struct.pack_into("<" + fmt, head, offset, *values)

    put(0, "4sfhi", b"ABF ", 1.83, 5, sweeps * samples * n)
    put(16, "iii", sweeps, 20200101, 0)
    put(40, "i", 12)
    put(92, "ii", 12 + -(-sweeps * samples * n * 4 // 512), sweeps)
    put(100, "h", 1)
    put(120, "hf", n, 1e6 / rate_hz / n)
    put(138, "i", samples * n)
    put(244, "f", 10.0)
    put(252, "i", 32768)
    put(378, "16h", *range(n), *[-1] * (16 - n))
    put(410, "16h", *range(n), *[-1] * (16 - n))
    for offset, width, texts in ((442, 10, names), (602, 8, [channels[k][0] for k in names])):
        for k, text in enumerate(texts):
            put(offset + width * k, f"{width}s", text.ljust(width).encode())
    for offset in (730, 922, 1050):
        put(offset, "16f", *[1.0] * 16)
    body = np.stack([channels[k][1] for k in names], axis=-1).astype("<f4").tobytes()
    body += bytes(-len(body) % 512)
    synch = b"".join(struct.pack("<ii", i * samples * n, samples * n) for i in range(sweeps))
    path.write_bytes((bytes(head) + body + synch)[:keep_bytes])
    return path


def write_nwb(
    path: Path,
    voltage_mv,
    current_pa,
    *,
    rate_hz=10000.0,
    clamp="current",
    stimulus=True,
    unit_scale=1e-3,
    offset_v=0.0,
    descriptions=None,
    electrodes=1,
    names=("electrode 0", "electrode 1"),
    bias_pa=None,
    timestamps=None,
    stimulus_late_ms=0.0,
) -> Path:
    """An NWB 2 file of one series per sweep; int-like data with conversion and offset, named as MIES names them."""
    import pynwb
    from pynwb import icephys

    nwb = pynwb.NWBFile("a test", path.stem, datetime(2020, 1, 1, tzinfo=UTC))
    device = nwb.create_device(name="amplifier")
    pipettes = [
        nwb.create_icephys_electrode(name=names[k], description="pipette", device=device) for k in range(electrodes)
    ]
    for i, (v, c) in enumerate(zip(voltage_mv, current_pa, strict=True)):
        timing = {"timestamps": timestamps} if timestamps is not None else {"rate": rate_hz, "starting_time": 2.0 * i}
        common = {"electrode": pipettes[i % electrodes], "gain": 1.0, "sweep_number": np.uint32(i), **timing}
        if descriptions:
            common["stimulus_description"] = descriptions[i]
        if clamp == "current":
            data = (np.asarray(v) * 1e-3 - offset_v) / unit_scale
            bias = None if bias_pa is None else bias_pa * 1e-12
            nwb.add_acquisition(
                icephys.CurrentClampSeries(
                    name=f"data_{i:05d}_AD0",
                    data=data,
                    conversion=unit_scale,
                    offset=offset_v,
                    bias_current=bias,
                    **common,
                )
            )
        else:
            nwb.add_acquisition(
                icephys.VoltageClampSeries(name=f"data_{i:05d}_AD0", data=np.asarray(c) * 1e-12, **common)
            )
        if stimulus:
            kind = icephys.CurrentClampStimulusSeries if clamp == "current" else icephys.VoltageClampStimulusSeries
            if stimulus_late_ms:
                common["starting_time"] += stimulus_late_ms / 1000
            nwb.add_stimulus(kind(name=f"data_{i:05d}_DA0", data=np.asarray(c), conversion=1e-12, **common))
    with pynwb.NWBHDF5IO(str(path), "w") as io:
        io.write(nwb)
    return path


def write_long_nwb(path: Path, voltage_mv, current_pa, *, rate_hz=10000.0) -> Path:
    """An NWB 2 file of one response and one stimulus series, whose sweeps are rows of the intracellular table."""
    import pynwb
    from pynwb import icephys

    nwb = pynwb.NWBFile("a test", path.stem, datetime(2020, 1, 1, tzinfo=UTC))
    pipette = nwb.create_icephys_electrode(name="e", description="pipette", device=nwb.create_device(name="amplifier"))
    common = {"electrode": pipette, "gain": 1.0, "rate": rate_hz, "starting_time": 0.0}
    response = icephys.CurrentClampSeries(name="response", data=np.ravel(voltage_mv) * 1e-3, **common)
    stimulus = icephys.CurrentClampStimulusSeries(name="stimulus", data=np.ravel(current_pa) * 1e-12, **common)
    nwb.add_acquisition(response)
    nwb.add_stimulus(stimulus)
    n = len(voltage_mv[0])
    for k in range(len(voltage_mv)):
        part = {"stimulus_start_index": k * n, "stimulus_index_count": n, "response_start_index": k * n}
        nwb.add_intracellular_recording(
            electrode=pipette, stimulus=stimulus, response=response, response_index_count=n, **part
        )
    with pynwb.NWBHDF5IO(str(path), "w") as io:
        io.write(nwb)
    return path
