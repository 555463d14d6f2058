"""A protocol says what its current shows; what holds numbers becomes tensors, or is refused in a sentence."""

from dataclasses import replace

import pytest
import torch

from noble_prob.errors import UsageError
from noble_prob.recording import Protocol, Step

PLAIN = Protocol.step_family([-110.0, 180.0])
STEP = PLAIN.steps[1]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"onset_ms": 0.012 - 1}, "an onset of -0.988 ms in sweep 1"),
        ({"onset_ms": 600.0}, r"within the time axis of .* an onset of 600 ms"),
        ({"onset_ms": 400.0}, "0 pA within the step of sweep 1, which says 180 pA"),
        ({"amplitude_pa": 0.18}, "180 pA within the step of sweep 1, which says 0.18 pA"),
        ({"amplitude_pa": -180.0}, "which says -180 pA"),
        ({"holding_pa": -100.0}, "which says 80 pA"),
        ({"duration_ms": 0.0}, "positive duration"),
        ({"amplitude_pa": float("nan")}, "finite"),
    ],
)
def test_a_step_that_the_current_does_not_show_is_refused(change, match):
    with pytest.raises(UsageError, match=match):
        replace(PLAIN, steps=(PLAIN.steps[0], replace(STEP, **change)))


def test_what_is_no_step_is_refused():
    with pytest.raises(UsageError, match="a Step or None"):
        replace(PLAIN, steps=(PLAIN.steps[0], (12.0, 400.0, 180.0, 0.0)))


def test_amplifiers_may_miss_the_step_and_couple_spikes_into_it():
    small = Protocol.step_family([20.0])
    noise = 30.0 * torch.randn(small.current_pa.shape, generator=torch.Generator().manual_seed(0))
    current = small.current_pa + noise
    current[:, 300:6000:300] += 9000.0  # 20 artefacts of a sample: 20 pA become 47 on average, and 20 at the median
    assert float(current[:, 192:6592].mean()) > 40
    replace(small, current_pa=current)
    replace(small, steps=(replace(small.steps[0], amplitude_pa=11.0),))
    replace(PLAIN, steps=(replace(PLAIN.steps[0], amplitude_pa=-90.0), replace(STEP, onset_ms=16.0)))


def test_a_step_may_end_after_the_recording():
    short = replace(PLAIN, time_ms=PLAIN.time_ms[:3000], current_pa=PLAIN.current_pa[:, :3000])
    assert short.steps[1].offset_ms > float(short.time_ms[-1])


def test_a_gap_in_the_current_hides_no_wrong_step():
    gap = PLAIN.current_pa.clone()
    gap[:, 1000] = torch.nan
    replace(PLAIN, current_pa=gap)
    with pytest.raises(UsageError, match="sweep 0"):
        replace(PLAIN, current_pa=0 * gap)


def test_steps_of_one_protocol_may_begin_and_end_apart():
    late = Step(onset_ms=100.0, duration_ms=50.0, amplitude_pa=90.0)
    on = (PLAIN.time_ms >= 100) & (PLAIN.time_ms < 150)
    rows = torch.stack([PLAIN.current_pa[0], 90.0 * on])
    both = Protocol(time_ms=PLAIN.time_ms, current_pa=rows, steps=(PLAIN.steps[0], late))
    with pytest.raises(UsageError, match="sweep"):
        replace(both, current_pa=rows.flip(0))
