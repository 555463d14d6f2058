"""The stated error of a decoder grows towards threshold, and stops growing where nobody has measured it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch


@pytest.mark.parametrize("slow_ms", [15.0, 80.0])
def test_errors_double_at_the_slow_interval_and_grow_to_thirty_one_times(decoder, slow_ms):
    """Were the cap lower, latencies near threshold would be believed more than the decoder deserves."""
    error = replace(decoder.error, slow_ms=slow_ms)
    at = slow_ms * torch.tensor([0.0, 0.1, 1.0, 2.0, 10.0, 1000.0], dtype=torch.float64)
    factor = error.slowness(at)
    assert factor[:2].tolist() == pytest.approx([1.0, 1.0], abs=1e-3)
    assert float(factor[2]) == pytest.approx(2.0, abs=0.05)
    assert float(factor[3]) == pytest.approx(1 + 16 / (1 + 16 / 30), rel=1e-9)  # half way to the cap
    assert factor[4:].tolist() == pytest.approx([31.0, 31.0], abs=0.1)
    fine = error.slowness(torch.linspace(0.0, 3000.0, 500, dtype=torch.float64))
    assert bool((torch.diff(fine) >= 0).all())
