"""The decoder's table against independent sources: eFEL on both sides, and figures that are published."""

from __future__ import annotations

import csv

import efel
import numpy as np
import pytest
import torch

from noble_prob.features import fi_curve
from noble_prob.metrics import decoder_metrics
from noble_prob.recording import Protocol, Recording

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
EFEL = {
    "ap1_width_error": ("AP1_width", "mean"),
    "mean_ap_amplitude_error": ("mean_AP_amplitude", "mean"),
    "ahp_depth_abs_error": ("AHP_depth_abs", "mean"),
    "steady_state_voltage_error": ("steady_state_voltage", "mean"),
    "steady_state_voltage_stimend_error": ("steady_state_voltage_stimend", "mean"),
    "sag_amplitude_error": ("sag_amplitude", "mean"),
}


def load(shared_dir, models: list[str], every: int) -> Recording:
    """Simulated responses of several models, every so many samples."""
    files = [np.load(shared_dir / "reference" / "pvalb-689331391" / f"{m}.npz") for m in models]
    v = torch.stack([torch.tensor(f["V"][:, ::every] * f["scale"], dtype=torch.float64) for f in files])
    protocol = Protocol.step_family(
        files[0]["amps"] * 1000, onset_ms=15, duration_ms=400, total_ms=v.shape[-1] * 0.02 * every, dt_ms=0.02 * every
    )
    return Recording(protocol=protocol, voltage_mv=v, axes=("neuron",))


def efel_table(r: Recording) -> tuple[np.ndarray, np.ndarray]:
    """Features of every trace, shape ``(trace, feature)``, NaN where undefined, and spike counts."""
    efel.reset()
    efel.set_setting("Threshold", -20.0)
    efel.set_setting("interp_step", r.dt_ms)
    traces = [
        {"T": r.time_ms.numpy(), "V": v.numpy(), "stim_start": [15.0], "stim_end": [415.0]}
        for v in r.voltage_mv.reshape(-1, len(r.time_ms))
    ]
    found = efel.get_feature_values(traces, [*{k for k, _ in EFEL.values()}, "Spikecount"], raise_warnings=False)
    efel.reset()
    value = [[np.nan if f[k] is None or not len(f[k]) else np.mean(f[k]) for k, _ in EFEL.values()] for f in found]
    return np.array(value), np.array([f["Spikecount"][0] for f in found])


def test_feature_errors_are_those_of_efel(shared_dir):
    """Three models judged as predictions of three others, by ours and by eFEL."""
    truth, prediction = (load(shared_dir, m, 3) for m in (["s1_h1", "s2_h3", "s3_h9"], ["s1_h2", "s2_h7", "s3_h4"]))
    ours = decoder_metrics(truth, prediction)
    (v, n), (p, m) = efel_table(truth), efel_table(prediction)
    amps = np.tile(truth.protocol.amplitudes_pa.numpy(), 3)
    spikes = n > 0
    assert ours["spike_count_error"] == pytest.approx(np.mean(np.abs(m - n)[spikes] / n[spikes]))
    assert ours["spiking_mismatch"] == pytest.approx(np.mean(spikes != (m > 0)))
    for k, name in enumerate(EFEL):
        asked = np.isfinite(v[:, k])
        asked &= amps < -50 if name.startswith("sag") else (spikes if k < 3 else True)
        error = np.where(np.isfinite(p[:, k]), np.abs(p[:, k] - v[:, k]) / np.abs(v[:, k]), 1.0)[asked].mean()
        assert error > 0.002, name
        assert ours[name] == pytest.approx(error, rel=0.05, abs=1e-3), name


def test_a_decoder_that_never_fires_scores_as_published(shared_dir):
    """NOBLE reports 12.1 % voltage and 1.31 % steady-state error for a network that never fires.

    A flat line at rest comes to 11.8 % and 1.1 % on the same population: the voltage has its offset, and the steady
    state is eFEL's ``steady_state_voltage``, the mean after the step; over the step's last tenth it would be 6 %.
    """
    truth = load(shared_dir, [f"s{s}_h{h}" for s in (1, 2, 3) for h in (0, 6, 14)], 4)
    rest = truth.voltage_mv[..., :1].expand_as(truth.voltage_mv)
    flat = Recording(protocol=truth.protocol, voltage_mv=rest, axes=("neuron",))
    result = decoder_metrics(truth, flat)
    assert result["voltage_rel_l2"] == pytest.approx(0.12, abs=0.01)
    assert result["steady_state_voltage_error"] == pytest.approx(0.013, abs=0.005)
    assert result["steady_state_voltage_stimend_error"] > 0.04
    assert result["n_traces"] == 9 * 24


def test_fi_curves_relate_to_the_published_columns(shared_dir):
    """Intercepts agree; published slopes are 1.86 times ours, the same factor for every model."""
    with (shared_dir / "hof" / "pvalb-689331391" / "published_features.csv").open() as file:
        rows = list(csv.DictReader(file))[::5]
    names = [f"s{float(r['seed']):.0f}_h{float(r['hof']):.0f}" for r in rows]
    slope, intercept = (np.array([float(r[key]) for r in rows]) for key in ("slope", "intercept"))
    curve = fi_curve(load(shared_dir, names, 4))
    assert bool(curve.mask.all())
    assert np.abs(curve["fi_intercept_pa"][0].numpy() - 1000 * intercept).mean() < 1.2
    ratio = slope / curve["fi_slope_hz_per_na"][0].numpy()
    assert ratio.mean() == pytest.approx(1.86, abs=0.05)
    assert ratio.std() < 0.07
