"""What a report says about intervals of ratios of SDs, and what it calls features."""

import numpy as np
import pytest

from noble_prob.calibration import FeatureTable, calibrate_repeats
from noble_prob.findings.registry import judge
from noble_prob.report.parts import calibration_part


@pytest.mark.parametrize(("m", "doubtful"), [(20, True), (239, True), (240, False)])
def test_small_ensembles_have_a_caveat_beside_their_intervals(m, doubtful):
    rng = np.random.default_rng(0)
    twelve, ensemble = (
        FeatureTable(names=("sag_mv",), units=("mV",), value=rng.lognormal(size=(n, 1)), axis="trial") for n in (12, m)
    )
    (table,) = calibration_part(calibrate_repeats(twelve, ensemble, permutations=399)).tables
    assert ("the interval holds 70 to 85 %" in table.caption) == doubtful
    assert "with its 89 % interval" in table.caption


def test_findings_call_features_as_people_do():
    rng = np.random.default_rng(0)
    names = {"ap1_width_ms": (4.0, 0.0), "mean_isi_ms": (1.0, 9.0), "sag_mv": (1.0, np.nan)}
    observed = rng.normal(size=(15, 3)) + np.array([0, 0, np.nan])
    predicted = rng.normal(size=(300, 3)) * [s for s, _ in names.values()] + [m for _, m in names.values()]
    tables = [
        FeatureTable(names=tuple(names), units=("ms", "ms", "mV"), value=value, axis="trial")
        for value in (observed, predicted)
    ]
    found = judge(calibrate_repeats(*tables, permutations=399))
    for code, words in {"NP202": "First spike width: ", "NP203": "Mean interval: ", "NP205": "judged: sag: "}.items():
        said = " ".join(f"{f.sentence} {f.remedy}" for f in found if f.code == code)
        assert words in said
        assert not any(name in said for name in names)
