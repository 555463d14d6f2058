"""A Hall of Fame is read as its schema says, and refused where it does not follow it."""

import json

import pytest

from noble_prob.errors import UsageError
from noble_prob.population.hof import import_hof, parse_keys, prune_swc

SWC = "# soma\n1 1 0 0 0 8 -1\n2 2 0 9 0 1 1\n3 2 0 20 0 1 2\n4 3 0 30 0 1 3\n5 4 8 0 0 1 1\n6 3 30 0 0 1 5\n"
GENOME = [
    {"section": s, "name": n, "value": v, "mechanism": ""}
    for s in ("soma", "dend")
    for n, v in (("cm", 1.0), ("g_pas", 1e-4), ("e_pas", -70.0))
]


def write(folder, name="seed_2_hof_3", **changes):
    data = {
        "passive": [{"ra": 100.0}],
        "conditions": [{"celsius": 34.0, "v_init": -68.0, "erev": [{"ena": 53.0, "ek": -107.0}]}],
        "genome": GENOME,
    }
    (folder / "morphology.swc").write_text(SWC)
    (folder / f"{name}.json").write_text(json.dumps(data | changes))


def test_the_axon_and_all_that_hangs_on_it_is_gone_and_apical_is_dendrite():
    rows = [line.split() for line in prune_swc(SWC).splitlines()]
    assert [(row[0], row[1]) for row in rows] == [("1", "1"), ("5", "3"), ("6", "3")]


def test_models_are_numbered_by_seed_and_rank(tmp_path):
    for name in ("seed_2_hof_3", "seed_1_hof_10", "seed_1_hof_2"):
        write(tmp_path, name)
    hof = import_hof(tmp_path)
    assert hof.keys == (2, 10, 23)
    assert hof.select([23]).models[0].label == "seed_2_hof_3"
    assert hof.without([10]).keys == (2, 23)
    assert hof.models[0].parameters["Ra"] == 100.0
    with pytest.raises(UsageError, match="found \\[5\\]"):
        hof.select([5])
    with pytest.raises(UsageError, match="2 more than once"):
        hof.select([2, 10, 2])


def test_other_names_are_numbered_by_their_natural_order(tmp_path):
    for k in range(12):
        write(tmp_path, f"model{k}")
    assert [model.label for model in import_hof(tmp_path).models] == [f"model{k}" for k in range(12)]
    write(tmp_path, "seed_1_hof_11")
    with pytest.raises(UsageError, match=r"model\d+.json, seed_1_hof_11.json with the number 11"):
        import_hof(tmp_path)


@pytest.mark.parametrize(
    ("names", "word"), [(("seed_1_hof_20", "seed_2_hof_0"), "the number 20"), (("seed_0_hof_3",), "S from 1")]
)
def test_numbers_that_can_not_be_meant_are_refused(tmp_path, names, word):
    for name in names:
        write(tmp_path, name)
    with pytest.raises(UsageError, match=word):
        import_hof(tmp_path)


def test_the_digest_notices_any_change(tmp_path):
    write(tmp_path)
    before = import_hof(tmp_path).digest
    write(tmp_path, passive=[{"ra": 100.1}])
    assert import_hof(tmp_path).digest != before


@pytest.mark.parametrize(
    "changes",
    [
        {"passive": []},
        {"conditions": [{}]},
        {"genome": [{"section": "soma"}]},
        {"passive": [{"ra": float("nan")}]},
        {"conditions": [{"v_init": -68.0, "erev": [{"ena": 53.0, "ek": -107.0}]}]},
        {"conditions": [{"celsius": "warm", "v_init": -68.0, "erev": [{"ena": 53.0, "ek": -107.0}]}]},
        {"genome": [*GENOME, {**GENOME[0], "name": "gbar_X"}]},
    ],
)
def test_files_that_break_the_schema_are_refused(tmp_path, changes):
    write(tmp_path, **changes)
    with pytest.raises(UsageError):
        import_hof(tmp_path)


def test_models_must_share_their_parameters(tmp_path):
    write(tmp_path, "seed_1_hof_0")
    write(tmp_path, "seed_1_hof_1", genome=GENOME[:-1])
    with pytest.raises(UsageError, match=r"dend\.e_pas"):
        import_hof(tmp_path)


@pytest.mark.parametrize(
    "swc",
    [
        b"",
        b"# nothing\n",
        b"1 1 0 0 0 8\n",
        b"one soma here please and thank you\n",
        b"1 1 0 0 \xff 8 -1\n",
        b"1 1 0 0 0 8 -1\n2 3 0 9 0 1 7\n",
        b"1 3 0 0 0 8 -1\n",
    ],
)
def test_a_damaged_morphology_is_refused(tmp_path, swc):
    write(tmp_path)
    (tmp_path / "morphology.swc").write_bytes(swc)
    with pytest.raises(UsageError, match=r"morphology\.swc"):
        import_hof(tmp_path)


def test_a_folder_without_models_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"morphology\.swc"):
        import_hof(tmp_path)


def test_number_lists():
    assert parse_keys("0,2,5-9") == (0, 2, 5, 6, 7, 8, 9)
    for bad in ("", "1,", "a", "3-", "5-2", "0-99999999999"):
        with pytest.raises(UsageError):
            parse_keys(bad)
