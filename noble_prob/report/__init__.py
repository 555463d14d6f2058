"""Values to text, JSON and one self-contained HTML page; computes nothing."""

from noble_prob.report.data import LatentRow, ReportData, Table, Verdict
from noble_prob.report.panels import CoverageCurve, FeaturePanel, FiPanel, Overlay, PairPlot, Raster
from noble_prob.report.render import render

__all__ = [
    "CoverageCurve",
    "FeaturePanel",
    "FiPanel",
    "LatentRow",
    "Overlay",
    "PairPlot",
    "Raster",
    "ReportData",
    "Table",
    "Verdict",
    "render",
]
