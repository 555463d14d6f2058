"""What a calibration says: in words, with its numbers, and how far its intervals can be trusted."""

import re

import numpy as np
import pytest

from noble_prob.calibration import FeatureTable, calibrate_repeats
from noble_prob.calibration.wording import p_text
from noble_prob.findings.registry import judge
from noble_prob.findings.words import begun, two_digits, with_unit
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


def pair(names, n=10, m=200, **scale):
    """Repeats and an ensemble of independent normal columns, the ensemble's as wide as asked."""
    rng = np.random.default_rng(1)
    units = tuple("ms" if name.endswith("_ms") else "" for name in names)
    wide = np.array([scale.get(f"x{k}", 1.0) for k in range(len(names))])
    return (
        FeatureTable(names=names, units=units, value=rng.normal(size=(rows, len(names))) * by, axis="trial")
        for rows, by in ((n, 1.0), (m, wide))
    )


@pytest.mark.parametrize("name", ["rise, and fall", "AP peak: first"])
def test_a_headline_names_the_feature_and_what_is_wrong_whatever_its_name_holds(name):
    found = calibrate_repeats(*pair((name, "b"), x0=6.0), permutations=399)
    assert re.match(rf"{name} has [\d.]+ times the observed SD \([\d.]+ .. [\d.]+\)\.$", found[name].sentence, re.I)
    assert re.search(rf": {name} has [\d.]+ times the observed SD \([\d.]+ .. [\d.]+\)\.$", found.sentence)


def test_sentences_speak_in_words_and_json_in_names():
    found = calibrate_repeats(*pair(("first_spike_latency_ms", "isi_cv"), x0=6.0), permutations=399)
    said = judge(found)
    assert not re.search("_(ms|cv)", " ".join([found.sentence, *(f.sentence + f.remedy for f in said)]))
    (spread,) = (f for f in said if f.code == "NP202")
    assert spread.sentence.startswith("First spike latency: the ensemble's SD is ")
    assert spread.evidence["feature"] == "first_spike_latency_ms"
    (panel, _) = calibration_part(found).features
    assert panel.verdict == found["first_spike_latency_ms"].sentence


def test_weak_and_undefined_features_are_listed_in_words():
    a, b = pair(("isi_cv", "first_spike_latency_ms"), n=4)
    a.value[1:, 0] = b.value[:, 0] = np.nan
    said = [f.sentence for f in judge(calibrate_repeats(a, b, permutations=399)) if f.code == "NP205"]
    assert "1 feature could not be judged: interval CV is never defined in the ensemble." in said
    assert any(sentence.endswith("): first spike latency.") for sentence in said)


@pytest.mark.parametrize(
    ("p", "text"), [(0.0004, "p < 0.001"), (0.0314, "p = 0.031"), (0.9985, "p = 1"), (0.25, "p = 0.25")]
)
def test_p_values_have_two_digits(p, text):
    assert p_text(p) == text


def test_numbers_have_a_minus_sign_and_first_words_keep_their_capitals():
    assert with_unit(-41.678, "mV", 4) == "−41.68 mV"
    assert with_unit(1e-7, "") == "1e-07"
    assert [two_digits(x) for x in (1.0, 0.0966, 0.0999, 123.4, float("nan"))] == ["1.0", "0.097", "0.10", "120", "nan"]
    assert (begun("dV/dt"), begun("sag at -110 pA")) == ("dV/dt", "Sag at -110 pA")


def test_a_single_row_is_no_rows():
    found = calibrate_repeats(*pair(("x",), n=1))
    assert found.sentence == "No spread could be compared: 1 row against 200."
    assert repr(found).startswith("Calibration('trial', not judged: 1 row against 200, 0 features")
