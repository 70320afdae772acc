"""Pooling: from a vector a position to a few vectors a row.

    Mean: the mean over what counts.   First: the class token (BERT, arXiv 1810.04805).
    AttentionPool: learned queries look at everything (Set Transformer, arXiv 1810.00825)

Each is built for the width of what it sums up and called with a ``Context``: ``(b, n, d) -> (b, k, d)``. A row in which
nothing counts gives 0. ``AttentionPool`` is tested against x-transformers'.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.mixers.context import Context
from semagram.mixers.cross_attention import CrossAttention
from semagram.mixers.rotary import Rotary


@dataclass(frozen=True)
class Mean:
    """The mean of what counts."""

    @property
    def count(self) -> int:
        """Vectors a row, k."""
        return 1

    def build(self, width: int) -> MeanPool:
        """The module."""
        return MeanPool()


class MeanPool(nn.Module):
    """See ``Mean``."""

    def forward(self, context: Context) -> Tensor:
        """``(b, n, d) -> (b, 1, d)``."""
        x, keep = context.features, context.keep
        if keep is None:
            return x.mean(dim=1, keepdim=True)
        total = (x * keep[:, :, None]).sum(dim=1, keepdim=True)
        return total / keep.sum(dim=1).clamp(min=1)[:, None, None]


@dataclass(frozen=True)
class First:
    """The first vector: of an encoder with a class token."""

    @property
    def count(self) -> int:
        """Vectors a row, k."""
        return 1

    def build(self, width: int) -> FirstPool:
        """The module."""
        return FirstPool()


class FirstPool(nn.Module):
    """See ``First``."""

    def forward(self, context: Context) -> Tensor:
        """``(b, n, d) -> (b, 1, d)``."""
        return context.features[:, :1]


@dataclass(frozen=True)
class AttentionPool:
    """Learned queries that look at everything."""

    queries: int = 1
    """Vectors a row, k."""
    cross: CrossAttention = field(default_factory=CrossAttention)
    """How they look."""

    def __post_init__(self) -> None:
        if self.queries < 1:
            raise UserError(f"pooling.queries must be at least 1, got {self.queries}.")
        if isinstance(self.cross.positions, Rotary):
            raise UserError("learned queries stand nowhere, so their cross-attention cannot be Rotary: NoPositions.")

    @property
    def count(self) -> int:
        """Vectors a row, k."""
        return self.queries

    def build(self, width: int) -> AttentionPoolLayer:
        """The module."""
        return AttentionPoolLayer(self, width)


class AttentionPoolLayer(nn.Module):
    """See ``AttentionPool``."""

    def __init__(self, config: AttentionPool, width: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(config.queries, width))
        self.cross = config.cross.build(width)

    def forward(self, context: Context) -> Tensor:
        """``(b, n, c) -> (b, k, d)``."""
        return self.cross(self.queries.expand(len(context.features), -1, -1), context)


Pooling = Mean | First | AttentionPool
"""How a row is summed up."""
