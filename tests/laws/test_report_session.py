"""The page of several files says of each what is wrong, and of provenance what all share; badges and keys of panels."""

from dataclasses import replace

from noble_prob.findings import Finding
from noble_prob.report import FeaturePanel, FiPanel, ReportData, Verdict, render
from noble_prob.report.parts.examination import _of_all, by_level


def page(*codes, level="Posterior of the latents", provenance=(), **evidence):
    """A page whose verdict rests on issues of these codes."""
    found = [
        Finding(code=code, title=f"About {code}", severity="issue", sentence="So it is.", evidence=evidence)
        for code in codes
    ]
    verdict = Verdict(level=level, severity="issue", sentence=f"It is {', '.join(codes)}.")
    return ReportData(title="", verdicts=[verdict], findings=found, provenance=dict(provenance))


def test_a_verdict_over_files_says_what_is_wrong_with_each():
    (verdict,) = by_level({"a.abf": page("NP104", "NP220"), "b.abf": page("NP107", "NP104")})
    assert verdict.sentence == (
        "Of 2 recordings: 2 issue. Issue: a.abf, about NP104 (NP104); b.abf, about NP104 (NP104), about NP107 (NP107)."
    )


def test_a_predictive_verdict_over_files_names_the_features():
    level = "Posterior predictive check"
    pages = {name: page("NP220", "NP221", level=level, feature=f) for name, f in (("a", "isi_cv"), ("b", "sag_mv"))}
    pages["b"] = replace(pages["b"], verdicts=[replace(pages["b"].verdicts[0], sentence="Otherwise.")])
    (verdict,) = by_level(pages)
    assert verdict.sentence.endswith("Issue: a, misfit of interval CV (NP221); b, misfit of sag (NP221).")


def test_provenance_of_several_files_is_what_they_share():
    pages = {"a": page(provenance={"seed": 1, "k_hat": 0.1, "x": 1}), "b": page(provenance={"seed": 1, "k_hat": 0.2})}
    assert _of_all(pages) == {"seed": 1}


def test_a_statement_without_a_test_has_no_badge():
    verdict = Verdict(level="Novel neurons", severity="passed", sentence="60 were drawn.", tested=False)
    report = ReportData(title="x", verdicts=[verdict])
    assert 'class="badge' not in render(report, "html")
    assert "Novel neurons: 60 were drawn." in render(report, "text").splitlines()
    assert 'class="badge passed"' in render(replace(report, verdicts=[replace(verdict, tested=True)]), "html")


def test_keys_and_captions_tell_only_what_is_drawn():
    curve = FiPanel(title="f-I", current_pa=[0.0], median=[1.0], bands={}, n_members=60, members="novel neurons")
    alone = render(ReportData(title="x", fi=[curve]), "html")
    assert "60 novel neurons</figcaption>" in alone
    assert "recorded n" not in alone
    assert "key experiment" not in alone
    assert "PIT" not in alone
    seen = replace(curve, observed=[[0.0, 1.0]], severity="caution")
    panel = FeaturePanel(name="sag_mv", unit="mV", observed=[1.0], ensemble=[1.0, 2.0], pit=[0.5])
    both = render(ReportData(title="x", fi=[seen], features=[panel]), "html")
    assert "recorded n = 1; 60 novel neurons" in both
    assert "key experiment" in both
    assert "PIT (probability" in both
    assert both.count('class="badge caution"') == 1
