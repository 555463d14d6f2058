"""The table that a decoder is judged by: twelve errors, accumulated over any number of traces.

No trace is dropped because it is hard: a predicted feature that does not exist counts as an error of 1 (100 %), a
missed or invented spike train as a mismatch. Spikes are counted over the whole sweep; features are those of
:mod:`noble_prob.features`, the definitions of eFEL. Truth and prediction share one grid: resample the truth first.

================================ =====================================================================================
metric                           definition
================================ =====================================================================================
voltage_rel_l2                   mean of ``||p - v|| / ||v||``, mV with their offset
voltage_nrmse                    mean of ``RMS(p - v) / max(RMS(v - rest), 1 mV)``: a flat line at rest scores 1
aligned_rel_l2                   voltage_rel_l2 after the prediction's spikes are shifted onto the true ones
spike_count_error                mean of ``|n_p - n| / n`` over traces that spike in truth
spiking_mismatch                 share of traces where exactly one of the two spikes
spike_time_error_ms, .._p90      median and 90th percentile of ``|t_p - t|`` over k-th spikes with k-th spikes
gamma_2ms                        mean coincidence factor over traces where either spikes; 0 where only one does
ap1_width_error                  mean relative error over traces that spike in truth
mean_ap_amplitude_error          as above
ahp_depth_abs_error              as above
steady_state_voltage_error       mean relative error of eFEL's ``steady_state_voltage``, the mean after the step's end
steady_state_voltage_stimend_error  of ``steady_state_voltage_stimend``, the mean of the step's last tenth
sag_amplitude_error, .._mv       mean relative and absolute error over traces below -50 pA
================================ =====================================================================================
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from noble_prob.errors import require
from noble_prob.features import Spikes, find_spikes, measure
from noble_prob.metrics.spike_trains import coincidence_factor, matched_time_errors
from noble_prob.metrics.voltages import align, normalised_rmse, relative_l2
from noble_prob.recording import Recording

CHUNK_SAMPLES = 2**21
"""Samples that are compared at once; bounds the working memory."""
SAG_BELOW_PA = -50.0
"""Sag is judged on traces whose step is below it (pA)."""

METRICS = (
    "voltage_rel_l2",
    "voltage_nrmse",
    "aligned_rel_l2",
    "spike_count_error",
    "spiking_mismatch",
    "spike_time_error_ms",
    "spike_time_error_ms_p90",
    "gamma_2ms",
    "ap1_width_error",
    "mean_ap_amplitude_error",
    "ahp_depth_abs_error",
    "steady_state_voltage_error",
    "steady_state_voltage_stimend_error",
    "sag_amplitude_error",
    "sag_amplitude_error_mv",
)
"""Keys of the result, without ``n_traces``."""

_SPIKE_SHAPE = {
    "ap1_width_error": "ap1_width_ms",
    "mean_ap_amplitude_error": "mean_ap_amplitude_mv",
    "ahp_depth_abs_error": "ahp_depth_abs_mv",
}
_VOLTAGE = {
    "steady_state_voltage_error": "voltage_after_step_mv",
    "steady_state_voltage_stimend_error": "late_voltage_mv",
}
_MEASURED = ("resting_voltage_mv", "sag_mv", *_SPIKE_SHAPE.values(), *_VOLTAGE.values())


class MetricAccumulator:
    """Errors of a decoder over a stream of traces; holds sums and the list of spike-time errors, no voltage.

    Example:
        >>> from noble_prob.recording import Protocol
        >>> protocol = Protocol.step_family([-110.0])
        >>> silent = Recording(protocol=protocol, voltage_mv=torch.full((1, 8192), -70.0))
        >>> total = MetricAccumulator()
        >>> total.add(silent, silent)
        >>> total.result()["voltage_rel_l2"]
        0.0
    """

    def __init__(self, *, threshold_mv: float = -20.0):
        """Start empty.

        Args:
            threshold_mv: Voltage that a spike exceeds (mV).
        """
        self.threshold_mv = threshold_mv
        self._total: dict[str, float] = dict.fromkeys(METRICS, 0.0)
        self._count: dict[str, int] = dict.fromkeys(METRICS, 0)
        self._time_errors: list[Tensor] = []
        self._n_traces = 0

    def add(self, truth: Recording, prediction: Recording) -> None:
        """Take in the traces of a pair of recordings.

        Args:
            truth: What the model or the cell did, voltage of shape ``(*batch, sweep, time)``, without missing samples.
            prediction: What the decoder says, same shape, grid and steps.

        Raises:
            UsageError: If the two differ in shape, grid or steps, or the truth has missing samples.
        """
        _require_pair(truth, prediction)
        shape = truth.voltage_mv.shape
        v, p = (x.voltage_mv.reshape(-1, shape[-1]) for x in (truth, prediction))
        true, guess = (
            {n: f[n][0].reshape(-1).to(v) for n in _MEASURED}
            for f in (measure(x, names=_MEASURED, threshold_mv=self.threshold_mv) for x in (truth, prediction))
        )
        amplitude = truth.protocol.amplitudes_pa.expand(shape[:-1]).reshape(-1).to(v)
        rest = torch.where(torch.isfinite(true["resting_voltage_mv"]), true["resting_voltage_mv"], v[:, 0])
        onset, offset = _step_bounds(truth, v)
        spiking = []
        for rows in torch.arange(len(v), device=v.device).split(max(1, CHUNK_SAMPLES // shape[-1])):
            spiking.append(
                self._add_traces(v[rows], p[rows].to(v), truth.time_ms, rest[rows], onset[rows], offset[rows])
            )
        self._add_features(true, guess, amplitude, torch.cat(spiking))
        self._n_traces += len(v)

    def result(self) -> dict[str, float]:
        """Every metric by its name (NaN where no trace could tell) and ``n_traces``."""
        out = {name: self._total[name] / n if (n := self._count[name]) else float("nan") for name in METRICS}
        errors = torch.cat(self._time_errors) if self._time_errors else torch.zeros(0)
        for name, q in (("spike_time_error_ms", 0.5), ("spike_time_error_ms_p90", 0.9)):
            out[name] = float(np.quantile(errors.double(), q)) if len(errors) else float("nan")  # torch's has a limit
        return {**out, "n_traces": self._n_traces}

    def _add(self, name: str, errors: Tensor) -> None:
        """Sum up one error per trace that it applies to."""
        self._total[name] += float(errors.sum())
        self._count[name] += errors.numel()

    def _add_traces(self, v: Tensor, p: Tensor, time_ms: Tensor, rest: Tensor, onset: Tensor, offset: Tensor) -> Tensor:
        """Voltage and spikes of some traces; says which spike in truth."""
        spikes, found = (find_spikes(x, time_ms, threshold_mv=self.threshold_mv) for x in (v, p))
        aligned = align(p, time_ms, spikes, found, onset_ms=onset, offset_ms=offset)
        self._add("voltage_rel_l2", relative_l2(v, p))
        self._add("voltage_nrmse", normalised_rmse(v, p, rest))
        self._add("aligned_rel_l2", relative_l2(v, aligned))
        self._add_spikes(spikes, found, (offset - onset).to(v))
        return spikes.count > 0

    def _add_spikes(self, truth: Spikes, found: Spikes, duration_ms: Tensor) -> None:
        """Count, mismatch, times and coincidence."""
        n, m = truth.count, found.count
        some = n > 0
        self._add("spike_count_error", ((m - n).abs() / n)[some])
        self._add("spiking_mismatch", (some != (m > 0)).to(torch.float64))
        gamma = coincidence_factor(truth.peak_ms, found.peak_ms, duration_ms)
        self._add("gamma_2ms", gamma[torch.isfinite(gamma)])
        self._time_errors.append(matched_time_errors(truth, found).cpu())

    def _add_features(
        self, true: dict[str, Tensor], guess: dict[str, Tensor], amplitude: Tensor, spikes: Tensor
    ) -> None:
        """Relative errors of features; a prediction without the feature counts 1."""
        for name, feature in {**_SPIKE_SHAPE, **_VOLTAGE}.items():
            asked = torch.isfinite(true[feature]) & (spikes if name in _SPIKE_SHAPE else torch.ones_like(spikes))
            self._add(name, _relative(true[feature][asked], guess[feature][asked]))
        asked = torch.isfinite(true["sag_mv"]) & (amplitude < SAG_BELOW_PA)
        sag, guessed = true["sag_mv"][asked], guess["sag_mv"][asked]
        self._add("sag_amplitude_error", _relative(sag, guessed))
        self._add("sag_amplitude_error_mv", (guessed.nan_to_num(nan=0.0) - sag).abs())


def decoder_metrics(truth: Recording, prediction: Recording, *, threshold_mv: float = -20.0) -> dict[str, float]:
    """Every metric of one pair of recordings; see :class:`MetricAccumulator` for many.

    Args:
        truth: What the model or the cell did, voltage of shape ``(*batch, sweep, time)``.
        prediction: What the decoder says, same shape, grid and steps.
        threshold_mv: Voltage that a spike exceeds (mV).

    Returns:
        Metrics by name and ``n_traces``; errors are shares (0.02 is 2 %), NaN where no trace could tell.

    Raises:
        UsageError: If the two differ in shape, grid or steps, or the truth has missing samples.
    """
    total = MetricAccumulator(threshold_mv=threshold_mv)
    total.add(truth, prediction)
    return total.result()


def _relative(true: Tensor, guess: Tensor) -> Tensor:
    """``|guess - true| / |true|``, 1 where the guess does not exist."""
    return torch.where(torch.isfinite(guess), (guess - true).abs() / true.abs().clamp(min=1e-9), 1.0)


def _step_bounds(recording: Recording, v: Tensor) -> tuple[Tensor, Tensor]:
    """Onset and end of the step of every trace (ms), the ends of the sweep where there is none."""
    first, last = float(recording.time_ms[0]), float(recording.time_ms[-1])
    bounds = [(first, last) if s is None else (s.onset_ms, s.offset_ms) for s in recording.steps]
    table = torch.tensor(bounds, dtype=torch.float64, device=v.device).repeat(len(v) // len(bounds), 1)
    return table[:, 0], table[:, 1]


def _require_pair(truth: Recording, prediction: Recording) -> None:
    """Refuse recordings that are not of the same traces on the same grid."""
    require(
        truth.voltage_mv.shape == prediction.voltage_mv.shape,
        "prediction",
        f"of shape {tuple(truth.voltage_mv.shape)}, as the truth",
        tuple(prediction.voltage_mv.shape),
        "predict the same sweeps, and resample the truth to the decoder's grid",
    )
    apart = float((truth.time_ms.cpu().double() - prediction.time_ms.cpu().double()).abs().max())
    require(
        apart < 1e-3,
        "prediction",
        "on the time grid of the truth",
        f"{prediction.dt_ms:g} ms against {truth.dt_ms:g} ms per sample",
        "resample the truth to the decoder's grid",
    )
    require(
        truth.steps == prediction.steps,
        "prediction",
        "a response to the steps of the truth",
        "other steps",
        "use one protocol for both",
    )
    require(
        bool(torch.isfinite(truth.voltage_mv).all()),
        "truth",
        "complete",
        "missing samples (NaN)",
        "leave out sweeps with missing samples",
    )
