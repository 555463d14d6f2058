"""A fast-spiking interneuron made of numbers, so that everything here runs without an outside file.

Four straight primary dendrites leave a soma of 18 um and fork once. Sodium (NaV) and fast potassium (Kv3.1) channels
give narrow spikes at high rates, persistent potassium (K_Pst) and the M current restrain them, Ih makes a little sag.
The values are chosen by hand for that behaviour; they describe no recorded neuron. :func:`builtin_hof` holds variants
with 15 % spread that pass :data:`BUILTIN_TARGETS`, judged by the same code as any other population.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np

from noble_prob.population.accept import Criterion
from noble_prob.population.hof import CellModel, HallOfFame, import_hof
from noble_prob.population.perturb import is_log
from noble_prob.population.targets import target

PARAMETERS = {
    "Ra": 150.0,
    "dend.cm": 1.2,
    "dend.e_pas": -74.0,
    "dend.g_pas": 3e-4,
    "dend.gbar_Ih": 2e-4,
    "dend.gbar_Im_v2": 1e-4,
    "dend.gbar_Kv3_1": 0.02,
    "dend.gbar_NaV": 1e-3,
    "soma.cm": 1.2,
    "soma.decay_CaDynamics": 100.0,
    "soma.e_pas": -74.0,
    "soma.g_pas": 3e-4,
    "soma.gamma_CaDynamics": 3e-3,
    "soma.gbar_Ca_HVA": 1e-4,
    "soma.gbar_Ca_LVA": 1e-3,
    "soma.gbar_Ih": 2e-4,
    "soma.gbar_K_Pst": 0.2,
    "soma.gbar_K_Tst": 0.05,
    "soma.gbar_Kv3_1": 0.6,
    "soma.gbar_NaV": 0.08,
    "soma.gbar_SK": 1e-4,
}
"""The reference cell; units as in :class:`~noble_prob.population.hof.CellModel`."""

SPREAD = 0.15
"""SD of the logarithms of positive parameters among candidates; e_pas varies by 1 mV."""

_TABLE = (
    ("resting_voltage_mv", -110.0, -74.0, 1.0),
    ("voltage_deflection_mv", -110.0, -9.5, 1.5),
    ("spike_count", 50.0, 9.0, 4.0),
    ("spike_count", 180.0, 30.0, 4.0),
    ("ap1_width_ms", 180.0, 0.38, 0.03),
    ("mean_ap_amplitude_mv", 180.0, 86.0, 5.0),
)
BUILTIN_TARGETS: tuple[Criterion, ...] = tuple(
    target(feature, current, mean=mean, sd=sd, k_sd=2.0, source="chosen for the built-in cell")
    for feature, current, mean, sd in _TABLE
)
"""What a built-in cell must do (mean, SD; within 2 SD)."""

ACCEPTED = (0, 2, 3, 4, 5, 6, 8, 9, 10, 11, 14, 16)
"""The first twelve candidates that pass the targets; a test simulates and judges them again."""


def builtin_cell(
    *, label: str = "builtin", soma_um: float = 18.0, stems: int = 4, stem_um: float = 60.0, branch_um: float = 120.0
) -> CellModel:
    """The reference cell.

    Args:
        label: Name of the model.
        soma_um: Diameter of the soma (micrometre).
        stems: Number of primary dendrites.
        stem_um: Length of each before it forks (micrometre).
        branch_um: Length of each of the two branches (micrometre).
    """
    swc = _tree(soma_um / 2, stems, stem_um, branch_um)
    return CellModel(label=label, swc=swc, parameters=PARAMETERS, ek_mv=-90.0)


def candidate(number: int, *, seed: int = 0) -> CellModel:
    """The reference cell with random parameters; number 0 is the reference itself.

    Args:
        number: Number of the candidate.
        seed: Seed of the family.
    """
    reference = builtin_cell(label=f"b{number}")
    if number == 0:
        return reference
    rng = np.random.default_rng([seed, number])
    names = sorted(PARAMETERS)
    noise = dict(zip(names, rng.standard_normal(len(names)).tolist(), strict=True))
    noise |= {f"dend.{p}": noise[f"soma.{p}"] for p in ("cm", "e_pas", "g_pas")}
    values = {n: v * math.exp(SPREAD * noise[n]) if is_log(n) else v + noise[n] for n, v in PARAMETERS.items()}
    return CellModel(label=f"b{number}", swc=reference.swc, parameters=values, ek_mv=reference.ek_mv)


def builtin_hof() -> HallOfFame:
    """Twelve accepted variants of the built-in cell."""
    models = tuple(candidate(number) for number in ACCEPTED)
    digest = hashlib.sha256("".join(f"{m.swc}{sorted(m.parameters.items())}" for m in models).encode()).hexdigest()
    return HallOfFame(name="builtin", models=models, keys=tuple(range(len(models))), digest=digest)


def open_hof(name: str) -> HallOfFame:
    """The built-in population for ``"builtin"``, else the folder of that name."""
    return builtin_hof() if name == "builtin" else import_hof(name)


def _tree(soma_radius: float, stems: int, stem: float, branch: float) -> str:
    """SWC text: one-point soma, straight stems in a plane, two branches each, tapering from 0.6 to 0.3 um."""
    rows: list[tuple[float, ...]] = [(1, 1, 0.0, 0.0, 0.0, soma_radius, -1)]

    def line(parent: int, start: np.ndarray, angle: float, length: float, radii: tuple[float, float]) -> np.ndarray:
        direction = np.array([math.cos(angle), math.sin(angle), 0.0])
        for share in np.linspace(0, 1, 5)[0 if parent == 1 else 1 :]:
            x, y, z = start + share * length * direction
            rows.append((len(rows) + 1, 3, x, y, z, radii[0] + share * (radii[1] - radii[0]), parent))
            parent = len(rows)
        return start + length * direction

    for angle in 2 * np.pi * np.arange(stems) / stems:
        surface = soma_radius * np.array([math.cos(angle), math.sin(angle), 0.0])
        fork = line(1, surface, float(angle), stem, (0.6, 0.4))
        at = len(rows)
        for side in (-np.pi / 8, np.pi / 8):
            line(at, fork, float(angle + side), branch, (0.4, 0.3))
    return "".join(f"{i:g} {tag:g} {x:.4f} {y:.4f} {z:.4f} {r:.4f} {up:g}\n" for i, tag, x, y, z, r, up in rows)
