"""What a report says about an interval of the ratio of SDs that holds less than it should."""

import numpy as np
import pytest

from noble_prob.calibration import FeatureTable, calibrate_repeats
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
