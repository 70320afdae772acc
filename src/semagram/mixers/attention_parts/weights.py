"""From scores to weights: what is visible shares 1.

| rule | weights | paper |
|---|---|---|
| Softmax | e^s / sum e^s | arXiv 1706.03762 |
| TopK | softmax of the k largest scores of a row, the others 0 | arXiv 1912.11637 |
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from semagram.errors import UserError


@dataclass(frozen=True)
class Softmax:
    """Every visible key gets a share."""

    def weigh(self, scores: Tensor) -> Tensor:
        """``(..., k) -> (..., k)``."""
        return torch.softmax(scores, dim=-1)


@dataclass(frozen=True)
class TopK:
    """Only the keys of the largest scores get a share; ties with the last of them are kept."""

    keys: int = 8
    """How many, for each query and head."""

    def __post_init__(self) -> None:
        if self.keys < 1:
            raise UserError(f"top-k keys must be at least 1, got {self.keys}.")

    def weigh(self, scores: Tensor) -> Tensor:
        """``(..., k) -> (..., k)``."""
        if self.keys < scores.shape[-1]:
            least = scores.detach().topk(self.keys, dim=-1).values[..., -1:]
            scores = scores.masked_fill(scores < least, float("-inf"))
        return torch.softmax(scores, dim=-1)


Weights = Softmax | TopK
