"""What a family makes of a checkpoint: our configuration and the weights under our names."""

from __future__ import annotations

from collections.abc import Sequence as Ordered
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from semagram.layouts.visibility import Visibility
from semagram.mixers import Attention
from semagram.models.layers import Layers


@dataclass(frozen=True)
class Checkpoint:
    """One model, read."""

    config: Any
    """Ours: a ``Transformer``, an ``EncoderDecoder`` or a ``Classifier``."""
    state: dict[str, Tensor]
    """Weights by our names."""
    vocabulary_size: int = 0
    """v of the text that is written; 0: no text is."""
    visibility: Visibility = Visibility.CAUSAL
    """What an output may depend on."""
    capacity: int = 512
    """Tokens of the longest text."""


def in_turn(mixers: Ordered[Attention]) -> tuple[Attention, Layers]:
    """A mixer a layer, as a model's own and those that take turns with it: the shortest cycle that gives them."""
    for period in range(1, len(mixers) + 1):
        if all(mixers[i] == mixers[i % period] for i in range(len(mixers))):
            return mixers[0], Layers(alternate=tuple(mixers[1:period]))
    return Attention(), Layers()
