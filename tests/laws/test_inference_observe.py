"""The common window: features of the end of a step are not asked of a step that ends earlier than the decoder's."""

from __future__ import annotations

import pytest
import torch

from noble_prob.cells import load_cell
from noble_prob.ensemble import draw, respond
from noble_prob.features import FEATURES, measure
from noble_prob.inference.observe import mask_late
from noble_prob.noise import Design
from noble_prob.recording import Protocol, Recording


@pytest.mark.parametrize(("short_ms", "masked"), [(0.0, False), (0.5, False), (1.5, True), (50.0, True), (-5.0, False)])
def test_features_of_the_end_are_masked_where_the_step_is_shorter_by_a_millisecond(decoder, short_ms, masked):
    """A deflection at 350 ms held against the decoder's at 400 would be taken for another cell's."""
    end = torch.tensor([decoder.window.duration_ms, decoder.window.duration_ms - short_ms]).double()
    design = Design(current_pa=torch.tensor([-110.0, 180.0]).double(), end_ms=end, summary_names=decoder.summary_names)
    seen = torch.isnan(mask_late(torch.ones(2, len(decoder.summary_names)).double(), design, decoder))
    late = torch.tensor([FEATURES[name].whole_step for name in decoder.summary_names])
    assert late.any()
    assert not late.all()
    assert not seen[0].any()
    assert torch.equal(seen[1], late & masked)


def test_what_is_not_masked_is_the_same_of_a_shorter_step():
    """The same voltages, looked at for 300 of 400 ms: only features that say so are others, and most of those are."""
    cell = load_cell("pvalb-689331391")
    currents = [-110.0, -30.0, 60.0, 180.0]
    whole = respond(cell.decoder, draw(cell.prior, 1, seed=4), currents)
    window, n = cell.decoder.window, round((cell.decoder.window.onset_ms + 300.0) / cell.decoder.window.dt_ms)
    short = Protocol.step_family(
        currents, onset_ms=window.onset_ms, duration_ms=300.0, total_ms=n * window.dt_ms, dt_ms=window.dt_ms
    )
    cut = Recording(protocol=short, voltage_mv=whole.voltage_mv[0][:, :n])
    before, after = (measure(r, names=list(FEATURES)).value.reshape(len(currents), -1) for r in (whole, cut))
    same = (torch.isclose(before, after, rtol=1e-9, atol=1e-9) | torch.isnan(before) | torch.isnan(after)).all(0)
    flagged = torch.tensor([feature.whole_step for feature in FEATURES.values()])
    assert [name for name, fits in zip(FEATURES, (same | flagged).tolist(), strict=True) if not fits] == []
    assert int((~same & flagged).sum()) >= 12
