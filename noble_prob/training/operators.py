"""Operators beside the ordinary one: one operator for several cells, and the paper's."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from noble_prob.decoder.noble import NobleDecoder
from noble_prob.decoder.paper import PaperDecoder
from noble_prob.errors import require
from noble_prob.latent import LatentSpace
from noble_prob.training.data import TRAIN, VALIDATION, TrainingData
from noble_prob.training.losses import relative_l4
from noble_prob.training.tasks import VALIDATION_BATCH, OperatorTask
from noble_prob.training.traces import Traces


def share_operator(decoders: Sequence[NobleDecoder], space: LatentSpace) -> None:
    """Give several cells' decoders one operator, conditioned on latents scaled alike for all of them.

    Args:
        decoders: Decoders of one architecture, with the same latents; the first one's operator stays.
        space: Common scale, fitted to the training models of all cells.
    """
    for decoder in decoders:
        alike = decoder.architecture == decoders[0].architecture and decoder.space.names == space.names
        require(alike, "decoders", "of one architecture and latent space", decoder.architecture, "build them alike")
        decoder.operator = decoders[0].operator
        decoder.condition_scale.copy_(decoder.space.sd / space.sd)
        decoder.condition_shift.copy_((decoder.space.mean - space.mean) / space.sd)


class SharedOperatorTask:
    """One operator on the voltages of several cells; a batch holds each cell in proportion to its traces."""

    def __init__(self, tasks: Sequence[OperatorTask], cells: Sequence[str]):
        self.tasks, self.cells = tasks, cells
        self.module: nn.Module = tasks[0].module
        total = sum(len(t.train) for t in tasks)
        self.shares = [len(t.train) / total for t in tasks]

    def draw(self, batch: int, generator: torch.Generator) -> Tensor:
        """A batch of each cell, one after the other."""
        drawn = [t.draw(n, generator) for t, n in zip(self.tasks, self._sizes(batch), strict=True)]
        return torch.cat(drawn)

    def loss(self, rows: Tensor) -> Tensor:
        """Mean relative error of the voltage about rest, over all cells."""
        parts = zip(self.tasks, self.shares, rows.split(self._sizes(len(rows))), strict=True)
        return torch.stack([share * t.loss(i) for t, share, i in parts]).sum()

    def bend(self, rows: Tensor) -> Tensor:
        """Bend of FiLM over the neurons of each cell."""
        parts = zip(self.tasks, self.shares, rows.split(self._sizes(len(rows))), strict=True)
        return torch.stack([share * t.bend(i) for t, share, i in parts]).sum()

    def _sizes(self, batch: int) -> list[int]:
        """Traces of each cell; every cell has one at least, the last takes the rest."""
        sizes = [max(1, round(share * batch)) for share in self.shares[:-1]]
        return [*sizes, max(1, batch - sum(sizes))]

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """The same on validation models, and of each cell."""
        each = [task.validate()["waveform_error"] for task in self.tasks]
        names = [f"waveform_error_{cell}" for cell in self.cells]
        return {"waveform_error": sum(each) / len(each)} | dict(zip(names, each, strict=True))


class PaperTask:
    """Voltage from the paper's embedding, by the paper's loss: timing and waveform are one problem."""

    def __init__(self, data: TrainingData, decoder: PaperDecoder, *, compiled: bool = False):
        self.decoder = decoder
        self.module: nn.Module = decoder.operator
        device = decoder.support_precision.device
        self.train, self.valid = (Traces(data, s, decoder.space, device, voltage=True) for s in (TRAIN, VALIDATION))
        self._at = decoder.window.time_ms.to(device)
        self._loss = torch.compile(self._render_loss, dynamic=False) if compiled else self._render_loss

    def _render_loss(self, latents: Tensor, current: Tensor, voltage: Tensor) -> Tensor:
        return relative_l4(self.decoder.render(latents, current, self._at), voltage).mean()

    def draw(self, batch: int, generator: torch.Generator) -> Tensor:
        """A batch of traces."""
        return self.train.random(batch, generator)

    def loss(self, rows: Tensor) -> Tensor:
        """Mean relative L4 error of the voltage."""
        t, i = self.train, rows
        return self._loss(t.latents[i], t.current[i], t.voltage(i))

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """The same on validation models."""
        v = self.valid
        chunks = torch.arange(len(v), device=v.x.device).split(VALIDATION_BATCH)
        losses = [self._render_loss(v.latents[i], v.current[i], v.voltage(i)) * len(i) for i in chunks]
        return {"relative_l4": float(torch.stack(losses).sum() / len(v))}
