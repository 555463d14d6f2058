"""A data set is whole at every moment: resumable, extendable, checked, and never continued under another plan."""

import hashlib

import numpy as np
import pytest

from noble_prob.errors import UsageError
from noble_prob.population.chunk import Chunk, pack
from noble_prob.population.codec import OFFSET_MV
from noble_prob.population.store import Store

PLAN = {"n_models": 5, "chunk_models": 2, "seed": 1, "dt_ms": 0.1, "n_samples": 50}


def chunk(store, index):
    ids = np.array(store.members(index))
    rng = np.random.default_rng(index)
    amps = np.tile([-110.0, 50.0, np.nan], (len(ids), 1))
    return Chunk(
        index=index,
        model_id=ids,
        status=tuple("accepted" if i % 2 == 0 else "rejected: too few" for i in ids),
        parameters=rng.random((len(ids), 4)),
        amps_pa=amps,
        onset_ms=amps * 0 + 12,
        duration_ms=amps * 0 + 400,
        quantised=rng.integers(-999, 999, (len(ids), 3, 50)).astype(np.int16),
    )


def test_what_was_written_comes_back(tmp_path):
    store = Store.create(tmp_path / "set", PLAN)
    store.write(chunk(store, 1))
    back = Store(tmp_path / "set").read(1)
    for name in ("model_id", "parameters", "amps_pa", "onset_ms", "duration_ms", "quantised"):
        np.testing.assert_array_equal(getattr(back, name), getattr(chunk(store, 1), name))
    assert back.status == ("accepted", "rejected: too few")
    voltage = back.voltage_mv
    assert voltage.isnan().any(-1).tolist() == [[False, False, True]] * 2
    np.testing.assert_allclose(voltage[:, :2], back.quantised[:, :2] * 0.01 + OFFSET_MV, atol=1e-4)


def test_missing_chunks_are_those_not_yet_whole(tmp_path):
    store = Store.create(tmp_path / "set", PLAN)
    assert store.missing() == [0, 1, 2]
    store.write(chunk(store, 0))
    store.write(chunk(store, 2))
    (tmp_path / "set" / ".chunk-00001.npz.77").write_bytes(b"half a chu")  # a writer was killed here
    again = Store.create(tmp_path / "set", PLAN)
    assert (again.done(), again.missing()) == ([0, 2], [1])
    grown = Store.create(tmp_path / "set", PLAN | {"n_models": 8})
    assert grown.missing() == [1, 2, 3]  # chunk 2 held one model and shall hold two
    assert list(grown.members(2)) == [4, 5]


def test_a_set_never_shrinks_and_chunks_without_a_manifest_are_not_taken_over(tmp_path):
    store = Store.create(tmp_path / "set", PLAN)
    store.write(chunk(store, 0))
    with pytest.raises(UsageError, match="`n_models` should be at least 5"):
        Store.create(tmp_path / "set", PLAN | {"n_models": 1})
    assert len(Store(tmp_path / "set").read(0).model_id) == 2
    (tmp_path / "set" / "manifest.json").unlink()
    with pytest.raises(UsageError, match=r"chunk-00000.npz.*without it"):
        Store.create(tmp_path / "set", PLAN | {"seed": 9})
    assert not (tmp_path / "set" / "manifest.json").exists()


@pytest.mark.parametrize("content", [b"", b"PK", None])
def test_a_damaged_chunk_is_to_be_made_again_and_its_checksum_stays_until_then(tmp_path, content):
    store = Store.create(tmp_path / "set", PLAN)
    for i in range(3):
        store.write(chunk(store, i))
    sealed = store.seal().read_text()
    file = tmp_path / "set" / "chunk-00001.npz"
    whole = bytearray(file.read_bytes())
    whole[10] ^= 1  # the time of a member: no checksum of the archive notices
    file.write_bytes(bytes(whole) if content is None else content)
    again = Store(tmp_path / "set")
    assert (again.condition(1), again.missing()) == ("damaged", [1])
    assert again.seal().read_text() == sealed
    again.write(chunk(again, 1))
    assert again.missing() == []
    assert again.seal().read_text() == sealed


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": "noble_prob data set, version 1"}'])
def test_a_damaged_manifest_is_told_as_such(tmp_path, text):
    Store.create(tmp_path / "set", PLAN)
    (tmp_path / "set" / "manifest.json").write_text(text)
    for ask in (lambda: Store(tmp_path / "set"), lambda: Store.create(tmp_path / "set", PLAN)):
        with pytest.raises(UsageError, match="manifest") as error:
            ask()
        assert "make one" not in str(error.value)


def test_a_write_that_fails_leaves_no_draft(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    store = Store.create(tmp_path / "set", PLAN)
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr("noble_prob.jobs.whole.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        store.write(chunk(store, 0))
    assert sorted(tmp_path.rglob("*")) == before


def test_another_plan_is_refused_by_name(tmp_path):
    Store.create(tmp_path / "set", PLAN)
    with pytest.raises(UsageError, match="`seed` should be 1"):
        Store.create(tmp_path / "set", PLAN | {"seed": 2})


def test_only_accepted_models_are_joined(tmp_path):
    store = Store.create(tmp_path / "set", PLAN)
    with pytest.raises(UsageError, match="at least one chunk"):
        store.accepted()
    for i in range(3):
        store.write(chunk(store, i))
    assert store.accepted().model_id.tolist() == [0, 2, 4]


def test_equal_content_is_equal_bytes_and_damage_is_noticed(tmp_path):
    store = Store.create(tmp_path / "set", PLAN)
    assert pack(chunk(store, 0)) == pack(chunk(store, 0))
    store.write(chunk(store, 0))
    lines = store.seal().read_text().splitlines()
    file = tmp_path / "set" / "chunk-00000.npz"
    assert f"{hashlib.sha256(file.read_bytes()).hexdigest()}  chunk-00000.npz" in lines
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 255
    file.write_bytes(bytes(data))
    with pytest.raises(UsageError, match="chunk 0"):
        store.read(0)


def test_a_folder_without_a_set_is_refused(tmp_path):
    with pytest.raises(UsageError, match="populate"):
        Store(tmp_path)


def test_shared_pulses_make_a_recording_and_others_are_refused(tmp_path):
    store = Store.create(tmp_path / "set", PLAN)
    part = chunk(store, 0)
    recording = part.recording([1, 0], sample_ms=10.0)
    assert recording.axes == ("neuron",)
    assert [s.amplitude_pa for s in recording.steps] == [50.0, -110.0]
    np.testing.assert_allclose(recording.voltage_mv, part.voltage_mv[:, [1, 0]])
    part.amps_pa[1, 0] = -100.0
    with pytest.raises(UsageError, match="share"):
        part.recording([0], sample_ms=10.0)
