"""A biophysical neuron as Arbor sees it: cables, painted channels, current clamps, one voltage probe at the soma.

The cable equation with Hodgkin-Huxley-like channels, implicit in the voltage. Channels come from Arbor's own
catalogues (``allen``: NaV, Kv3_1, Im_v2, Ih, SK, Ca_HVA, Ca_LVA, CaDynamics; ``bbp``: K_Pst, K_Tst), so no compiler is
needed. Sodium and potassium reverse at fixed potentials, calcium by the Nernst equation from 1e-4 mM inside (then
the pool's own) and 2 mM outside.

Reference: Abi Akar et al. (2019) Arbor, PDP 2019, 274-282.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from noble_prob.errors import UsageError
from noble_prob.population.hof import SECTIONS, CellModel

try:
    import arbor
    from arbor import units
except ModuleNotFoundError as _error:  # pragma: no cover - depends on the installation
    raise UsageError("arbor", "installed", "no such module", "run: pip install 'noble_prob[simulate]'") from _error

SITE = "(location 0 0.5)"
"""The electrode: middle of branch 0, the soma. A label without an item on it would crash the probe."""

BBP_CHANNELS = {"K_Pst": "gK_Pstbar", "K_Tst": "gK_Tstbar"}


@lru_cache(maxsize=1)
def catalogue() -> Any:
    """Arbor's default and Allen mechanisms, and Blue Brain's under the prefix ``bbp::``."""
    result = arbor.catalogue()
    result.extend(arbor.default_catalogue())
    result.extend(arbor.allen_catalogue())
    result.extend(arbor.bbp_catalogue(), "bbp::")
    return result


@lru_cache(maxsize=8)
def morphology(swc: str) -> Any:
    """Morphology and region labels of an SWC text; read once per process."""
    return arbor.load_swc_neuron(io.StringIO(swc))


def channel(name: str, gbar: float) -> Any:
    """One channel density; ``gbar`` in S/cm2."""
    if name in BBP_CHANNELS:
        return arbor.density(f"bbp::{name}", {BBP_CHANNELS[name]: gbar})
    return arbor.density(name, {"gbar": gbar})


def build_cell(model: CellModel, clamps: Sequence[Any], *, cv_um: float) -> Any:
    """The Arbor cable cell of a model.

    Args:
        model: Parameters and morphology.
        clamps: Current clamps (``arbor.i_clamp``) at the soma.
        cv_um: Largest length of a compartment (micrometre).
    """
    decor = arbor.decor()
    decor.set_property(
        Vm=model.v_init_mv * units.mV,
        tempK=(model.celsius + 273.15) * units.Kelvin,
        rL=model.parameters["Ra"] * units.Ohm * units.cm,
    )
    decor.set_ion("na", rev_pot=model.ena_mv * units.mV)
    decor.set_ion("k", rev_pot=model.ek_mv * units.mV)
    decor.set_ion("ca", int_con=1e-4 * units.mM, ext_con=2.0 * units.mM, method="nernst/ca")
    for section in SECTIONS:
        _paint_section(decor, section, _of_section(model, section))
    for clamp in clamps:
        decor.place(SITE, clamp)
    shape = morphology(model.swc)
    return arbor.cable_cell(shape.morphology, decor, shape.labels, arbor.cv_policy_max_extent(cv_um * units.um))


def _of_section(model: CellModel, section: str) -> dict[str, float]:
    """Parameters of one section without its name."""
    prefix = section + "."
    return {k.removeprefix(prefix): v for k, v in model.parameters.items() if k.startswith(prefix)}


def _paint_section(decor: Any, section: str, values: dict[str, float]) -> None:
    """Paint capacitance, leak, channels and the calcium pool of a section."""
    region = f'"{section}"'
    decor.paint(region, cm=values["cm"] * 0.01 * units.F / units.m2)
    decor.paint(region, arbor.density(f"pas/e={values['e_pas']}", {"g": values["g_pas"]}))
    for name, value in values.items():
        if name.startswith("gbar_"):
            decor.paint(region, channel(name.removeprefix("gbar_"), value))
    if "gamma_CaDynamics" in values:
        pool = {"gamma": values["gamma_CaDynamics"], "decay": values["decay_CaDynamics"]}
        decor.paint(region, arbor.density("CaDynamics", pool))


class Patched(arbor.recipe):
    """One cell with an electrode in its soma."""

    def __init__(self, cell: Any):
        arbor.recipe.__init__(self)
        self.cell = cell
        self.properties = arbor.neuron_cable_properties()
        self.properties.catalogue = catalogue()

    def num_cells(self) -> int:
        """One cell."""
        return 1

    def cell_kind(self, gid: int) -> Any:  # noqa: ARG002 - signature of the simulator
        """A cable cell."""
        return arbor.cell_kind.cable

    def cell_description(self, gid: int) -> Any:  # noqa: ARG002
        """The cell."""
        return self.cell

    def global_properties(self, kind: Any) -> Any:  # noqa: ARG002
        """Ion defaults and the catalogue of channels."""
        return self.properties

    def probes(self, gid: int) -> list[Any]:  # noqa: ARG002
        """Somatic voltage."""
        return [arbor.cable_probe_membrane_voltage(SITE, "v")]
