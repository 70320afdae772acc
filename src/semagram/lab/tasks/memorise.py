"""Memorisation: a fixed table of pairs, drawn once, with no rule in it; how much of it do the weights hold?

``Memorise`` asks for the value of one key after another (2 bits a parameter is what transformers come to: arXiv
2404.05405). The table is the task's, not the sequence's: nothing before a key says its value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from semagram.errors import UserError
from semagram.lab.tasks.contract import Batch, drawn


@dataclass(frozen=True)
class Memorise:
    """Keys of two symbols, each followed by the value that the table says."""

    symbols: int = 32
    """Different symbols; there are as many keys as pairs of them."""
    values: int = 32
    """Different values."""
    asked: int = 8
    """Keys of a sequence."""
    table: int = 0
    """The seed of the table."""

    def __post_init__(self) -> None:
        if self.symbols < 2 or self.values < 2 or self.asked < 1:
            raise UserError(
                f"Memorise needs 2 symbols, 2 values and 1 key or more, got {self.symbols}, {self.values} and "
                f"{self.asked}."
            )

    @property
    def length(self) -> int:
        """Three tokens for each key."""
        return 3 * self.asked

    @property
    def vocabulary_size(self) -> int:
        """Symbols, values."""
        return self.symbols + self.values

    @property
    def chance(self) -> float:
        """Of guessing among all values."""
        return math.log(self.values)

    @property
    def expected(self) -> str:
        """Allen-Zhu and Li, arXiv 2404.05405."""
        return "up to some 2 bits a parameter, attention or not; what counts learns it in one pass"

    @property
    def bits(self) -> float:
        """What the table holds."""
        return self.symbols**2 * math.log2(self.values)

    def sample(self, count: int, generator: torch.Generator) -> Batch:
        """``(count, 3 asked)``."""
        table = drawn(self.symbols**2, 1, self.values, torch.Generator().manual_seed(self.table))[:, 0]
        keys = drawn(count, self.asked, self.symbols**2, generator)
        ids = torch.stack([keys // self.symbols, keys % self.symbols, self.symbols + table[keys]], dim=2).flatten(1)
        scored = torch.zeros_like(ids, dtype=torch.bool)
        scored[:, 2::3] = True
        return Batch(ids, scored)
