"""What a report is made of: values that were computed elsewhere, each optional.

A :class:`ReportData` is the only input of :func:`noble_prob.report.render`. Every part may be absent, so that ``demo``,
``sample``, ``infer`` and ``calibrate`` each fill what they have; what is absent is not shown. Nothing here computes: a
number that is not in a part can not appear on the page.

Arrays are numpy (or anything that :func:`numpy.asarray` takes, tensors on the CPU included). Units are in the names,
or in a ``unit`` beside the values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from noble_prob.findings.base import Finding, Severity
from noble_prob.report.panels import CoverageCurve, FeaturePanel, FiPanel, Overlay, PairPlot, Raster


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The answer of one level in one sentence: what a reader who stops here should take away.

    Attributes:
        level: What was judged, for example ``"trial to trial"`` or ``"posterior of the latents"``.
        severity: As of a finding.
        sentence: One plain sentence.
        power: What the test could have seen, one sentence; empty where no test was made.
        tested: Whether anything was judged; a mere statement has no badge.
    """

    level: str
    severity: Severity
    sentence: str
    power: str = ""
    tested: bool = True


@dataclass(frozen=True, kw_only=True)
class LatentRow:
    """Posterior of one latent; None marks what is not known.

    Attributes:
        name: Latent.
        unit: Its unit.
        mean: Posterior mean.
        sd: Posterior standard deviation.
        low: Lower end of the 89 % equal-tailed interval.
        high: Upper end of it.
        r_hat: Rank-normalised split R-hat.
        ess_bulk: Bulk effective sample size.
        ess_tail: Tail effective sample size.
        contraction: 1 - posterior variance / prior variance.
        prior_mean: Mean of the prior.
        prior_sd: Standard deviation of the prior.
        truth: True value where the recording was simulated.
        words: The latent in words, with its step; its name if empty.
    """

    name: str
    unit: str
    mean: float
    sd: float
    low: float
    high: float
    r_hat: float | None = None
    ess_bulk: float | None = None
    ess_tail: float | None = None
    contraction: float | None = None
    prior_mean: float | None = None
    prior_sd: float | None = None
    truth: float | None = None
    words: str = ""

    @property
    def inside(self) -> bool | None:
        """Whether the truth lies in the interval; None where it is not known."""
        return None if self.truth is None else bool(self.low <= self.truth <= self.high)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A further table, shown as it is and downloadable as CSV.

    Attributes:
        title: Heading.
        columns: Column names with units.
        rows: Cells: numbers, words, booleans or None.
        caption: What it shows, with n.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """Everything a report shows. All parts are optional except the title.

    Attributes:
        title: What was examined, for example the file's name.
        subtitle: Cell, decoder, method in one line.
        verdicts: One per level, most important first.
        findings: Judgements of any severity, in any order.
        latents: Posterior table.
        overlays: Recorded and ensemble voltage, one per sweep.
        rasters: Spike times of repeats and ensemble members.
        features: Experiment, ensemble and PIT of each feature.
        coverage: Coverage curves.
        fi: f-I curves.
        pairs: Pair plot of the latents.
        tables: Further tables.
        methods: Paragraphs ready to paste.
        provenance: Versions, seeds, hashes, wall time: shown as a list, written to JSON.
        values: Further JSON values that machines want and people need not see.
    """

    title: str
    subtitle: str = ""
    verdicts: Sequence[Verdict] = ()
    findings: Sequence[Finding] = ()
    latents: Sequence[LatentRow] = ()
    overlays: Sequence[Overlay] = ()
    rasters: Sequence[Raster] = ()
    features: Sequence[FeaturePanel] = ()
    coverage: Sequence[CoverageCurve] = ()
    fi: Sequence[FiPanel] = ()
    pairs: PairPlot | None = None
    tables: Sequence[Table] = ()
    methods: Sequence[str] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """One line for people."""
        verdicts = ", ".join(f"{verdict.level}: {verdict.severity}" for verdict in self.verdicts)
        return f"ReportData({self.title!r}; {verdicts or 'no verdict'}; findings {len(self.findings)})"
