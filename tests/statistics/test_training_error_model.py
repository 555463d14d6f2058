"""The error model finds the errors that were put in: sizes, correlation over current, growth towards threshold."""

from dataclasses import dataclass

import pytest
import torch
from training_example import WINDOW, example_data, one_thread  # noqa: F401

from noble_prob.decoder.base import DecoderError
from noble_prob.errors import UsageError
from noble_prob.training.data import VALIDATION, TrainingData
from noble_prob.training.error_model import measure_error
from noble_prob.training.responses import ResponseSet

MODELS, SWEEPS, SPIKES = 400, 4, 12
TRUE = DecoderError(
    latency_log_sd=0.05,
    rate_log_sd=0.02,
    current_length_pa=80.0,
    residual_ms=0.1,
    summary_sd=torch.tensor([0.5, 2.0], dtype=torch.float64),
    slow_ms=60.0,
)


@dataclass
class Oracle:
    """Predicts regular trains and constant summaries; the truth is made to differ as an error model says."""

    window: object = WINDOW
    summary_names: tuple = ("one", "two")

    def spike_times(self, latents, current):
        interval = latents[..., 0]
        return interval[..., None] * (1 + torch.arange(SPIKES, dtype=interval.dtype))

    def summary(self, latents, current):
        return torch.zeros(*current.shape, 2)


def synthetic(error, seed, *, slow):
    """Data whose spikes deviate from the oracle's by the error model's own equation."""
    g = torch.Generator().manual_seed(seed)
    normal = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64)  # noqa: E731
    current = -110 + 390 * torch.rand(MODELS, SWEEPS, generator=g, dtype=torch.float64)
    interval = (torch.rand(MODELS, 1, generator=g, dtype=torch.float64) * (3.0 if slow else 1.0) + 1.5).exp()
    latents = interval.expand(-1, 2)
    distance = (current[:, :, None] - current[:, None]).abs()
    root = torch.linalg.cholesky(torch.exp(-distance / error.current_length_pa) + 1e-9 * torch.eye(SWEEPS).double())
    a, b = ((root @ normal(MODELS, SWEEPS, 1))[..., 0] for _ in range(2))
    predicted = Oracle().spike_times(latents[:, None].expand(-1, SWEEPS, -1), current)
    factor = error.slowness(interval) if slow else 1.0
    latency = predicted[..., :1] * (error.latency_log_sd * factor * a).exp()[..., None]
    train = (predicted - predicted[..., :1]) * (error.rate_log_sd * factor * b).exp()[..., None]
    noise = error.residual_ms * normal(MODELS, SWEEPS, SPIKES)
    noise[..., 0] = 0
    spikes = latency + train + noise
    n = (spikes < WINDOW.duration_ms).sum(-1)
    return TrainingData(
        responses=ResponseSet(
            cell="c",
            window=WINDOW,
            model=torch.full((MODELS,), -1),
            current_pa=current,
            counts=torch.zeros(MODELS, SWEEPS, 1, dtype=torch.int16),
        ),
        latents=latents,
        spikes_ms=spikes,
        n_spikes=n,
        summary=(normal(MODELS, SWEEPS, 2) * error.summary_sd).float(),
        split=torch.full((MODELS,), VALIDATION),
        rejected={},
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_errors_of_brisk_trains_are_recovered(seed):
    """Right errors fail in two of a thousand runs of three seeds, nearly all by the length, whose SD is 10 %.

    Latencies and rates are known to 2 %: one that is 1.2 times too large is caught with probability above 0.9.
    """
    found = measure_error(Oracle(), synthetic(TRUE, seed, slow=False), standard_sweeps=())
    assert found.latency_log_sd == pytest.approx(0.05, rel=0.12)
    assert found.rate_log_sd == pytest.approx(0.02, rel=0.15)
    assert found.residual_ms == pytest.approx(0.1, rel=0.15)
    assert found.current_length_pa == pytest.approx(80.0, rel=0.35)
    assert torch.allclose(found.summary_sd, TRUE.summary_sd, rtol=0.1)


@pytest.mark.parametrize("seed", [0, 1])
def test_errors_that_grow_towards_threshold_are_seen_to_grow(seed):
    """`slow_ms` is known to 5 % and the latency to 2.5 %.

    The bounds are seven SDs wide or more: right errors fail less than once in ten thousand; half or twice is caught.
    """
    found = measure_error(Oracle(), synthetic(TRUE, seed, slow=True), standard_sweeps=())
    assert found.slow_ms == pytest.approx(60.0, rel=0.35)
    assert found.latency_log_sd == pytest.approx(0.05, rel=0.25)


def test_a_decoder_twice_as_wrong_is_called_twice_as_wrong():
    worse = DecoderError(**{**vars(TRUE), "latency_log_sd": 0.1, "rate_log_sd": 0.04})
    a = measure_error(Oracle(), synthetic(TRUE, 5, slow=False), standard_sweeps=())
    b = measure_error(Oracle(), synthetic(worse, 5, slow=False), standard_sweeps=())
    assert b.latency_log_sd / a.latency_log_sd == pytest.approx(2.0, rel=0.1)
    assert b.rate_log_sd / a.rate_log_sd == pytest.approx(2.0, rel=0.2)


def test_one_absurd_model_does_not_decide_for_all():
    data = synthetic(TRUE, 3, slow=False)
    before = measure_error(Oracle(), data, standard_sweeps=())
    data.spikes_ms[0] = data.spikes_ms[0] * 4
    after = measure_error(Oracle(), data, standard_sweeps=())
    assert 1.0 <= after.latency_log_sd / before.latency_log_sd < 1.1


def test_what_can_not_be_measured_is_said():
    data = synthetic(TRUE, 8, slow=False)
    data.summary[:, 1:, 0] = torch.nan  # defined at the standard currents only
    found = measure_error(Oracle(), data, standard_sweeps=(0,))
    assert found.summary_sd[0] == pytest.approx(0.5, rel=0.2)
    data.summary[..., 0] = torch.nan
    with pytest.raises(UsageError, match="no one to compare"):
        measure_error(Oracle(), data, standard_sweeps=(0,))


def test_standard_sweeps_and_other_splits_are_left_out():
    data = synthetic(TRUE, 7, slow=False)
    alone = measure_error(Oracle(), data, standard_sweeps=(0,))
    data.spikes_ms[:, 0] *= 1.7
    assert measure_error(Oracle(), data, standard_sweeps=(0,)).latency_log_sd == alone.latency_log_sd
    assert bool((example_data().split == VALIDATION).any())


def test_errors_of_features_are_measured_along_the_current():
    """SD that falls from four to one over the currents, correlated over 60 pA: both are found."""
    data = synthetic(TRUE, 9, slow=False)
    g = torch.Generator().manual_seed(1)
    current = data.responses.current_pa
    course = 0.5 * 4 ** ((280 - current) / 390)
    distance = (current[:, :, None] - current[:, None]).abs()
    root = torch.linalg.cholesky(torch.exp(-distance / 60.0) + 1e-9 * torch.eye(SWEEPS).double())
    smooth = (root @ torch.randn(MODELS, SWEEPS, 1, generator=g, dtype=torch.float64))[..., 0]
    data.summary[..., 0] = (course * smooth).float()
    found = measure_error(Oracle(), data, standard_sweeps=())
    at = torch.tensor([-100.0, 0.0, 100.0, 250.0], dtype=torch.float64)
    ratio = found.summary_sd_at(at)[:, 0] / (0.5 * 4 ** ((280 - at) / 390))
    assert float(ratio.log().abs().max()) < 0.25
    assert found.summary_lengths_pa[0] == pytest.approx(60.0, rel=0.4)
    flat = found.summary_sd_at(at)[:, 1] / TRUE.summary_sd[1]
    assert float(flat.log().abs().max()) < 0.25
    assert float(found.summary_sd_at(at)[0, 0] / found.summary_sd_at(at)[-1, 0]) > 2.5  # power: it is not flat


def test_what_every_sweep_has_of_its_own_is_told_from_what_they_share():
    """Of 400 models' variance 0.6 is common over 150 pA and 0.4 each sweep's own; of the other feature nothing is."""
    data = synthetic(TRUE, 10, slow=False)
    g = torch.Generator().manual_seed(2)
    current = data.responses.current_pa
    distance = (current[:, :, None] - current[:, None]).abs()
    root = torch.linalg.cholesky(torch.exp(-distance / 150.0) + 1e-9 * torch.eye(SWEEPS).double())
    smooth, own = torch.randn(2, MODELS, SWEEPS, generator=g, dtype=torch.float64)
    common = (root @ smooth[..., None])[..., 0]
    data.summary[..., 0] = (0.5 * (0.6**0.5 * common + 0.4**0.5 * own)).float()
    found = measure_error(Oracle(), data, standard_sweeps=())
    assert found.summary_shares[0] == pytest.approx(0.6, abs=0.15)
    assert found.summary_shares[1] * float(torch.exp(torch.tensor(-50.0 / found.summary_lengths_pa[1]))) < 0.1
    sweeps = torch.tensor([0.0, 150.0, 150.0], dtype=torch.float64)
    seen = found.summary_correlation(sweeps)[0]
    assert bool((seen.diagonal() == 1).all())
    assert float(seen[1, 2]) == pytest.approx(found.summary_shares[0])  # repeats share no more than that


def test_the_shape_of_a_spike_is_not_given_away_by_where_the_samples_fell():
    data = synthetic(TRUE, 4, slow=False)
    data.responses.current_pa[:, 0] = 180.0
    data.summary[:, 0] *= 0.05
    found = measure_error(Oracle(summary_names=("resting_voltage_mv", "ap1_peak_mv")), data, standard_sweeps=(0,))
    here = found.summary_sd_at(torch.tensor([180.0], dtype=torch.float64))[0] / TRUE.summary_sd
    assert here[0] < 0.4
    assert here[1] == pytest.approx(1.0, abs=0.3)


def test_a_standard_step_is_a_knot_of_its_own():
    """A latent gives a feature away at its own current only: the SD there does not leak to the currents around."""
    data = synthetic(TRUE, 4, slow=False)
    data.responses.current_pa[:, 0] = 180.0
    data.summary[:, 0, 0] *= 0.05
    found = measure_error(Oracle(), data, standard_sweeps=(0,))
    at = torch.tensor([150.0, 180.0, 215.0], dtype=torch.float64)
    left, here, right = found.summary_sd_at(at)[:, 0].tolist()
    assert here < 0.2
    assert min(left, right) > 0.3
