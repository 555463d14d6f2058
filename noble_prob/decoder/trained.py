"""What a trained decoder knows about itself: how wrong it is on neurons it has not seen, and how far it was trained."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from noble_prob.decoder.base import DecoderError
from noble_prob.decoder.support import distance, fit_extent
from noble_prob.latent import LatentSpace


class TrainedDecoder(nn.Module):
    """The part of :class:`noble_prob.decoder.base.Decoder` that does not depend on the architecture.

    Args:
        space: Latent space of the neurons.
        error: Error on unseen neurons; None until it has been measured.

    Of which cell it is stands in ``identity`` (see :func:`~noble_prob.decoder.base.identity_of`), empty for none.
    """

    support_precision: Tensor
    support_radius: Tensor

    def __init__(self, space: LatentSpace, error: DecoderError | None):
        super().__init__()
        self.space, self.measured_error = space, error
        self.identity: dict[str, str] = {}
        self.register_buffer("support_precision", torch.eye(len(space)))
        self.register_buffer("support_radius", torch.tensor(float(len(space))).sqrt())

    def __repr__(self) -> str:
        """One line for people, in place of a line for every layer."""
        size = sum(p.numel() for p in self.parameters())
        return f"{type(self).__name__}({self.space!r}, {size:,} weights)"

    @property
    def error(self) -> DecoderError:
        """Error on unseen neurons.

        Raises:
            RuntimeError: If it was never measured.
        """
        if self.measured_error is None:
            raise RuntimeError("the decoder's error on validation models has not been measured")
        return self.measured_error

    @error.setter
    def error(self, value: DecoderError) -> None:
        self.measured_error = value

    def support(self, latents: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch"]:
        """Mahalanobis distance from the training models; 1 holds their central 99 %."""
        x = self.space.standardise(latents).to(self.support_precision)
        return distance(x, self.support_precision, self.support_radius)

    def fit_support(self, latents: Float[Tensor, "model latent"]) -> None:
        """Learn the extent of the training population from its latents (in their units)."""
        precision, radius = fit_extent(self.space.standardise(latents))
        self.support_precision.copy_(precision)
        self.support_radius.copy_(radius)
