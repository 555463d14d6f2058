"""Is the spread of an ensemble the spread of the experiment? Arrays inside, tables and sentences at the edge."""

from noble_prob.calibration.compare import calibrate_population, calibrate_repeats, compare_experiments
from noble_prob.calibration.joint import JointTest, joint_test
from noble_prob.calibration.pit import coverage_curve, ecdf, interval_coverage, pit, rank_ecdf_band
from noble_prob.calibration.pooling import Drift, separate_drift, within
from noble_prob.calibration.power import Power, spread_power
from noble_prob.calibration.recalibrate import Recalibration, tilt, widen
from noble_prob.calibration.result import Calibration, Coverage, FeatureVerdict
from noble_prob.calibration.table import FeatureTable
from noble_prob.calibration.train_contrast import TrainContrast, compare_replays, compare_trains

__all__ = [
    "Calibration",
    "Coverage",
    "Drift",
    "FeatureTable",
    "FeatureVerdict",
    "JointTest",
    "Power",
    "Recalibration",
    "TrainContrast",
    "calibrate_population",
    "calibrate_repeats",
    "compare_experiments",
    "compare_replays",
    "compare_trains",
    "coverage_curve",
    "ecdf",
    "interval_coverage",
    "joint_test",
    "pit",
    "rank_ecdf_band",
    "separate_drift",
    "spread_power",
    "tilt",
    "widen",
    "within",
]
