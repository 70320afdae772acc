"""Recall: what stood beside this token before?

``Recall`` is multi-query associative recall (MQAR, Zoology, arXiv 2312.04927): pairs of key and value, then keys again,
each to be followed by its value. ``Induction`` (2209.11895; as in Mamba, 2312.00752) asks once, for the token after a
marked one. ``Hops`` (k-hop induction, 2402.09268) goes from answer to next question k times.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from semagram.errors import UserError
from semagram.lab.tasks.contract import Batch, distinct, drawn


@dataclass(frozen=True)
class Recall:
    """``pairs`` of key and value, ``gap`` blanks, then every key again in another order, each followed by its value."""

    pairs: int = 8
    """Pairs to remember."""
    keys: int = 32
    """Different keys."""
    values: int = 32
    """Different values."""
    gap: int = 0
    """Blanks between the last pair and the first question: the least distance is about as much."""

    def __post_init__(self) -> None:
        if not 1 <= self.pairs <= self.keys or self.values < 2 or self.gap < 0:
            raise UserError(
                f"Recall needs 1 to {self.keys} pairs (as many as keys), 2 values and a gap of 0 or more, "
                f"got {self.pairs}, {self.values} and {self.gap}."
            )

    @property
    def length(self) -> int:
        """Pairs, gap, questions with answers."""
        return 4 * self.pairs + self.gap

    @property
    def vocabulary_size(self) -> int:
        """A blank, keys, values."""
        return 1 + self.keys + self.values

    @property
    def chance(self) -> float:
        """Of guessing among all values."""
        return math.log(self.values)

    @property
    def expected(self) -> str:
        """Zoology's finding."""
        return (
            "attention solves it at any number of pairs; a window only within its reach; a fixed state up to its size"
        )

    def sample(self, count: int, generator: torch.Generator) -> Batch:
        """``(count, 4 pairs + gap)``."""
        keys = 1 + distinct(count, self.keys, self.pairs, generator)
        values = 1 + self.keys + drawn(count, self.pairs, self.values, generator)
        order = distinct(count, self.pairs, self.pairs, generator)
        shown = torch.stack([keys, values], dim=2)
        asked = torch.stack([keys.gather(1, order), values.gather(1, order)], dim=2)
        ids = torch.cat([shown.flatten(1), torch.zeros(count, self.gap, dtype=torch.int64), asked.flatten(1)], dim=1)
        scored = torch.zeros_like(ids, dtype=torch.bool)
        scored[:, 2 * self.pairs + self.gap + 1 :: 2] = True
        return Batch(ids, scored)


@dataclass(frozen=True)
class Induction:
    """Noise in which one mark is followed by a token; the mark again at the end asks for that token."""

    length: int = 64
    """Tokens of a sequence."""
    symbols: int = 16
    """Different tokens besides the mark."""

    def __post_init__(self) -> None:
        if self.length < 4 or self.symbols < 2:
            raise UserError(f"Induction needs a length of 4 and 2 symbols or more, got {self.length}, {self.symbols}.")

    @property
    def vocabulary_size(self) -> int:
        """The mark is id 0."""
        return 1 + self.symbols

    @property
    def chance(self) -> float:
        """Of guessing among the symbols."""
        return math.log(self.symbols)

    @property
    def expected(self) -> str:
        """Of induction heads, and of Mamba's table."""
        return "two layers of attention, or a selective state space, solve it; a window only within its reach"

    def sample(self, count: int, generator: torch.Generator) -> Batch:
        """``(count, length)``; the mark stands anywhere in the first ``length - 3`` places."""
        ids = 1 + drawn(count, self.length, self.symbols, generator)
        place = drawn(count, 1, self.length - 3, generator)
        ids.scatter_(1, place, 0)
        ids[:, -2] = 0
        ids[:, -1:] = ids.gather(1, place + 1)
        scored = torch.zeros_like(ids, dtype=torch.bool)
        scored[:, -1] = True
        return Batch(ids, scored)


@dataclass(frozen=True)
class Hops:
    """A permutation given as shuffled pairs (from, to); then a start, and where ``hops`` steps lead from it."""

    hops: int = 2
    """Steps to take."""
    places: int = 12
    """Places of the permutation."""

    def __post_init__(self) -> None:
        if self.hops < 1 or self.places < 2:
            raise UserError(f"Hops needs 1 hop and 2 places or more, got {self.hops} and {self.places}.")

    @property
    def length(self) -> int:
        """Pairs, a mark, the start and the end."""
        return 2 * self.places + 3

    @property
    def vocabulary_size(self) -> int:
        """The mark is id 0."""
        return 1 + self.places

    @property
    def chance(self) -> float:
        """Of guessing among the places."""
        return math.log(self.places)

    @property
    def expected(self) -> str:
        """Sanford and others."""
        return "depth about log2 of the hops suffices for attention; shallower or recurrent networks fail"

    def sample(self, count: int, generator: torch.Generator) -> Batch:
        """``(count, 2 places + 3)``."""
        leads = distinct(count, self.places, self.places, generator)
        order = distinct(count, self.places, self.places, generator)
        pairs = torch.stack([order, leads.gather(1, order)], dim=2).flatten(1)
        start = drawn(count, 1, self.places, generator)
        end = start
        for _ in range(self.hops):
            end = leads.gather(1, end)
        ids = torch.cat([1 + pairs, torch.zeros(count, 1, dtype=torch.int64), 1 + start, 1 + end], dim=1)
        scored = torch.zeros_like(ids, dtype=torch.bool)
        scored[:, -1] = True
        return Batch(ids, scored)
