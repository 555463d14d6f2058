"""A verdict that asks for caution says why, and marks are explained where they are used."""

from dataclasses import replace

from noble_prob.findings import Finding
from noble_prob.report import LatentRow, ReportData, render
from noble_prob.report.parts.posterior import latent_verdict

ROW = LatentRow(name="sag", unit="mV", mean=1.0, sd=0.1, low=0.8, high=1.2, contraction=0.9)


def finding(code, title, severity="caution", **evidence):
    return Finding(code=code, title=title, severity=severity, sentence="So it is.", evidence=evidence)


NOISE = finding("NP106", "Noise needed")
HELD = finding("NP110", "Use of the sweeps", holding_pa=[-40.0, -40.0])


def test_a_caution_has_its_reasons_those_about_the_input_first():
    verdict = latent_verdict([ROW], [NOISE, NOISE, HELD, finding("NP101", "Convergence", "passed")])
    assert verdict.severity == "caution"
    assert verdict.sentence == (
        "1 of 1 latents keeps less than half of its prior variance. "
        "Cautions: holding current of −40 pA (NP110), noise needed (NP106)."
    )


def test_what_is_wider_than_before_is_not_what_sweeps_say_little_about():
    rows = [replace(ROW, name="rest", contraction=0.1), replace(ROW, name="deflection", contraction=-1.5)]
    verdict = latent_verdict([ROW, *rows]).sentence
    assert "these sweeps say little about rest;" in verdict
    assert "they contradict the population about deflection." in verdict


def test_every_note_about_the_sweeps_is_told_apart():
    notes = [finding("NP110", "Use of the sweeps", **{key: [1]}) for key in ("reasons", "until_ms")]
    notes += [finding("NP110", "Use of the sweeps", holding_pa=[-40.0, 25.0]), finding("NP111", "Reading of the file")]
    assert latent_verdict([ROW], notes).sentence.endswith(
        "Cautions: sweeps left out (NP110), sweeps used in part (NP110), holding current of −40 to 25 pA (NP110), "
        "reading of the file (NP111)."
    )


def test_a_pass_lists_nothing_and_an_issue_everything_support_first():
    passed = latent_verdict([ROW], [finding("NP101", "Convergence", "passed")])
    assert (passed.severity, "Cautions" in passed.sentence) == ("passed", False)
    outside = replace(finding("NP107", "Support of the decoder", "issue"), sentence="It is outside.")
    issue = latent_verdict([ROW], [NOISE, finding("NP101", "Convergence", "issue"), outside])
    assert issue.severity == "issue"
    assert issue.sentence == (
        "Do not take this posterior at face value. It is outside. Further issues: convergence (NP101). "
        "1 of 1 latents keeps less than half of its prior variance. Cautions: noise needed (NP106)."
    )


def test_nothing_is_said_of_latents_by_draws_that_are_no_posterior():
    """Neither the verdict nor the heads of table and figure take them for one."""
    weights = replace(finding("NP104", "Importance weights", "issue"), sentence="These draws are not the posterior.")
    outside = replace(finding("NP107", "Support of the decoder", "issue"), sentence="It is outside.")
    verdict = latent_verdict([ROW], [weights, outside])
    assert verdict.sentence == (
        "Do not take this posterior at face value. It is outside. These draws are not the posterior."
    )
    unsettled = latent_verdict([ROW], [finding("NP105", "What the sweeps inform", "not judged")])
    assert (unsettled.severity, unsettled.sentence) == ("caution", "So it is.")
    for form, head in (("text", "Not a posterior:"), ("html", "Latents: not a posterior")):
        assert head in render(ReportData(title="x", latents=[ROW], findings=[weights]), form)
        assert head not in render(ReportData(title="x", latents=[ROW], findings=[NOISE]), form)


def test_latents_are_counted_where_a_list_would_be_long():
    blind = [replace(ROW, name=f"rest {k}", contraction=0.1) for k in range(5)]
    assert "these sweeps say little about rest 0, rest 1, rest 2, rest 3." in latent_verdict(blind[:4]).sentence
    assert "these sweeps say little about 5 of them." in latent_verdict(blind).sentence


def test_marks_are_explained_once_under_the_findings():
    lines = render(ReportData(title="x", findings=[NOISE]), "text").splitlines()
    assert lines[lines.index("Findings") + 1] == "[!] issue  [~] caution  [?] not judged  [ok] passed"
    assert "[!]" not in render(ReportData(title="x"), "text")
