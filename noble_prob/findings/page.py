"""The documentation page of all findings, from the checks themselves: ``python -m noble_prob.findings.page``."""

from __future__ import annotations

import re
import sys

from noble_prob.findings.registry import Check, load

HEAD = """# Findings

A finding is one sentence about a result, with the numbers it rests on and what to do about it. Its code is a stable
address: this page has an anchor for each, and `judge(result, mute=["NP206"])` leaves one out. There are four
severities:

- **issue**: do not use the result as it is;
- **caution**: use it, but know this;
- **passed**: the check was made, and there is nothing to act on. NP105, NP108 and NP109 describe a posterior, and
  tell here what it knows and what it leaves open; the others had the power to fail, and did not;
- **not judged**: the data could not answer, which is no pass.

A check that has nothing to report emits no finding; the text below says when.

As text the marks are `[!]` issue, `[~]` caution, `[?]` not judged and `[ok]` passed.

```python
from noble_prob.calibration import FeatureTable, calibrate_repeats
from noble_prob.findings.registry import judge
import numpy as np

rng = np.random.default_rng(0)
names, units = ("latency", "width"), ("ms", "ms")
repeats = FeatureTable(names=names, units=units, value=rng.normal(10, 1, (12, 2)), axis="trial")
ensemble = FeatureTable(names=names, units=units, value=rng.normal(10, 3, (500, 2)), axis="trial")
for finding in judge(calibrate_repeats(repeats, ensemble)):
    finding.code, finding.severity, finding.sentence, finding.remedy
```

Codes NP1xx are about inference, NP20x and NP21x about repeats and populations, NP22x about posterior predictive
checks, NP23x about recalibration, NP24x about input. NP222 (a recording closer to its predictions than chance) was
deleted, and its number is not used again: a posterior has seen its recording, so right ones met it.
"""


def page() -> str:
    """The page in Markdown."""
    return HEAD + "".join(_section(item) for item in load().values())


def _section(item: Check) -> str:
    question, _, rest = item.doc.partition("\n")
    body = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", rest.strip().replace("``", "`"))
    asked = question.split(":", 1)[-1].strip()
    heading = f"\n## {item.code} {{ #{item.code.lower()} }}\n\n"
    return f"{heading}**{item.title}.** {asked[:1].upper()}{asked[1:]}\n\n{body}\n"


if __name__ == "__main__":
    sys.stdout.write(page())
