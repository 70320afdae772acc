"""Copying: say again what was said, as it was, from its end, or only what matters of it.

``Copy`` and ``Reverse`` (Neural Turing machines, arXiv 1410.5401); a gap makes the distance longer than a window.
``SelectiveCopy`` (Mamba, 2312.00752): the symbols stand among blanks, at places that differ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from semagram.errors import UserError
from semagram.lab.tasks.contract import Batch, distinct, drawn

BLANK, GO = 0, 1


@dataclass(frozen=True)
class Copy:
    """``size`` symbols, ``gap`` blanks, a mark, the symbols again."""

    size: int = 16
    """Symbols to say again."""
    symbols: int = 16
    """Different symbols."""
    gap: int = 0
    """Blanks between."""

    def __post_init__(self) -> None:
        _check("Copy", self.size, self.symbols, self.gap)

    @property
    def length(self) -> int:
        """Twice the symbols, the gap and the mark."""
        return 2 * self.size + self.gap + 1

    @property
    def vocabulary_size(self) -> int:
        """Blank, mark, symbols."""
        return 2 + self.symbols

    @property
    def chance(self) -> float:
        """Of guessing among the symbols."""
        return math.log(self.symbols)

    @property
    def expected(self) -> str:
        """Repeat After Me, arXiv 2402.01032."""
        return "attention copies it; a window shorter than the distance cannot; a state must be large enough to hold it"

    def sample(self, count: int, generator: torch.Generator) -> Batch:
        """``(count, 2 size + gap + 1)``."""
        said = 2 + drawn(count, self.size, self.symbols, generator)
        return _asked(said, said, self.gap)


@dataclass(frozen=True)
class Reverse:
    """``size`` symbols, a mark, the symbols from the last to the first."""

    size: int = 16
    """Symbols to say again."""
    symbols: int = 16
    """Different symbols."""

    def __post_init__(self) -> None:
        _check("Reverse", self.size, self.symbols, 0)

    @property
    def length(self) -> int:
        """Twice the symbols and the mark."""
        return 2 * self.size + 1

    @property
    def vocabulary_size(self) -> int:
        """Blank, mark, symbols."""
        return 2 + self.symbols

    @property
    def chance(self) -> float:
        """Of guessing among the symbols."""
        return math.log(self.symbols)

    @property
    def expected(self) -> str:
        """Of every architecture that sees it all."""
        return "attention solves it (positions needed); a window sees only the end; a state must hold it all"

    def sample(self, count: int, generator: torch.Generator) -> Batch:
        """``(count, 2 size + 1)``."""
        said = 2 + drawn(count, self.size, self.symbols, generator)
        return _asked(said, said.flip(1), 0)


@dataclass(frozen=True)
class SelectiveCopy:
    """``size`` symbols at random places among blanks, a mark, the symbols in their order without the blanks."""

    size: int = 8
    """Symbols to say again."""
    symbols: int = 16
    """Different symbols."""
    spread: int = 32
    """Places among which they stand."""

    def __post_init__(self) -> None:
        _check("SelectiveCopy", self.size, self.symbols, 0)
        if self.spread < self.size:
            raise UserError(f"SelectiveCopy needs a spread of at least its size, {self.size}, got {self.spread}.")

    @property
    def length(self) -> int:
        """Places, mark, symbols."""
        return self.spread + 1 + self.size

    @property
    def vocabulary_size(self) -> int:
        """Blank, mark, symbols."""
        return 2 + self.symbols

    @property
    def chance(self) -> float:
        """Of guessing among the symbols."""
        return math.log(self.symbols)

    @property
    def expected(self) -> str:
        """Mamba's table 1."""
        return "attention and selective state spaces solve it; convolutions and other fixed filters do not"

    def sample(self, count: int, generator: torch.Generator) -> Batch:
        """``(count, spread + 1 + size)``."""
        said = 2 + drawn(count, self.size, self.symbols, generator)
        places = distinct(count, self.spread, self.size, generator).sort(dim=1).values
        shown = torch.zeros(count, self.spread, dtype=torch.int64).scatter_(1, places, said)
        return _asked(shown, said, 0)


def _asked(shown: Tensor, answer: Tensor, gap: int) -> Batch:
    """What is shown, blanks, the mark, and the answer, which is scored."""
    blanks = torch.full((len(shown), gap + 1), BLANK)
    blanks[:, -1] = GO
    ids = torch.cat([shown, blanks, answer], dim=1)
    scored = torch.zeros_like(ids, dtype=torch.bool)
    scored[:, -answer.shape[1] :] = True
    return Batch(ids, scored)


def _check(name: str, size: int, symbols: int, gap: int) -> None:
    if size < 1 or symbols < 2 or gap < 0:
        raise UserError(f"{name} needs 1 symbol of 2 kinds and a gap of 0 or more, got {size}, {symbols} and {gap}.")
