"""A step that was recorded as a CUDA graph is the step that was not."""

import held_example
import pytest
import torch
from training_example import SCHEDULES, example_data, example_decoder, one_thread  # noqa: F401

from noble_prob.decoder.architecture import Architecture, new_spike_map
from noble_prob.training.held import Held
from noble_prob.training.loop import fit
from noble_prob.training.schedule import Schedule
from noble_prob.training.tasks import SpikeMapTask

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a CUDA device"),
]
SHORT = Schedule(**{**vars(SCHEDULES["spike_map"]), "steps": 12, "save_every": 5, "log_every": 4})


def trained(folder=None, *, captured, schedule=SHORT):
    data = example_data()
    decoder = example_decoder(data).to("cuda")
    rows = fit(SpikeMapTask(data, decoder), schedule, folder, captured=captured, progress=False)
    return [p.detach().clone() for p in decoder.spike_map.parameters()], rows


@pytest.mark.parametrize("optimiser", ["adamw", "soap"])
def test_recorded_and_ordinary_steps_end_alike(optimiser):
    schedule = Schedule(**{**vars(SHORT), "optimiser": optimiser})
    (a, rows_a), (b, rows_b) = (trained(captured=c, schedule=schedule) for c in (True, False))
    for p, q in zip(a, b, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5)
    assert rows_a[-1]["loss"] == pytest.approx(rows_b[-1]["loss"], rel=1e-3)


def test_a_recorded_run_is_continued(tmp_path):
    whole, _ = trained(captured=True)

    class StopError(Exception):
        pass

    data = example_data()
    decoder = example_decoder(data).to("cuda")
    task, draw = SpikeMapTask(data, decoder), SpikeMapTask.draw
    drawn = []

    def until(batch, generator):
        drawn.append(1)
        if len(drawn) > 7:
            raise StopError
        return draw(task, batch, generator)

    task.draw = until
    with pytest.raises(StopError):
        fit(task, SHORT, tmp_path, captured=True, progress=False)
    again, _ = trained(tmp_path, captured=True)
    for p, q in zip(whole, again, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_a_step_is_recorded_on_another_device_than_the_first():
    """Streams and graph once were those of the first device, whatever the configuration said."""
    data = example_data()
    decoder = example_decoder(data).to("cuda:1")
    rows = fit(SpikeMapTask(data, decoder), SHORT, None, captured=True, progress=False)
    assert rows[-1]["loss"] == pytest.approx(trained(captured=True)[1][-1]["loss"], rel=1e-3)


def test_answers_that_are_held_to_the_latents_can_be_recorded():
    space, x, current = held_example.SPACE, held_example.neurons(64), held_example.currents(64)
    held = Held(new_spike_map(Architecture(), n_latents=len(space)).to("cuda"), space)
    rows = torch.cat([x, current[:, None]], 1).to("cuda")
    plain = held.mean_times(rows[:, :-1], rows[:, -1])
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        recorded = held.mean_times(rows[:, :-1], rows[:, -1])
    graph.replay()
    torch.testing.assert_close(recorded, plain)
