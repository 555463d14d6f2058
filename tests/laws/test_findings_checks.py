"""Every code fires where it should, is silent where it should be, and says what it could not judge."""

import re
from dataclasses import replace

import numpy as np
import pytest

from noble_prob.calibration import FeatureTable, calibrate_population, calibrate_repeats, separate_drift
from noble_prob.calibration.predictive import check_predictive
from noble_prob.calibration.recalibrate import tilt
from noble_prob.calibration.replay import TRAIN
from noble_prob.errors import UsageError
from noble_prob.features import FEATURES
from noble_prob.findings.registry import judge, load
from noble_prob.findings.standouts import standouts

NAMES, UNITS = ("spike_count", "latency", "width"), ("", "ms", "ms")


def table(value, axis="trial"):
    return FeatureTable(names=NAMES, units=UNITS, value=value, axis=axis)


def rows(n, seed, scale=(1.0, 1.0, 1.0), shift=(0.0, 0.0, 0.0)):
    x = np.random.default_rng(seed).standard_normal((n, 3)) * scale + shift
    return table(x)


def findings(observed, ensemble, code):
    return [f for f in judge(calibrate_repeats(observed, ensemble, permutations=499)) if f.code == code]


def test_every_check_has_a_page_worth_of_words_and_a_unique_code():
    checks = load()
    numbers = (201, 202, 203, 204, 205, 206, 210, 220, 221, 230)
    assert {f"NP{number}" for number in numbers} <= set(checks)
    for code, item in checks.items():
        assert item.doc.startswith(f"{code}:"), f"{code} should begin its module with its question"
        if code >= "NP2":
            said = any(word in item.doc for word in ("emitted", "ot judged", "judged*"))
            assert said, f"{code} should say when it does not fire"


def test_judge_mutes_by_code_and_refuses_what_it_does_not_know():
    c = calibrate_repeats(rows(12, 0), rows(300, 1, (3, 3, 3)), permutations=299)
    assert "NP201" not in {f.code for f in judge(c, mute=["NP201"])}
    with pytest.raises(UsageError, match="mute"):
        judge(c, mute=["NP999"])
    with pytest.raises(UsageError, match="Calibration"):
        judge("a string")


def test_np201_says_issue_passed_or_not_judged():
    (wrong,) = findings(rows(12, 0), rows(300, 1, (3, 3, 3)), "NP201")
    (right,) = findings(rows(12, 0), rows(300, 1), "NP201")
    (weak,) = findings(rows(2, 5), rows(300, 1), "NP201")
    assert [f.severity for f in (wrong, right, weak)] == ["issue", "passed", "not judged"]
    assert "caught with probability" in right.sentence
    assert 0 <= right.evidence["power_wide"] <= 1
    assert weak.remedy == "Record more repeats."


def test_np202_names_the_feature_whose_spread_is_wrong():
    found = [f for f in findings(rows(15, 0), rows(300, 1, (1, 4, 1)), "NP202") if f.severity == "issue"]
    assert [f.evidence["feature"] for f in found] == ["latency"]
    assert found[0].evidence["sd_ratio"] == pytest.approx(4, rel=0.7)
    assert "ms" in found[0].sentence
    assert not [f for f in findings(rows(15, 0), rows(300, 1), "NP202") if f.severity == "issue"]


def test_np203_names_the_feature_whose_mean_is_wrong():
    found = findings(rows(15, 0), rows(300, 1, shift=(0, 0, 3)), "NP203")
    assert [f.evidence["feature"] for f in found] == ["width"]
    assert not findings(rows(15, 0), rows(300, 1), "NP203")


def test_np204_names_the_feature_that_is_missing():
    observed = rows(15, 0)
    observed.value[:9, 1] = np.nan
    (found,) = findings(observed, rows(300, 1), "NP204")
    assert (found.evidence["feature"], found.evidence["observed_share"]) == ("latency", 0.4)
    assert not findings(rows(15, 0), rows(300, 1), "NP204")


def test_np205_lists_what_could_not_be_judged():
    observed, ensemble = rows(15, 0), rows(300, 1)
    observed.value[:, 1] = ensemble.value[:, 1] = np.nan
    found, *_ = findings(observed, ensemble, "NP205")
    assert found.severity == "not judged"
    assert found.evidence["features"] == ["latency"]
    assert not findings(rows(60, 0), rows(300, 1), "NP205")
    (weak,) = findings(rows(4, 0), rows(300, 1), "NP205")
    assert weak.severity == "not judged"
    assert "alone" in weak.sentence


def test_np206_sees_the_coverage_curve_leave_its_band():
    (found,) = findings(rows(15, 0), rows(300, 1, (4, 4, 4)), "NP206")
    assert "too wide" in found.sentence
    (found,) = findings(rows(15, 0), rows(300, 1, (0.2, 0.2, 0.2)), "NP206")
    assert "too narrow" in found.sentence
    assert not findings(rows(15, 0), rows(300, 1), "NP206")


def test_population_findings_have_their_own_remedy():
    a, b = table(rows(15, 0).value, "neuron"), table(rows(300, 1, (3, 3, 3)).value, "neuron")
    (found,) = [f for f in judge(calibrate_population(a, b, permutations=299)) if f.code == "NP201"]
    assert "prior" in found.remedy


def test_np210_tells_drift_or_that_it_can_not():
    ramp = np.linspace(-4, 4, 15)[:, None] * [0, 1, 0]
    found = judge(separate_drift(table(rows(15, 0).value + ramp), permutations=499))
    assert [f.evidence["feature"] for f in found] == ["latency"]
    assert judge(separate_drift(rows(15, 0), permutations=499)) == []
    (short,) = judge(separate_drift(rows(4, 0), permutations=299))
    assert short.severity == "not judged"


def predictive(observed_shift=0.0, noise=1.0, missing=False):
    rng = np.random.default_rng(4)
    observed = noise * rng.standard_normal((4, 3)) + observed_shift
    draws = rng.standard_normal((200, 4, 3))
    if missing:
        draws[:, :, 1] = np.nan
    sweeps = ("-110 pA", "+50 pA", "+100 pA", "+180 pA")
    return judge(check_predictive(observed, draws, names=NAMES, units=UNITS, sweeps=sweeps))


def test_np220_and_221_judge_one_recording():
    assert [f.severity for f in predictive() if f.code == "NP220"] == ["passed"]
    assert not [f for f in predictive() if f.code != "NP220"]
    far = predictive(observed_shift=np.array([0.0, 5.0, 0.0]))
    assert [f.severity for f in far if f.code == "NP220"] == ["issue"]
    assert [f.evidence["feature"] for f in far if f.code == "NP221"] == ["latency"]
    assert "pA" in next(f.sentence for f in far if f.code == "NP221")
    absent = predictive(missing=True)
    assert [f.severity for f in absent if f.code == "NP220"] == ["issue"]
    assert next(f for f in absent if f.code == "NP221").evidence["share_defined"] == 0


def test_np220_says_what_failed_and_where():
    """Coverage of a misfit may be that of a good fit: what is beyond its limit is told first."""
    rng = np.random.default_rng(4)
    observed, draws = rng.standard_normal((4, 3)), rng.standard_normal((200, 4, 3))
    observed[2, 1] = 30.0
    found = check_predictive(observed, draws, names=NAMES, units=UNITS, sweeps=("a", "b", "c", "d"))
    (said,) = (f for f in judge(found) if f.code == "NP220")
    assert re.search(r"give: few draws lie as far out \(p = 0\.\d+\), most latency at c: 30 ms, where", said.sentence)
    assert "sweep" in said.remedy
    (missing,) = (f for f in predictive(missing=True) if f.code == "NP220")
    assert "give: 33 % of its values hardly exist in the draws." in missing.sentence
    one = check_predictive(observed[:1, :1], draws[:, :1, :1], names=NAMES[:1], units=UNITS[:1], sweeps=("a",))
    assert judge(one)[0].sentence.endswith("of 1 value over 1 sweep.")


def test_judge_takes_one_result_and_says_so_of_several():
    found = check_predictive(np.zeros((1, 1)), np.ones((20, 1, 1)), names=("a",), units=("",), sweeps=("1",))
    with pytest.raises(UsageError, match=r"found a list; .*\[judge\(one\) for one in results\]"):
        judge([found, found])


def test_misfits_are_told_in_words_and_units():
    """NP221 and NP107 name a feature of the catalogue as people do, with the unit of every number."""
    draws = np.random.default_rng(0).normal(5.6, 0.8, (400, 3, 1))
    found = check_predictive(
        np.full((3, 1), 38.8),
        draws,
        names=("first_spike_latency_ms",),
        units=("ms",),
        sweeps=("+50 pA", "+100 pA", "+200 pA"),
    )
    (said,) = (f for f in judge(found) if f.code == "NP221")
    assert re.match(
        r"First spike latency is not predicted; at \+\d+ pA: 38.8 ms, where 89 % of the predicted are "
        r"4\.\d+ to 6\.\d+ ms; ",
        said.sentence,
    )
    assert said.remedy == "Mistrust latents that rest on the first spike latency."
    (placed,) = standouts(found, "of the population's")
    assert re.fullmatch(
        r"first spike latency at \+\d+ pA: 38.8 ms, where 89 % of the population's are "
        r"4\.\d+ to 6\.\d+ ms",
        placed,
    )
    assert set(TRAIN) <= set(FEATURES)


def tilted(shift, spread=1.0):
    """Five hundred standard normal neurons, moved to cells whose means and SDs are others."""
    cells = rows(200, 1, (spread, spread, spread), (shift, shift, shift))
    return tilt(replace(rows(500, 0), axis="neuron"), replace(cells, axis="neuron"))


def test_np230_says_whether_weights_reach_the_population():
    near, few, far = tilted(0.2), tilted(1.2, 0.6), tilted(9.0)
    assert [f.severity for result in (near, few, far) for f in judge(result)] == ["passed", "caution", "issue"]
    for result in (near, few):
        np.testing.assert_allclose(result.after_mean, result.target_mean, atol=0.05)
        np.testing.assert_allclose(result.after_sd, result.target_sd, atol=0.05)
    (found,) = judge(far)
    assert found.evidence["worst"] in found.sentence
    assert not found.evidence["reached"]


def test_a_feature_that_is_the_same_in_all_cells_is_no_target():
    cells = replace(rows(200, 1), axis="neuron")
    cells.value[:, 0] = 5.0
    with pytest.raises(UsageError, match=f"{cells.names[0]}, which does not"):
        tilt(replace(rows(500, 0), axis="neuron"), cells)


@pytest.mark.parametrize(
    ("n", "ess", "severity"),
    [(500, 49.0, "caution"), (500, 51.0, "passed"), (50, 19.0, "caution"), (50, 21.0, "passed")],
)
def test_np230_asks_for_a_tenth_of_the_ensemble_and_twenty_neurons(n, ess, severity):
    (found,) = judge(replace(tilted(0.2), n=n, ess=ess))
    assert (found.code, found.severity) == ("NP230", severity)
