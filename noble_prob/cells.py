"""A cell as it ships: its decoder, the models behind it, the prior fitted to them, a recording to try.

A folder holds ``card.json`` and ``weights.safetensors`` (the decoder), ``hof_latents.csv`` (latent features of the
published models, from our own simulations; held-out models are marked), perhaps ``prior/`` (a stored density),
``npe.json`` and ``npe.safetensors`` (an amortised posterior), and
``demo_recording.npz`` (simulated sweeps of a held-out model, whose latents the table knows). Without a stored
prior a Student t is fitted to the training models. Held-out models never enter a prior.

The name ``toy`` stands for a cell without a folder: the closed-form toy decoder, for tests and first steps.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from noble_prob.amortised import Estimator
from noble_prob.amortised.estimator import CARD as ESTIMATOR
from noble_prob.decoder.base import Decoder
from noble_prob.decoder.checkpoint import cell_folder, load_decoder, read_card, shipped_cells
from noble_prob.decoder.device import require_device
from noble_prob.decoder.steps import on_grid
from noble_prob.decoder.toy import ToyDecoder
from noble_prob.errors import require
from noble_prob.latent import LatentSpace, Neurons
from noble_prob.noise import Design
from noble_prob.population.latents import protocol_of
from noble_prob.population.table import HELD_OUT, TABLE, TRAIN, read_table
from noble_prob.priors import Kind, Prior, fit_prior, undisturbed
from noble_prob.readers import read
from noble_prob.recording import Recording

DEMO, PRIOR = "demo_recording.npz", "prior"
TOY = "toy"
TOY_MODELS, TOY_SEED = 60, 7
SHARES = (0.0, 0.15, 0.4, 0.55, 0.7, 0.85)
"""Where in the decoder's range of currents the steps of an unnamed protocol lie."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Cell:
    """Everything known about one recorded neuron.

    Attributes:
        name: Its name, for example ``"pvalb-689331391"``.
        decoder: Latent features and current to spikes and voltage.
        prior: Density fitted to ``models``: how uncertain models of this neuron are, not how cells of its type differ.
        models: The models it was fitted to, axis ``neuron``, labelled by model number.
        held_out: Published models that were kept apart, if there are any.
        card: What the checkpoint says about itself.
        demo: A recording with known latents (coordinate units, by name), if there is one.
        estimator: Amortised posterior for ``infer(..., method="npe")``, if there is one.
        folder: Where it was loaded from, if it is none of those that ship.
    """

    name: str
    decoder: Decoder
    prior: Prior
    models: Neurons
    held_out: Neurons | None = None
    card: Mapping[str, Any] = field(default_factory=dict)
    demo: tuple[Recording, Mapping[str, float]] | None = None
    estimator: Estimator | None = None
    folder: Path | None = None

    def __repr__(self) -> str:
        """One line for people."""
        estimator = ", with an estimator" if self.estimator else ""
        return (
            f"Cell({self.name!r}, {type(self.decoder).__name__}, {len(self.models)} models, {self.prior!r}{estimator})"
        )

    @property
    def trained_currents_pa(self) -> tuple[float, ...]:
        """Currents that every training model was trained on (pA), by the card; at least those of the latents."""
        return tuple(self.card.get("shared_currents_pa") or protocol_of(self.decoder.space.latents))

    @property
    def held_out_numbers(self) -> tuple[int, ...]:
        """Numbers of the published models that were kept apart: by the table, and by the training's own words.

        The table lacks a model without latents, and one that was no part of the data.
        """
        table = () if self.held_out is None else (int(label) for label in self.held_out.labels if label.isdecimal())
        trained = self.card.get("training", {}).get("config", {}).get("cells", ())
        said = (number for cell in trained if cell.get("name") == self.name for number in cell.get("held_out", ()))
        return tuple(sorted({*table, *said}))

    def require_current(self, current_pa: float) -> None:
        """Refuse a current beyond those the decoder was trained on.

        Args:
            current_pa: Height of a step (pA).

        Raises:
            UsageError: If it is out of range or not a number.
        """
        self.decoder.window.require_current(current_pa)

    def steps(self, currents_pa: Sequence[float] | None = None) -> Design:
        """Steps of the decoder's own length, as the likelihood looks at them.

        Args:
            currents_pa: Their heights (pA); six over the decoder's range if not given.

        Raises:
            UsageError: If one is out of range.
        """
        low, high = self.decoder.window.current_range_pa
        chosen = [low + share * (high - low) for share in SHARES] if currents_pa is None else list(currents_pa)
        for step in chosen:
            self.require_current(step)
        current = torch.tensor(chosen, dtype=torch.float64)
        return Design(
            current_pa=current,
            end_ms=torch.full_like(current, self.decoder.window.duration_ms),
            summary_names=self.decoder.summary_names,
        )


@undisturbed()
def load_cell(where: str | Path = "pvalb-689331391", *, prior: Kind | None = None, device: str = "cpu") -> Cell:
    """Load a cell by name, or from a folder of the same layout.

    Args:
        where: Name of a shipped cell, ``"toy"``, or a folder. A name goes before a folder that is called so;
            a ``Path``, or ``"./NAME"``, is the folder.
        prior: Family of prior: the stored one if it is of this family, else one fitted to the training models. None
            for the stored one, whatever it is, else a Student t.
        device: Where the decoder's weights go: ``cpu``, ``cuda`` or ``cuda:1``.

    Returns:
        Decoder, prior and the latents of the biophysical models behind them; with an amortised posterior and a demo
        recording where the cell has them.

    Raises:
        UsageError: If there is no such cell or device, or a file of it is missing, truncated or altered.

    Example:
        >>> cell = load_cell("toy")
        >>> cell.models.axis, len(cell.models)
        ('neuron', 60)
    """
    require_device(device)
    named = isinstance(where, str | os.PathLike)
    require(named, "cell", "a name or a folder", f"a {type(where).__name__}", "pass the name of a cell, such as 'toy'")
    with torch.device("cpu"):  # whatever the caller's default
        return _load(where, prior, device)


def _load(where: str | Path, prior: Kind | None, device: str) -> Cell:
    """The cell, where new tensors are on the CPU and in single precision unless told otherwise."""
    known = [TOY, *shipped_cells()]
    folder = Path(where)
    named = where in known or not os.path.isdir(folder)  # a name that is too long is no folder either
    if named and str(where) == TOY:
        return _toy(prior)
    if named:
        _require_known(str(where), known)
        folder = cell_folder(str(where))
    decoder, card = load_decoder(folder, device=device), read_card(folder)
    neurons = read_table(folder / TABLE, decoder.space)
    density = _stored(folder, decoder.space)
    if density is None or (prior is not None and density.kind != prior):
        density = fit_prior(neurons[TRAIN], prior or "student")
    demo = _read_demo(folder / DEMO, neurons) if (folder / DEMO).is_file() else None
    estimator = Estimator.load(folder) if (folder / ESTIMATOR).is_file() else None
    name = str(card.get("cell", folder.name))
    known_as = {"cell": name, "decoder_sha256": str(card["weights_sha256"])}
    decoder.identity = known_as if named else {**known_as, "cell_folder": _told(folder)}
    return Cell(
        name=name,
        decoder=decoder,
        models=neurons[TRAIN],
        prior=replace(density, provenance={**density.provenance, **known_as}),
        held_out=neurons.get(HELD_OUT),
        card=card,
        demo=demo,
        estimator=estimator,
        folder=None if named else folder.resolve(),
    )


def _told(folder: Path) -> str:
    """The full name of a folder, as a file can hold it."""
    return str(folder.resolve()).encode(errors="ignore").decode()


def _require_known(name: str, known: Sequence[str]) -> None:
    """Refuse the name of a cell that there is not."""
    require(
        name in known,
        "cell",
        f"one of {', '.join(known)}, or a folder",
        repr(name[:80]),
        "choose a shipped cell or pass the folder of a checkpoint",
    )


def _read_demo(path: Path, neurons: Mapping[str, Neurons]) -> tuple[Recording, dict[str, float]] | None:
    """The simulated recording and the latents of the model that gave it, which its provenance names."""
    recording = read(path)
    found = re.search(r"seed_(\d+)_hof_(\d+)", str(recording.provenance))
    number = str(20 * (int(found[1]) - 1) + int(found[2])) if found else ""
    for group in neurons.values():
        if number in group.labels:
            values = group.value[list(group.labels).index(number)].tolist()
            return recording, dict(zip(group.space.names, values, strict=True))
    return None


def _stored(folder: Path, space: LatentSpace) -> Prior | None:
    """The prior that came with a checkpoint, if one did."""
    if not (folder / PRIOR).is_dir():
        return None
    prior = Prior.load(folder / PRIOR)
    same = prior.space.names == space.names and torch.allclose(prior.space.mean, space.mean)
    require(
        same and torch.allclose(prior.space.sd, space.sd),
        "cell",
        "a stored prior on the decoder's latent scale",
        "another scale",
        f"delete its folder {PRIOR}/: a Student t will be fitted",
    )
    return prior


def _toy(kind: Kind | None) -> Cell:
    """The toy with a standard normal population and a noiseless recording of one of its neurons."""
    known_as = {"cell": TOY, "decoder_sha256": "none"}
    decoder: Any = ToyDecoder(identity=known_as)  # frozen, which a type checker takes for less than a Decoder
    space, n = decoder.space, len(decoder.space)
    generator = torch.Generator().manual_seed(TOY_SEED)
    points = torch.randn(TOY_MODELS + 1, n, generator=generator, dtype=torch.float64)
    unit: dict[str, Tensor] = {
        "loc": torch.zeros(n, dtype=torch.float64),
        "scale_tril": torch.eye(n, dtype=torch.float64),
    }
    labels = tuple(str(k) for k in range(TOY_MODELS))
    models = Neurons(space=space, value=space.unstandardise(points[1:]), axis="neuron", labels=labels)
    exact = Prior(kind="gaussian", space=space, tensors=unit, points=points[1:], labels=labels)
    prior = exact if kind in (None, exact.kind) else fit_prior(models, kind)
    prior = replace(prior, provenance={**prior.provenance, **known_as})
    value = space.unstandardise(points[0])
    protocol = on_grid([-110.0, 80.0, 180.0, 240.0], decoder.window)
    recording = Recording(
        protocol=protocol,
        voltage_mv=decoder.respond(value[None], protocol.amplitudes_pa),
        provenance={"made_by": "the toy decoder itself"},
    )
    return Cell(
        name=TOY,
        decoder=decoder,
        prior=prior,
        models=models,
        card={"cell": TOY, "title": "Closed-form toy"},
        demo=(recording, dict(zip(space.names, value.tolist(), strict=True))),
    )
