"""Tracking: the answer depends on every token, in order.

``Parity`` (arXiv 2205.11502 and the circuit-depth literature after it): is the number of ones odd? ``Brackets``
(Dyck languages, 1906.03648): close what was opened, innermost first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from semagram.errors import UserError
from semagram.lab.tasks.contract import Batch, drawn


@dataclass(frozen=True)
class Parity:
    """``bits`` random bits, a mark, and 1 if an odd number of them is 1."""

    bits: int = 16
    """Bits to count."""

    def __post_init__(self) -> None:
        if self.bits < 1:
            raise UserError(f"Parity needs at least 1 bit, got {self.bits}.")

    @property
    def length(self) -> int:
        """Bits, mark, answer."""
        return self.bits + 2

    @property
    def vocabulary_size(self) -> int:
        """Two bits and the mark, id 2."""
        return 3

    @property
    def chance(self) -> float:
        """Of a coin."""
        return math.log(2)

    @property
    def expected(self) -> str:
        """Merrill and Sabharwal, Chiang and Cholak."""
        return "beyond short lengths hard for attention of fixed depth and for states with positive eigenvalues"

    def sample(self, count: int, generator: torch.Generator) -> Batch:
        """``(count, bits + 2)``."""
        bits = drawn(count, self.bits, 2, generator)
        answer = bits.sum(dim=1, keepdim=True) % 2
        ids = torch.cat([bits, torch.full((count, 1), 2), answer], dim=1)
        scored = torch.zeros_like(ids, dtype=torch.bool)
        scored[:, -1] = True
        return Batch(ids, scored)


@dataclass(frozen=True)
class Brackets:
    """A walk of opening and closing brackets, each closing what is open; then all that is left open is closed."""

    walk: int = 24
    """Brackets before the answer; what is still open afterwards must be closed, innermost first."""
    kinds: int = 4
    """Kinds of brackets."""

    def __post_init__(self) -> None:
        if self.walk < 2 or self.walk % 2 or self.kinds < 2:
            raise UserError(
                f"Brackets needs an even walk of 2 or more and 2 kinds or more, got {self.walk} and {self.kinds}."
            )

    @property
    def length(self) -> int:
        """The walk, a mark, and room to close half of it."""
        return self.walk + 1 + self.walk // 2

    @property
    def vocabulary_size(self) -> int:
        """Blank, mark, opening and closing brackets."""
        return 2 + 2 * self.kinds

    @property
    def chance(self) -> float:
        """Of guessing among the closing brackets."""
        return math.log(self.kinds)

    @property
    def expected(self) -> str:
        """Hewitt and others; Yao and others, arXiv 2105.11115."""
        return (
            "two layers of attention and recurrent networks learn bounded depth; a short window forgets what was opened"
        )

    def sample(self, count: int, generator: torch.Generator) -> Batch:
        """``(count, walk + 1 + walk / 2)``; after the last bracket come blanks, which are not scored."""
        ids = torch.zeros(count, self.length, dtype=torch.int64)
        scored = torch.zeros(count, self.length, dtype=torch.bool)
        kinds = drawn(count, self.walk, self.kinds, generator).tolist()
        # Openings are a little likelier than closings, so that something is left to close.
        closes = (torch.rand(count, self.walk, generator=generator) < 0.4).tolist()
        for row in range(count):
            stack: list[int] = []
            for place in range(self.walk):
                if stack and (closes[row][place] or len(stack) == self.walk // 2):
                    ids[row, place] = 2 + self.kinds + stack.pop()
                else:
                    stack.append(kinds[row][place])
                    ids[row, place] = 2 + kinds[row][place]
            ids[row, self.walk] = 1
            for place, kind in enumerate(reversed(stack), self.walk + 1):
                ids[row, place] = 2 + self.kinds + kind
                scored[row, place] = True
        return Batch(ids, scored)
