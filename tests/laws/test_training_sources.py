"""Published models keep their numbers, whatever they come from; nothing descends from a held-out one."""

from dataclasses import replace

import numpy as np
import pytest
from training_example import example_data, one_thread, write_parts  # noqa: F401

from noble_prob.errors import UsageError
from noble_prob.population.chunk import Chunk
from noble_prob.population.store import Store
from noble_prob.training.config import parse_config
from noble_prob.training.record import recorded
from noble_prob.training.sources import from_parts, from_store
from noble_prob.training.state import OtherRunError

KEYS = (0, 1, 3, 4, 7)
PLAN = {"n_models": 8, "chunk_models": 4, "parameter_names": ["Ra"], "dt_ms": 0.0625, "n_samples": 8192}


def make_store(path, *, base=None, duration_ms=400.0, rejected=(), **changes):
    """A set of eight models whose voltages name them."""
    plan = PLAN | {"base": {"keys": KEYS, "included": True} if base is None else base} | changes
    store = Store.create(path, plan)
    for index in (0, 1):
        ids = np.arange(4 * index, 4 * index + 4)
        status = tuple("rejected: silent" if i in rejected else "accepted" for i in ids)
        shape = (4, 3)
        traces = np.broadcast_to(ids[:, None, None], (*shape, 8192)).astype(np.int16)
        store.write(
            Chunk(
                index=index,
                model_id=ids,
                status=status,
                parameters=np.ones((4, 1)),
                amps_pa=np.broadcast_to([-110.0, 50.0, 180.0], shape).copy(),
                onset_ms=np.full(shape, 12.0),
                duration_ms=np.full(shape, duration_ms),
                quantised=traces,
            )
        )
    return path


def test_base_models_of_a_data_set_keep_their_numbers(tmp_path):
    found = from_store(make_store(tmp_path, rejected=(1, 6)), cell="c")
    assert found.model.tolist() == [0, 3, 4, 7, -1, -1]  # model 1 and one perturbed model were rejected
    assert found.counts[:, 0, 0].tolist() == [0, 2, 3, 4, 5, 7]
    assert found.window.current_range_pa == (-110.0, 180.0)


def test_without_its_base_a_data_set_has_none(tmp_path):
    found = from_store(make_store(tmp_path, base={"keys": KEYS, "included": False}), cell="c")
    assert found.model.tolist() == [-1] * 8


def test_a_set_of_which_nothing_was_accepted_says_why(tmp_path):
    with pytest.raises(UsageError, match=r"none in .* \(8 rejected: silent\)"):
        from_store(make_store(tmp_path, rejected=range(8)), cell="c")


def test_nothing_may_descend_from_a_held_out_model(tmp_path):
    path = make_store(tmp_path, base={"keys": (0, 2, 5), "included": True})
    with pytest.raises(UsageError, match=r"\[2, 5\] among the parents"):
        from_store(path, cell="c")
    assert from_store(path, cell="c", held_out=()).model.tolist() == [0, 2, 5, -1, -1, -1, -1, -1]


def test_held_out_models_themselves_may_come_along(tmp_path):
    keys = (2, 5, 12, 16, 21, 29, 32, 37)
    assert from_store(make_store(tmp_path, base={"keys": keys, "included": True}), cell="c").model.tolist() == list(
        keys
    )


def test_another_grid_or_pulse_is_refused(tmp_path):
    with pytest.raises(UsageError, match="400 ms"):
        from_store(make_store(tmp_path / "a", duration_ms=300.0), cell="c")
    with pytest.raises(UsageError, match=r"0.0625"):
        from_store(make_store(tmp_path / "b", dt_ms=0.05), cell="c")


def test_a_run_that_can_not_be_continued_is_told_that_its_set_has_grown(tmp_path):
    config = parse_config({"out": "run", "cells": [{"name": "c", "stores": ["set"]}]}, base=tmp_path)
    data = [example_data()]
    make_store(tmp_path / "set", rejected=(1,))
    with recorded(config, data):
        (tmp_path / "run" / "state" / "spike_map.state").write_text("")
    make_store(tmp_path / "set", n_models=8, rejected=())
    grown = r"`cells.c.stores.set` should .*'7 accepted models'\); found cells.c.stores.set = '8 accepted models'; rest"
    with pytest.raises(OtherRunError, match=grown), recorded(config, data):
        raise OtherRunError("spike_map.state", {}, ["data"])
    with pytest.raises(ZeroDivisionError), recorded(replace(config, out=tmp_path / "other"), data):
        raise ZeroDivisionError
    assert not (tmp_path / "other" / "state").exists()


def test_packed_parts(tmp_path):
    write_parts(tmp_path / "a.npz", n_models=12)
    found = from_parts([tmp_path / "a.npz", tmp_path / "a.npz"], cell="c")
    assert found.model.tolist() == 2 * [*range(8), *[-1] * 4]
    assert found.current_pa[:, :3].unique(dim=0).tolist() == [[-110.0, 50.0, 180.0]]
    assert found.voltage_mv(slice(0, 1))[0, 0, 0] == pytest.approx(-72, abs=5)
