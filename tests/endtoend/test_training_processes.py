"""Training survives kill -9 bit by bit, and two processes train one network."""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from training_example import SCHEDULES, example_data, example_decoder, one_thread, read_log  # noqa: F401

from noble_prob.training.decoder import train_operator
from noble_prob.training.loop import fit
from noble_prob.training.tasks import OperatorTask, SpikeMapTask

ROOT, TESTS = Path(__file__).resolve().parents[2], Path(__file__).resolve().parents[1]
SLOW = {"operator": replace(SCHEDULES["operator"], steps=36, save_every=4, validate_every=6)}
KILLED = """
import torch
from pathlib import Path
torch.set_num_threads(1)
from test_training_processes import SLOW, example_data, example_decoder, train_operator
if __name__ == "__main__":
    data = example_data()
    train_operator(example_decoder(data), data, SLOW, Path({folder!r}))
"""
PAIR = """
import torch
from pathlib import Path
torch.set_num_threads(1)
from test_training_processes import train_pair
if __name__ == "__main__":
    train_pair(Path({folder!r}))
"""


def environment(**more):
    paths = [str(ROOT), str(TESTS), str(TESTS / "endtoend")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", **more}


def train_pair(folder):
    """What each of two processes does: train, then write the weights it ended with."""
    from noble_prob.training import processes

    with processes.joined("cpu") as device:
        data = example_data()
        decoder = example_decoder(data, seed=processes.rank()).to(device)  # they begin differently, DDP makes them one
        drawn = []
        spike_map = SpikeMapTask(data, decoder)
        random = spike_map.train.random
        spike_map.train.random = lambda batch, g: drawn.append(random(batch, g)) or drawn[-1]
        fit(spike_map, SCHEDULES["spike_map"], folder, name="spike_map", progress=False)
        fit(
            OperatorTask(data, decoder),
            replace(SCHEDULES["operator"], steps=12),
            folder,
            name="operator",
            progress=False,
        )
        tensors = {k: v.contiguous() for k, v in decoder.state_dict().items()} | {"drawn": torch.stack(drawn)}
        save_file(tensors, folder / f"rank{processes.rank()}.safetensors")


def test_a_killed_training_is_continued_to_the_same_bytes(tmp_path):
    script, folder = tmp_path / "train.py", tmp_path / "killed"
    script.write_text(KILLED.format(folder=str(folder)))
    process = subprocess.Popen([sys.executable, str(script)], env=environment(), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (folder / "operator.state").exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    stopped = read_log(folder / "operator.csv") if (folder / "operator.csv").exists() else []
    assert not stopped or stopped[-1]["step"] < 36

    data = example_data()
    ends = []
    for place in (folder, tmp_path / "whole"):
        decoder = example_decoder(data)
        train_operator(decoder, data, SLOW, place, progress=False)
        ends.append({k: v.numpy().tobytes() for k, v in decoder.operator.state_dict().items() if k != "_metadata"})
    assert ends[0] == ends[1]
    curves = [
        [(r["step"], r["loss"], r.get("waveform_error")) for r in read_log(p / "operator.csv")]
        for p in (folder, tmp_path / "whole")
    ]
    assert curves[0] == curves[1]
    assert curves[0][-1][0] == 36


def test_two_processes_train_one_network(tmp_path):
    script = tmp_path / "pair.py"
    script.write_text(PAIR.format(folder=str(tmp_path)))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--master-addr",
        "127.0.0.1",
        "--master-port",
        str(port),
        str(script),
    ]
    subprocess.run(command, env=environment(), check=True, timeout=300, capture_output=True)
    first, second = (load_file(tmp_path / f"rank{i}.safetensors") for i in (0, 1))
    trained = [k for k in first if k.startswith(("spike_map.", "operator."))]
    assert len(trained) > 20
    assert any(first[k].is_complex() for k in trained)
    assert all(torch.equal(first[k], second[k]) for k in trained)
    assert not torch.equal(first["offset.net.0.weight"], second["offset.net.0.weight"])  # not trained, not shared
    assert first["drawn"].shape == (60, 2 * 16)  # two members, half a batch of 32 each
    assert not torch.equal(first["drawn"], second["drawn"])
    rows = read_log(tmp_path / "spike_map.csv")
    assert [row["step"] for row in rows] == list(range(5, 61, 5))  # every row once
    assert rows[-1]["loss"] < 0.7 * rows[0]["loss"]
