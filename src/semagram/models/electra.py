"""Replaced-token detection: a generator fills cells, a discriminator says which cells it filled.

ELECTRA (Clark et al. 2020, arXiv 2003.10555). The generator is the network that is scored and that writes, trained by
whatever objective of FULL visibility is chosen (``Masked``, ``Bert``). In training it also fills a ``share`` of the
cells that it was shown with tokens drawn from its own distribution (without gradient, as in the paper), and the
discriminator says of every shown cell whether its token is the true one: mean binary cross-entropy times ``weight``,
the auxiliary loss ``replaced``. A cell that was filled with the true token counts as true. Differences from the paper:
the filled cells are drawn among those the objective shows, so that the two losses never share a cell, and embeddings
are not shared. ``detect`` gives the discriminator's logits. Tested against the loss written out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.auxiliary import Carried, take_auxiliary_losses
from semagram.layouts import Layout, Visibility
from semagram.layouts.geometry import Geometry
from semagram.models.demands import refuse_conditioned
from semagram.models.transformer import Transformer


@dataclass(frozen=True)
class Electra:
    """A generator, which is the language model, and a discriminator, which learns from its mistakes."""

    generator: Transformer = field(default_factory=lambda: Transformer(width=64, depth=2))
    """The network that is scored and writes; the paper's best is a quarter to a half of the discriminator."""
    discriminator: Transformer = field(default_factory=Transformer)
    """The network that tells true tokens from filled ones."""
    share: float = 0.15
    """Of the shown cells, filled."""
    weight: float = 50.0
    """Of the discriminator's loss (the paper's value: its loss per cell is small)."""

    def __post_init__(self) -> None:
        refuse_conditioned(self)
        if not 0.0 < self.share <= 1.0:
            raise UserError(f"model.share must be above 0 and at most 1, got {self.share}.")
        if not 0.0 < self.weight <= 1000.0:
            raise UserError(f"model.weight must be above 0 and at most 1000, got {self.weight}.")

    def visibilities(self) -> frozenset[Visibility]:
        """FULL, if both can."""
        return self.generator.visibilities() & self.discriminator.visibilities() & {Visibility.FULL}

    def build(self, vocabulary_size: int, layout: Layout, visibility: Visibility) -> ElectraNetwork:
        """The network; raises ``UserError`` unless FULL."""
        if visibility not in self.visibilities():
            mixers = " and ".join(type(part.mixer).__name__ for part in (self.generator, self.discriminator))
            raise UserError(f"an Electra with mixers {mixers} cannot be {visibility.name}.")
        return ElectraNetwork(self, vocabulary_size, layout)


class ElectraNetwork(nn.Module):
    """See ``Electra``; a ``Network``: the generator, with the discriminator beside it."""

    def __init__(self, config: Electra, vocabulary_size: int, layout: Layout) -> None:
        super().__init__()
        self.vocabulary_size, self.visibility = vocabulary_size, Visibility.FULL
        self.share, self.weight = config.share, config.weight
        self.generator = config.generator.build(vocabulary_size, layout, Visibility.FULL)
        # Tied, so that it has no head over the vocabulary, which nobody would ask.
        self.discriminator = replace(config.discriminator, tied=True).build(vocabulary_size, layout, Visibility.FULL)
        self.head_of_detection = nn.Linear(config.discriminator.width, 1)
        self.carried = Carried()

    def forward(self, inputs: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n) -> (b, n, v)``, of the generator; in training the discriminator's loss is carried."""
        logits = self.generator(inputs, geometry)
        if self.training:
            self.carried.put("replaced", self.weight * self._loss(inputs, geometry))
        return logits

    def detect(self, ids: Tensor, geometry: Geometry) -> Tensor:
        """``(b, n)`` ids (v where nothing is known) -> logits ``(b, n)``: above 0 where a token looks replaced."""
        return self.head_of_detection(self.discriminator.hidden(ids, geometry))[..., 0]

    def auxiliary_losses(self) -> dict[str, Tensor]:
        """See the contract of models."""
        return take_auxiliary_losses(self)

    def _loss(self, inputs: Tensor, geometry: Geometry) -> Tensor:
        shown = inputs != self.vocabulary_size
        if geometry.keep is not None:
            shown = shown & geometry.keep
        chosen = shown & (torch.rand(inputs.shape, device=inputs.device) < self.share)
        filled = filled_in(self.generator, inputs, chosen, geometry)
        return detection_loss(self.detect(filled, geometry), filled != inputs, shown)


def filled_in(generator: nn.Module, inputs: Tensor, chosen: Tensor, geometry: Geometry) -> Tensor:
    """``inputs (b, n)`` with the ``chosen`` cells drawn from what the generator says when they are hidden."""
    with torch.no_grad():
        hidden = inputs.masked_fill(chosen, generator.vocabulary_size)  # type: ignore[arg-type]
        p = torch.softmax(generator(hidden, geometry).float(), dim=-1)
        drawn = torch.multinomial(p.flatten(0, 1), 1).view_as(inputs)
    return torch.where(chosen, drawn, inputs)


def detection_loss(logits: Tensor, replaced: Tensor, shown: Tensor) -> Tensor:
    """Mean binary cross-entropy, nats, over the shown cells; all ``(b, n)``."""
    nats = F.binary_cross_entropy_with_logits(logits, replaced.to(logits.dtype), reduction="none")
    return (nats * shown).sum() / shown.sum().clamp(min=1)
