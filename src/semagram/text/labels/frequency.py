"""How frequent a word is: its class by rank in a table that was made beforehand.

Class 1 holds the ``first`` most frequent words, each further class twice as many as the one before (Zipf's law gives
all of them a like share of a text); words that the table lacks are "rare". The table is part of the configuration, so
that a text never says how frequent its own words are: take it from a training text with ``WordFrequency.of``, or leave
the words of ``common_words.txt``. A word is labelled as a whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files

from semagram.errors import UserError
from semagram.text.labels.contract import NONE, WordLabeller
from semagram.text.labels.words import WORD


@cache
def common_words() -> tuple[str, ...]:
    """English words in lower case, the most frequent first, counted over public texts (see ``docs/labels.md``)."""
    return tuple(files("semagram.text.labels").joinpath("common_words.txt").read_text("utf-8").split())


@dataclass(frozen=True)
class WordFrequency(WordLabeller):
    """The class of frequency of each word."""

    words: tuple[str, ...] = ()
    """The table, in lower case, the most frequent first; empty: the English one that comes with semagram."""
    first: int = 8
    """Words in class 1."""

    def __post_init__(self) -> None:
        if self.first < 1:
            raise UserError(f"the first class of frequency must hold at least 1 word, got {self.first}.")

    @classmethod
    def of(cls, text: str, most: int = 4000, first: int = 8) -> WordFrequency:
        """With the ``most`` frequent words of ``text``; equally frequent ones in alphabetical order."""
        counts = Counter(word.lower() for word in WORD.findall(text))
        return cls(tuple(sorted(counts, key=lambda word: (-counts[word], word))[:most]), first)

    def names(self) -> tuple[str, ...]:
        """none, "first 8", "first 24", ..., "rare"."""
        return self._names

    def letters(self, word: str) -> Sequence[int]:
        """The same tag on each letter."""
        rank = self._ranks.get(word.lower())
        # Classes of first, 2 first, 4 first, ... words: class c ends before rank first (2^c - 1).
        tag = len(self._names) - 1 if rank is None else (rank // self.first + 1).bit_length()
        return [tag] * len(word)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        ends, end, size = [], 0, self.first
        while end < len(self._ranks):
            end += size
            size *= 2
            ends.append(f"first {end}")
        return (NONE, *ends, "rare")

    @cached_property
    def _ranks(self) -> dict[str, int]:
        return {word: rank for rank, word in reversed(list(enumerate(self.words or common_words())))}
