"""Pooling: one vector, or a few, of a whole canvas: for classes, for retrieval, for a bottleneck.

    MeanPool        mean over the slots that are kept
    FirstPool       the first slot (a class token: let the model have one, as an id or a register)
    AttentionPool   softmax(Q K^T / sqrt(d_h)) V with learned queries Q     Set Transformer, arXiv 1810.00825

``config.build(width)(x (b, n, d), geometry) -> (b, p, d)``, p the number of pooled vectors; padding is never looked at.
Meant for FULL stacks: a causal one has read everything at its last slot only. AttentionPool is tested against torch's
multi-head attention.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.layouts.geometry import Geometry


@dataclass(frozen=True)
class MeanPool:
    """The mean of all kept slots."""

    def build(self, width: int) -> MeanPoolLayer:
        """The module for width d."""
        return MeanPoolLayer()


@dataclass(frozen=True)
class FirstPool:
    """The first slot."""

    def build(self, width: int) -> FirstPoolLayer:
        """The module for width d."""
        return FirstPoolLayer()


@dataclass(frozen=True)
class AttentionPool:
    """Learned queries look at all kept slots."""

    queries: int = 1
    """Pooled vectors, p."""
    heads: int = 4
    """Heads; they must divide the width."""

    def __post_init__(self) -> None:
        if self.queries < 1 or self.heads < 1:
            raise UserError(f"AttentionPool queries and heads must be at least 1, got {self.queries} and {self.heads}.")

    def build(self, width: int) -> AttentionPoolLayer:
        """The module for width d; raises ``UserError`` where heads do not divide it."""
        if width % self.heads != 0:
            raise UserError(f"AttentionPool heads must divide the width {width}, got {self.heads}.")
        return AttentionPoolLayer(self, width)


Pooling = MeanPool | FirstPool | AttentionPool


class MeanPoolLayer(nn.Module):
    """``(b, n, d) -> (b, 1, d)``."""

    def forward(self, x: Tensor, geometry: Geometry) -> Tensor:
        """A row without any kept slot gives 0."""
        if geometry.keep is None:
            return x.mean(dim=1, keepdim=True)
        kept = geometry.keep[:, :, None]
        total = torch.where(kept, x, 0.0).sum(dim=1, keepdim=True)
        return total / kept.sum(dim=1, keepdim=True).clamp(min=1)


class FirstPoolLayer(nn.Module):
    """``(b, n, d) -> (b, 1, d)``."""

    def forward(self, x: Tensor, geometry: Geometry) -> Tensor:
        """The first slot that is kept."""
        if geometry.keep is None:
            return x[:, :1]
        first = geometry.keep.to(torch.int64).argmax(dim=1)
        return x.gather(1, first[:, None, None].expand(-1, 1, x.shape[2]))


class AttentionPoolLayer(nn.Module):
    """``(b, n, d) -> (b, p, d)``."""

    def __init__(self, config: AttentionPool, width: int) -> None:
        super().__init__()
        self.heads = config.heads
        self.queries = nn.Parameter(torch.randn(config.queries, width) * width**-0.5)
        self.inward = nn.Linear(width, 2 * width, bias=False)
        self.outward = nn.Linear(width, width, bias=False)

    def matrices(self) -> dict[str, list[int]]:
        """How many rows of a stacked weight belong to each of its matrices (for per-matrix optimisers)."""
        return {"inward.weight": [self.outward.in_features] * 2}

    def forward(self, x: Tensor, geometry: Geometry) -> Tensor:
        """Keys and values of the slots, queries of its own."""
        keys, values = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in self.inward(x).chunk(2, dim=-1))
        queries = self.queries.unflatten(-1, (self.heads, -1)).transpose(0, 1).expand(x.shape[0], -1, -1, -1)
        mask = None if geometry.keep is None else geometry.keep[:, None, None, :]
        mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        return self.outward(mixed.transpose(1, 2).flatten(2))
