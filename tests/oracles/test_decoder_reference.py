"""The shipped decoder against biophysical traces of models that nothing was trained, scaled or chosen on.

Each bound is 1.5 to 2 times the figure of the shipped weights: voltage_rel_l2 0.0236, aligned_rel_l2 0.0063,
spike_count_error 0.0096, spiking_mismatch 0.0042 (one trace of 240), mean_ap_amplitude_error 0.0045, ap1_width_error
0.0099, steady_state_voltage_error 0.0014, spike_time_error_ms 0.019. An error twice as large fails, except that two
traces may differ in whether they fire.
"""

import pytest
from training_example import one_thread  # noqa: F401

from noble_prob.decoder.checkpoint import load_decoder
from noble_prob.evaluation import evaluate, reference_files
from noble_prob.population.latents import HELD_OUT_MODELS

CELL = "pvalb-689331391"
BOUNDS = {
    "voltage_rel_l2": 0.035,
    "aligned_rel_l2": 0.010,
    "spike_count_error": 0.015,
    "spiking_mismatch": 0.0085,
    "mean_ap_amplitude_error": 0.008,
    "ap1_width_error": 0.015,
    "steady_state_voltage_error": 0.0025,
    "spike_time_error_ms": 0.03,
}


@pytest.fixture(scope="module")
def figures(shared_dir, tmp_path_factory):
    folder = shared_dir / "reference" / CELL
    if not folder.is_dir():
        pytest.skip(f"no reference traces at {folder}")
    few = tmp_path_factory.mktemp("reference")
    for number, path in reference_files(folder).items():
        if number in HELD_OUT_MODELS:
            (few / path.name).symlink_to(path)
    return evaluate(load_decoder(CELL), few, held_out=HELD_OUT_MODELS)["held_out_models"]


@pytest.mark.parametrize("metric", BOUNDS)
def test_held_out_models(figures, metric):
    assert figures["n_traces"] == 240
    assert figures[metric] <= BOUNDS[metric]


def test_it_beats_a_network_that_never_fires(figures):
    assert figures["voltage_nrmse"] < 0.8  # a flat line scores 1
    assert figures["gamma_2ms"] > 0.7
