"""The page about features says what the catalogue says, and its example runs."""

from __future__ import annotations

import re
from pathlib import Path

from noble_prob.features import FEATURES
from noble_prob.metrics import METRICS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "features.md").read_text()


def test_every_feature_is_in_the_table_as_it_is_in_the_code():
    for f in FEATURES.values():
        unit = f" {f.unit}" if f.unit else ""
        row = f"| `{f.name}` |{unit} | {f.doc.rstrip('.')} | {f.defined_when} | {f.efel_name or 'none'} |"
        assert row in PAGE, f.name


def test_the_table_has_no_feature_that_does_not_exist():
    assert set(re.findall(r"^\| `(\w+)` \|(?: \S+)? \| .* \| .* \| .* \|$", PAGE, re.MULTILINE)) == set(FEATURES)


def test_every_metric_is_described():
    assert [name for name in METRICS if f"`{name}`" not in PAGE] == []


def test_the_example_runs():
    names: dict[str, object] = {}
    for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(code, "features.md", "exec"), names)
    assert not names["mask"].any()
    assert names["table"]["spike_count"] == {"unit": "", "value": [0.0, 0.0]}
    assert not names["defined"]
    assert names["frame"].loc[50.0, "resting_voltage_mv"] == -70.0
    assert names["frame"]["ap1_width_ms"].isna().all()
