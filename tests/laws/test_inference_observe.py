"""The common window: features of the end of a step are not asked of a step that ends earlier than the decoder's."""

from __future__ import annotations

import pytest
import torch

from noble_prob.inference.observe import WHOLE_STEP_ONLY, mask_late
from noble_prob.noise import Design


@pytest.mark.parametrize(("short_ms", "masked"), [(0.0, False), (0.5, False), (1.5, True), (50.0, True), (-5.0, False)])
def test_features_of_the_end_are_masked_where_the_step_is_shorter_by_a_millisecond(decoder, short_ms, masked):
    """A deflection at 350 ms held against the decoder's at 400 would be taken for another cell's."""
    end = torch.tensor([decoder.window.duration_ms, decoder.window.duration_ms - short_ms]).double()
    design = Design(current_pa=torch.tensor([-110.0, 180.0]).double(), end_ms=end, summary_names=decoder.summary_names)
    seen = torch.isnan(mask_late(torch.ones(2, len(decoder.summary_names)).double(), design, decoder))
    late = torch.tensor([name in WHOLE_STEP_ONLY for name in decoder.summary_names])
    assert late.any()
    assert not late.all()
    assert not seen[0].any()
    assert torch.equal(seen[1], late & masked)
