"""An encoder of vectors: sound frames, sensor readings, anything that is numbers already (b, n, i) -> (b, n, d).

    features = stack(norm(W x + w)) (b, n, d), FULL visibility

The same stack as for ids, a linear map instead of a table (e.g. arXiv 2112.05329). For vectors that are *written*, see
``continuous.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from semagram.errors import UserError
from semagram.layouts import Sequence
from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility
from semagram.mixers.context import Context
from semagram.models.demands import Places, checked_keep, checked_vectors, must_be
from semagram.models.stack import Blocks


@dataclass(frozen=True)
class VectorEncoder:
    """Reads vectors; every position sees every other."""

    features: int = 1
    """Numbers a position, i."""
    blocks: Blocks = field(default_factory=Blocks)
    """Width, depth and what the blocks are made of."""
    positions: Places | None = None
    """Add to each vector where it stands; none: only the mixers know (rotary attention, say)."""

    def __post_init__(self) -> None:
        if self.features < 1:
            raise UserError(f"encoder.features must be at least 1, got {self.features}.")
        must_be(Visibility.FULL, self.blocks, "a VectorEncoder")

    @property
    def width(self) -> int:
        """Features of what it gives."""
        return self.blocks.width

    def build(self) -> VectorEncoderNetwork:
        """The module, with its starting weights."""
        return VectorEncoderNetwork(self)


class VectorEncoderNetwork(nn.Module):
    """See ``VectorEncoder``."""

    def __init__(self, config: VectorEncoder) -> None:
        super().__init__()
        self.features = config.features
        self.embedding = nn.Linear(config.features, config.width)
        self.embedding_norm = config.blocks.norm.build(config.width)
        self.places = None if config.positions is None else config.positions.build(config.width, Sequence(1))
        self.dropout = nn.Dropout(config.blocks.dropout)
        self.stack = config.blocks.build()

    def forward(self, vectors: Tensor, keep: Tensor | None = None) -> Context:
        """``(b, n, i)`` -> features ``(b, n, d)``; ``keep (b, n)`` is False at padding."""
        rows, count = checked_vectors(vectors, self.features).shape[:2]
        geometry = Geometry.line(count, Visibility.FULL, checked_keep(keep, rows, count), like=vectors)
        x = self.embedding(vectors)
        x = x if self.places is None else x + self.places(geometry)
        x = self.dropout(self.embedding_norm(x))
        return Context(self.stack(x, geometry), keep, geometry.coords)
