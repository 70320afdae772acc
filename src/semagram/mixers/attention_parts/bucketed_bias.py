"""T5's relative bias: a learned number for each head and bucket of distances (arXiv 1910.10683).

Half of the buckets are single distances, the rest grow logarithmically up to ``farthest``, beyond which all share the
last one. A causal network on a line only looks back and has all buckets for that; elsewhere half of them are for
keys that stand after. Each layer has its own table (T5 shares one: copy it). Added to the scores as it is.
Tested against Hugging Face's T5 and x-transformers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from semagram.errors import UserError


@dataclass(frozen=True)
class BucketedBias:
    """A learned number for each head and bucket of distances (T5)."""

    buckets: int = 32
    """Distances told apart; even, since some layouts need one half for each direction."""
    farthest: int = 128
    """Distance from which on all are alike."""

    def __post_init__(self) -> None:
        if self.buckets < 4 or self.buckets % 2 != 0:
            raise UserError(f"bias buckets must be even and at least 4, got {self.buckets}.")
        if self.farthest <= self.buckets // 2:
            raise UserError(f"bias farthest must be above buckets / 2 ({self.buckets // 2}), got {self.farthest}.")

    def build(self, heads: int) -> BucketedBiasTable:
        """The module for attention with ``heads`` heads."""
        return BucketedBiasTable(self, heads)


class BucketedBiasTable(nn.Module):
    """Distances ``(..., q, k, a)`` -> ``(h, ..., q, k)``, from a table ``(h, buckets)`` that starts at 0."""

    learned = True

    def __init__(self, config: BucketedBias, heads: int) -> None:
        super().__init__()
        self.farthest = config.farthest
        self.table = nn.Parameter(torch.zeros(heads, config.buckets))

    def forward(self, distance: Tensor, causal: bool) -> Tensor:
        """``causal`` on one axis: no key stands after its query."""
        one_way = causal and distance.shape[-1] == 1
        found = bucket_of(distance, self.table.shape[1], self.farthest, one_way)
        return self.table[:, found].sum(-1)


def bucket_of(distance: Tensor, buckets: int, farthest: int, one_way: bool) -> Tensor:
    """The bucket of each signed distance (query - key), int64, same shape."""
    after = torch.zeros_like(distance)
    if one_way:
        far = distance.clamp(min=0)
    else:
        buckets //= 2
        after = (distance < 0).long() * buckets
        far = distance.abs()
    exact = buckets // 2
    # In float32, as T5 does: elsewhere the edge between two buckets may fall on the other side.
    growth = torch.log(far.clamp(min=1).float() / exact) / math.log(farthest / exact) * (buckets - exact)
    wide = (exact + growth.long()).clamp(max=buckets - 1)
    return after + torch.where(far < exact, far, wide)
