"""From scores to weights. All but the last share 1 among what is visible.

| rule | weights | paper |
|---|---|---|
| Softmax | e^s / sum e^s | arXiv 1706.03762 |
| TopK | softmax of the k largest scores of a row, the others 0 | arXiv 1912.11637 |
| Sparsemax | the nearest point of the simplex | arXiv 1602.02068 |
| Entmax15 | between softmax and sparsemax | arXiv 1909.00015 |
| Sigmoid | sigmoid(s - ln k) of each key by itself, k keys being visible | arXiv 2409.04431 |

The paper of Sigmoid subtracts the logarithm of the whole length; with the number of *visible* keys a prefix means the
same alone, in a longer text and step by step. ``entmax`` has the definitions that the sparse ones are tested against.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from semagram.errors import UserError
from semagram.mixers.attention_parts.entmax import entmax15, sparsemax


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


@dataclass(frozen=True)
class Sparsemax:
    """Few keys share 1, in proportion to how far their scores stand out; the others get nothing."""

    def weigh(self, scores: Tensor) -> Tensor:
        """``(..., k) -> (..., k)``."""
        return sparsemax(scores)


@dataclass(frozen=True)
class Entmax15:
    """Between softmax and sparsemax: far keys get nothing, near ones fade smoothly."""

    def weigh(self, scores: Tensor) -> Tensor:
        """``(..., k) -> (..., k)``."""
        return entmax15(scores)


@dataclass(frozen=True)
class Sigmoid:
    """Each key is weighed by itself; the sum need not be 1."""

    def weigh(self, scores: Tensor) -> Tensor:
        """``(..., k) -> (..., k)``."""
        count = (scores > float("-inf")).sum(dim=-1, keepdim=True)
        return torch.sigmoid(scores - count.to(scores.dtype).log())


Weights = Softmax | TopK | Sparsemax | Entmax15 | Sigmoid
