"""The pages on calibration and findings: their programs run, and every check is on its page."""

import re
from pathlib import Path

from noble_prob.findings.page import page
from noble_prob.findings.registry import load

DOCS = Path(__file__).resolve().parents[2] / "docs"


def run(name: str) -> dict:
    (program,) = re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL)
    names: dict = {}
    exec(compile(program, name, "exec"), names)
    return names


def test_the_program_on_calibration_finds_the_wide_latency():
    names = run("calibration.md")
    assert names["result"].miscalibrated
    assert names["result"]["latency"].severity == "issue"
    assert "latency" in names["page"]


def test_the_program_on_findings_runs():
    assert run("findings.md")["finding"].code.startswith("NP2")


def test_the_page_of_findings_is_written_from_the_checks():
    text = (DOCS / "findings.md").read_text(encoding="utf-8")
    assert text == page(), "write it again: python -m noble_prob.findings.page > docs/findings.md"
    assert set(re.findall(r"^## (NP\d+) ", text, re.MULTILINE)) == set(load())
