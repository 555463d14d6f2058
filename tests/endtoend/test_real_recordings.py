"""Recordings of other cells than the decoder's are told apart: none is quietly given a posterior.

Chains are short here: what is tested does not rest on converged draws. ``analyses/inference_real_recordings.py`` runs
all of them at full length.
"""

import pytest

import noble_prob as nb
from noble_prob.errors import UsageError
from noble_prob.inference import observe

SHORT = {"method": "hmc", "chains": 2, "warmup": 12, "draws": 12, "seed": 1}


@pytest.fixture(scope="module")
def cell():
    return nb.load_cell("pvalb-689331391")


@pytest.mark.parametrize("name", ["bbp_sscx_l5pc/raw_C060109A1", "bluepyefe/B6"])
def test_a_pyramidal_cell_is_outside_the_interneuron_decoders_support(name, shared_dir, cell):
    recording = nb.read(shared_dir / "recordings" / name)
    posterior = nb.infer(recording, decoder=cell.decoder, prior=cell.prior, **SHORT)
    found = {f.code: f for f in nb.judge(posterior)}
    assert found["NP107"].severity == "issue"
    assert "outside the decoder's support" in found["NP107"].sentence
    assert "4 kHz" in " ".join(
        note.sentence for note in posterior.notes
    )  # so the shape of spikes asks for no noise (NP106)
    assert len(found["NP110"].sentence) < 200


def test_frozen_noise_is_refused_in_a_sentence(shared_dir, cell):
    with pytest.raises(UsageError, match="not a step"):
        nb.infer(nb.read(shared_dir / "recordings" / "gif_cell3"), decoder=cell.decoder, prior=cell.prior)


def test_the_noisy_nwb_file_reads_into_plausible_units(shared_dir, cell):
    recording = nb.read(shared_dir / "recordings" / "bluepyefe" / "99111002.nwb")
    assert -150 < float(recording.voltage_mv.min()) < float(recording.voltage_mv.max()) < 100
    assert float(recording.protocol.current_pa.abs().max()) < 5000
    assert len(observe(recording, cell.decoder).sweeps) >= 1
