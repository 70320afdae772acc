"""Where attention may rest when it wants nothing: columns of scores that belong to no slot.

| sink | a row of weights | paper |
|---|---|---|
| ZeroSink | softmax with + 1 in the denominator: a key and a value of zeros | Miller 2023 ("off by one") |
| LearnedSink | + e^(s_h) in the denominator, s_h learned for each head | gpt-oss, arXiv 2508.10925 |
| Memory | learned keys and values, m for each head | arXiv 1907.01470 |

Every slot sees them; they stand nowhere, so biases by distance do not touch them. Memory keys are met by queries
*before* rotary positions turn them: a turned query would make the score depend on the absolute place of its slot.
Tested against x-transformers and the definition.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from semagram.errors import UserError
from semagram.feedforward.norms import normalise
from semagram.mixers.attention_parts.scores import Columns, product


@dataclass(frozen=True)
class ZeroSink:
    """A key and a value of zeros that every slot sees."""

    def build(self, heads: int, shared: int, head_width: int, value_width: int) -> ZeroSinkColumns:
        """The module for ``heads`` query heads and ``shared`` heads of keys and values."""
        return ZeroSinkColumns()


@dataclass(frozen=True)
class LearnedSink:
    """A learned score for each head that takes its share of the weights and gives nothing."""

    def build(self, heads: int, shared: int, head_width: int, value_width: int) -> LearnedSinkColumns:
        """The module for ``heads`` query heads and ``shared`` heads of keys and values."""
        return LearnedSinkColumns(heads)


@dataclass(frozen=True)
class Memory:
    """Learned keys and values that every slot sees."""

    slots: int = 4
    """How many for each head of keys and values."""

    def __post_init__(self) -> None:
        if self.slots < 1:
            raise UserError(f"memory slots must be at least 1, got {self.slots}.")

    def build(self, heads: int, shared: int, head_width: int, value_width: int) -> MemoryColumns:
        """The module for ``heads`` query heads and ``shared`` heads of keys and values."""
        return MemoryColumns(self.slots, shared, head_width, value_width)


Sink = ZeroSink | LearnedSink | Memory


class ZeroSinkColumns(nn.Module):
    """Queries ``(b, h, ..., q, d_h)`` -> scores ``(b, h, ..., q, 1)`` of 0."""

    def forward(self, queries: Tensor, scale: float, normalised: bool) -> Columns:
        """A product with nothing is nothing, whatever the scale."""
        return queries.new_zeros(*queries.shape[:-1], 1), None


class LearnedSinkColumns(nn.Module):
    """Queries ``(b, h, ..., q, d_h)`` -> scores ``(b, h, ..., q, 1)``; they start at 0."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(heads))

    def forward(self, queries: Tensor, scale: float, normalised: bool) -> Columns:
        """The same number for every query of a head."""
        column = self.scores.view(-1, *[1] * (queries.dim() - 2))
        return column.expand(*queries.shape[:-1], 1), None


class MemoryColumns(nn.Module):
    """Queries ``(b, h, ..., q, d_h)`` before they are turned -> scores ``(b, h, ..., q, m)``, values of all rows."""

    def __init__(self, slots: int, shared: int, head_width: int, value_width: int) -> None:
        super().__init__()
        self.keys = nn.Parameter(torch.randn(shared, slots, head_width))
        self.values = nn.Parameter(torch.randn(shared, slots, value_width))

    def forward(self, queries: Tensor, scale: float, normalised: bool) -> Columns:
        """Keys are normalised where those of slots are."""
        keys = normalise(self.keys) if normalised else self.keys
        turned = keys.transpose(-1, -2).view(1, keys.shape[0], *[1] * (queries.dim() - 4), *keys.shape[:0:-1])
        return product(queries * scale, turned), self.values
