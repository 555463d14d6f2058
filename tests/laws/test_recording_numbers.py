"""Whatever holds real numbers is taken, with its gaps, and copied; the rest is refused with a remedy that works."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from noble_prob.errors import UsageError
from noble_prob.latent import Neurons
from noble_prob.readers import from_arrays
from noble_prob.recording import Protocol, Recording

PLAIN = Protocol.step_family([-110.0, 180.0])
VOLTAGE = PLAIN.current_pa.numpy() / 10 - 70 + np.arange(PLAIN.current_pa.shape[1]) % 2


def recorded(voltage):
    return Recording(protocol=PLAIN, voltage_mv=voltage).voltage_mv


KINDS = {
    "strides that go back": lambda v: np.ascontiguousarray(v[::-1, ::-1])[::-1, ::-1],
    "big endian": lambda v: v.astype(">f8"),
    "long": lambda v: v.astype(np.longdouble),
    "objects": lambda v: v.astype(object),
    "columns first": np.asfortranarray,
    "pandas": pd.DataFrame,
    "pandas with its own missing values": lambda v: pd.DataFrame(v.T).astype("Float64").T,
    "rows of pandas": lambda v: [pd.Series(row) for row in v],
    "xarray": xr.DataArray,
    "rows of tensors": lambda v: list(torch.from_numpy(v)),
    "an array of arrays": lambda v: np.array([*v, None], dtype=object)[:-1],
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_array_of_real_numbers_is_taken(kind):
    assert torch.equal(recorded(KINDS[kind](VOLTAGE)), torch.from_numpy(VOLTAGE))


def test_single_precision_stays_single():
    assert recorded(VOLTAGE.astype(">f4")[::-1]).dtype == torch.float32


@pytest.mark.parametrize(
    "masked",
    [
        lambda v, m: np.ma.array(v, mask=m),
        lambda v, m: np.ma.array(v.astype(int), mask=m),
        lambda v, m: np.ma.array(v.astype("f4"), mask=m),
        lambda v, m: list(np.ma.array(v, mask=m)),
        lambda v, m: np.where(m, None, v),
    ],
)
def test_masked_samples_are_missing(masked):
    mask = VOLTAGE > -60
    found = recorded(masked(VOLTAGE, mask))
    assert torch.equal(torch.isnan(found), torch.from_numpy(mask))
    assert torch.equal(found[~torch.from_numpy(mask)].double(), torch.from_numpy(VOLTAGE[~mask]))
    assert torch.isnan(from_arrays(PLAIN.time_ms, PLAIN.current_pa, masked(VOLTAGE, mask)).voltage_mv).sum() == (
        mask.sum()
    )


def test_complex_numbers_are_refused():
    for wrong in (VOLTAGE + 0j, torch.from_numpy(VOLTAGE + 0j), (VOLTAGE + 0j).tolist()):
        with pytest.raises(UsageError, match="`voltage_mv` should be real numbers; found complex ones"):
            recorded(wrong)


@pytest.mark.parametrize(
    "rows",
    [
        list,
        lambda r: [x.tolist() for x in r],
        lambda r: np.array(r, dtype=object),
        lambda r: [list(r)],
        lambda r: [torch.from_numpy(x) for x in r],
    ],
)
def test_rows_of_several_lengths_are_told_so_and_can_be_cut(rows):
    ragged = [VOLTAGE[0], VOLTAGE[1][:-5]]
    with pytest.raises(UsageError, match="rows of one length; found rows of 8187, 8192 values; cut the longer"):
        recorded(rows(ragged))
    cut = replace(PLAIN, time_ms=PLAIN.time_ms[:-5], current_pa=[row[:8187] for row in PLAIN.current_pa.numpy()])
    Recording(protocol=cut, voltage_mv=[row[:8187] for row in ragged])


def test_a_time_axis_that_runs_back_is_told_so():
    backwards = PLAIN.time_ms.numpy()[::-1]
    with pytest.raises(UsageError, match=r"`time_ms` should be finite and increasing"):
        replace(PLAIN, time_ms=backwards)
    with pytest.raises(UsageError, match=r"`time_ms` should be increasing"):
        from_arrays(backwards, PLAIN.current_pa, VOLTAGE)


def test_the_callers_arrays_are_copied(prior):
    time, current, voltage, value = (
        PLAIN.time_ms.numpy().copy(),
        PLAIN.current_pa.numpy().copy(),
        VOLTAGE.copy(),
        (prior.points.numpy().copy()),
    )
    protocol = Protocol(time_ms=time, current_pa=current, steps=PLAIN.steps)
    record = Recording(protocol=protocol, voltage_mv=voltage)
    neurons = Neurons(space=prior.space, value=value, axis="neuron")
    for own in (time, current, voltage, value):
        own[:] = 0
    assert torch.equal(record.time_ms, PLAIN.time_ms)
    assert torch.equal(record.current_pa, PLAIN.current_pa)
    assert torch.equal(record.voltage_mv, torch.from_numpy(VOLTAGE))
    assert torch.equal(neurons.value, prior.points)
