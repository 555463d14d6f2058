"""A second opinion: the same cable, channels and current in NEURON.

The built-in morphology carries Hodgkin and Huxley's channels everywhere (both simulators ship them, so nothing is
compiled); a 300 ms step makes it fire. Claim: at the same step and compartments counts agree, spike times differ by
less than 0.05 ms; ten times finer, by less than 0.01 ms. (NEURON's tables of rates must be off: with them it stands
0.02 ms per spike from its own exact rates.)

Needs NEURON (`pip install neuron`).

    python analyses/simulation_neuron.py [--dt-ms 0.025] [--cv-um 10]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import arbor
import numpy as np
import torch
from arbor import units

from noble_prob.features import find_spikes
from noble_prob.population.builtin import builtin_cell
from noble_prob.population.cell import SITE, Patched, morphology

CELSIUS, V_REST, RA, CM = 6.3, -65.0, 150.0, 1.0
PREROLL_MS, ONSET_MS, LENGTH_MS, TOTAL_MS = 200.0, 20.0, 300.0, 350.0


def with_arbor(swc: str, current_na: float, dt_ms: float, cv_um: float) -> np.ndarray:
    """Somatic voltage (mV) every time step, from 20 ms before the step."""
    decor = arbor.decor()
    decor.set_property(
        Vm=V_REST * units.mV,
        tempK=(CELSIUS + 273.15) * units.Kelvin,
        rL=RA * units.Ohm * units.cm,
        cm=CM * 0.01 * units.F / units.m2,
    )
    decor.set_ion("na", rev_pot=50 * units.mV)
    decor.set_ion("k", rev_pot=-77 * units.mV)
    decor.paint("(all)", arbor.density("hh"))
    decor.place(SITE, arbor.i_clamp((PREROLL_MS + ONSET_MS) * units.ms, LENGTH_MS * units.ms, current_na * units.nA))
    shape = morphology(swc)
    cell = arbor.cable_cell(shape.morphology, decor, shape.labels, arbor.cv_policy_max_extent(cv_um * units.um))
    simulation = arbor.simulation(Patched(cell), arbor.context(threads=1, gpu_id=None))
    handle = simulation.sample(0, "v", arbor.regular_schedule(PREROLL_MS * units.ms, dt_ms * units.ms))
    simulation.run((PREROLL_MS + TOTAL_MS) * units.ms, dt_ms * units.ms)
    voltage: np.ndarray = simulation.samples(handle)[0][0][:, 1]
    return voltage


def with_neuron(swc: str, current_na: float, dt_ms: float, cv_um: float) -> np.ndarray:
    """The same in NEURON (fixed step, implicit Euler)."""
    from neuron import h

    h.load_file("stdrun.hoc")
    h.load_file("import3d.hoc")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cell.swc"
        file.write_text(swc)
        reader = h.Import3d_SWC_read()
        reader.quiet = 1
        reader.input(str(file))
        h.Import3d_GUI(reader, 0).instantiate(None)
    for section in h.allsec():
        section.nseg = int(np.ceil(section.L / cv_um)) | 1
        section.Ra, section.cm = RA, CM
        section.insert("hh")
    soma = next(s for s in h.allsec() if "soma" in s.name())
    clamp = h.IClamp(soma(0.5))
    clamp.delay, clamp.dur, clamp.amp = PREROLL_MS + ONSET_MS, LENGTH_MS, current_na
    voltage = h.Vector().record(soma(0.5)._ref_v)
    h.usetable_hh = 0  # rates exactly, not from a table of 1 mV
    h.celsius, h.dt, h.steps_per_ms = CELSIUS, dt_ms, 1 / dt_ms
    h.finitialize(V_REST)
    h.continuerun(PREROLL_MS + TOTAL_MS)
    return np.array(voltage)[round(PREROLL_MS / dt_ms) :]


def spikes(voltage: np.ndarray, dt_ms: float) -> np.ndarray:
    """Spike times (ms after onset)."""
    time_ms = torch.arange(len(voltage), dtype=torch.float64) * dt_ms
    found = find_spikes(torch.from_numpy(voltage), time_ms)
    times: np.ndarray = found.peak_ms[: int(found.count)].numpy() - ONSET_MS
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dt-ms", type=float, default=0.025)
    parser.add_argument("--cv-um", type=float, default=10.0)
    parser.add_argument("--amp-na", type=float, default=0.3)
    args = parser.parse_args()
    swc = builtin_cell().swc
    result, seconds = {}, {}
    for name, run in (("Arbor", with_arbor), ("NEURON", with_neuron)):
        begin = time.perf_counter()
        voltage = run(swc, args.amp_na, args.dt_ms, args.cv_um)
        seconds[name], result[name] = time.perf_counter() - begin, spikes(voltage, args.dt_ms)
        print(f"{name}: rest {voltage[0]:.3f} mV, {len(result[name])} spikes, {seconds[name]:.2f} s")
    a, b = result["Arbor"], result["NEURON"]
    n = min(len(a), len(b))
    off = np.abs(a[:n] - b[:n])
    spread = f"first {off[0]:.3f} ms, median {np.median(off):.3f}, largest {off.max():.3f}"
    print(f"count difference {len(a) - len(b)}; spike times: {spread}")


if __name__ == "__main__":
    main()
