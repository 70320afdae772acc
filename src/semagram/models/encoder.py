"""The encoder: from ids to vectors, every position seeing every other (BERT, arXiv 1810.04805; 1706.03762).

    features = stack(norm(E[ids])) (b, n, d), FULL visibility; padding is seen by nobody

Its features are a ``Context``: what a decoder looks at, a pool sums up and a classifier judges. As a *masked language
model* use ``Transformer`` with FULL visibility (objective ``Masked``): the same stack with a head. Tested against
x-transformers' ``Encoder`` under its ``TransformerWrapper``, in values and gradients.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.layouts import Sequence
from semagram.layouts.geometry import Geometry
from semagram.layouts.visibility import Visibility
from semagram.mixers.context import Context
from semagram.models.decoder import in_front
from semagram.models.demands import Places, checked_keep, checked_places, must_be
from semagram.models.stack import Blocks


@dataclass(frozen=True)
class Encoder:
    """Reads ids; every position sees every other."""

    vocabulary_size: int = 256
    """Ids of the source, 0 .. this - 1; bytes by default."""
    blocks: Blocks = field(default_factory=Blocks)
    """Width, depth and what the blocks are made of."""
    positions: Places | None = None
    """Add to each token where it stands; none: only the mixers know (rotary attention, say)."""
    normalise: bool = True
    """Apply the blocks' norm to the embedding."""
    class_token: bool = False
    """Begin with a learned vector, which pooling ``First`` reads."""

    def __post_init__(self) -> None:
        if self.vocabulary_size < 1:
            raise UserError(f"encoder.vocabulary_size must be at least 1, got {self.vocabulary_size}.")
        must_be(Visibility.FULL, self.blocks, "an Encoder")

    @property
    def width(self) -> int:
        """Features of what it gives."""
        return self.blocks.width

    def build(self) -> EncoderNetwork:
        """The module, with its starting weights."""
        return EncoderNetwork(self)


class EncoderNetwork(nn.Module):
    """See ``Encoder``: ids ``(b, n)`` -> a ``Context`` of ``(b, n, d)``."""

    def __init__(self, config: Encoder) -> None:
        super().__init__()
        self.vocabulary_size = config.vocabulary_size
        self.width = config.width
        # One row more than ids: the reserved id, for sources in which something is hidden.
        self.embedding = nn.Embedding(config.vocabulary_size + 1, config.width)
        self.embedding_norm = config.blocks.norm.build(config.width) if config.normalise else None
        self.positions = config.positions
        self.places = None if config.positions is None else config.positions.build(config.width, Sequence(1))
        self.class_token = nn.Parameter(torch.randn(1, config.width)) if config.class_token else None
        self.dropout = nn.Dropout(config.blocks.dropout)
        self.stack = config.blocks.build()

    def forward(
        self,
        ids: Tensor,
        keep: Tensor | None = None,
        geometry: Geometry | None = None,
        prefix: Context | None = None,
    ) -> Context:
        """``(b, n)`` ids -> features ``(b, n, d)``, with a class token ``(b, 1 + n, d)``; ``keep (b, n)``: not padding.

        ``prefix``: vectors ``(b, p, d)`` before the ids, read together with them (the patches of an image: PaLI, arXiv
        2209.06794); the features are then ``(b, p + n, d)``. Not beside a class token (``UserError``).

        ``geometry`` says where the ids stand (a page, say; its own ``keep`` counts then); none: on a line.
        """
        if geometry is None:
            keep = checked_keep(keep, *ids.shape)
            geometry = Geometry.line(ids.shape[1], Visibility.FULL, keep, like=ids)
        elif keep is not None:
            raise UserError("give keep as part of the geometry, or no geometry.")
        x = self.embedding(ids)
        if self.places is not None:
            checked_places(self.positions, geometry)
            x = x + self.places(geometry)
        x = x if self.embedding_norm is None else self.embedding_norm(x)
        if prefix is not None:
            if self.class_token is not None or prefix.features.shape[2] != self.width:
                told = f"{prefix.features.shape[2]} features, class_token={self.class_token is not None}"
                raise UserError(f"an encoder's prefix has its width {self.width} and no class token; got {told}.")
            prefix = prefix.rows(len(ids))
            x, geometry = torch.cat([prefix.features, x], dim=1), in_front(geometry, prefix)
        if self.class_token is not None:
            x = torch.cat([self.class_token.expand(len(ids), -1, -1), x], dim=1)
            geometry = with_class_token(geometry)
        return Context(self.stack(self.dropout(x), geometry), geometry.keep, geometry.coords)


def with_class_token(geometry: Geometry) -> Geometry:
    """One slot more, in front: it always counts, and stands at -1 on every axis, where nothing else does."""
    coords = torch.cat([geometry.coords.new_full((1, geometry.coords.shape[1]), -1), geometry.coords])
    keep = None if geometry.keep is None else nn.functional.pad(geometry.keep, (1, 0), value=True)
    return Geometry(coords, torch.arange(len(coords), device=coords.device), geometry.visibility, keep)
