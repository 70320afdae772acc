"""A suffix array over contexts: all earlier occurrences of a context of any length, by binary search.

The places of a text are sorted by the symbol before them, then the one before that, and so on, up to ``reach``
symbols: the suffix array of the reversed text (Manber & Myers 1990, by prefix doubling: each sort doubles the depth).
All places whose contexts end alike then stand side by side, so what followed *any* context is one interval, found by
comparing integers into which several symbols are packed. Nothing is hashed. infini-gram (Liu et al. 2024) rests on the
same structure. Reference: a plain search through the text (tests/predictors/test_suffix.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semagram.errors import UserError
from semagram.predictors.gram_trie import checked_ids

BEFORE = -1
"""Stands for what is before the text; it differs from every symbol and sorts first."""


def symbols_per_word(vocabulary_size: int) -> int:
    """How many symbols of -1..v-1 fit in 62 bits: 10 for 65 characters, 3 for 50 000 subwords."""
    return int(62 / np.log2(vocabulary_size + 1))


@dataclass(frozen=True)
class ContextArray:
    """All n places of a text, sorted by the context before them."""

    vocabulary_size: int
    """v."""
    reach: int
    """Symbols of context that count."""
    places: np.ndarray
    """``(n,)`` int64: places 0..n-1 in the order of the contexts before them; of equal ones the earlier first."""
    words: np.ndarray
    """``(w, n)`` int64: the context of every sorted place, packed, ``symbols_per_word`` symbols a word."""

    @staticmethod
    def build(ids: np.ndarray, vocabulary_size: int, reach: int) -> ContextArray:
        """Sort the places of ``ids`` ``(n,)``, n >= 1. Raises ``UserError`` for an empty text or reach < 1."""
        ids = checked_ids(ids, vocabulary_size)
        if ids.size == 0:
            raise UserError("A suffix model needs at least 1 token of training text, got 0.")
        if reach < 1:
            raise UserError(f"reach must be at least 1, got {reach}.")
        per = symbols_per_word(vocabulary_size)
        before = np.concatenate([np.full(per, BEFORE), ids])
        first = np.zeros(ids.size, dtype=np.int64)
        for back in range(1, per + 1):
            first = first * (vocabulary_size + 1) + (before[per - back : per - back + ids.size] + 1)
        places, depth, key = np.argsort(first, kind="stable"), per, first
        while depth < reach:
            rank = np.empty(ids.size, dtype=np.int64)
            rank[places] = np.concatenate([[0], np.cumsum(key[places][1:] != key[places][:-1])])
            key = rank * (ids.size + 1) + _shifted(rank + 1, depth)
            places, depth = np.argsort(key, kind="stable"), 2 * depth
        words = [_shifted(first, per * j)[places] for j in range(-(-reach // per))]
        return ContextArray(vocabulary_size, reach, places, np.stack(words))

    def intervals(self, contexts: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Where the last ``length`` symbols of each context stand before a place of the text.

        contexts: ``(b, reach)``, the *latest* symbol first, -1 before the beginning; length: 1..reach. Returns begin
        and end ``(b,)``: the places are ``places[begin:end]``; none when the context is shorter than ``length``.
        """
        wide = self.words.shape[0] * symbols_per_word(self.vocabulary_size)
        inside = np.full((2, contexts.shape[0], wide), BEFORE, dtype=np.int64)
        inside[1] = self.vocabulary_size - 1
        inside[:, :, :length] = contexts[:, :length]
        begin, end = (
            self._search(self._packed(bound), above) for bound, above in zip(inside, (False, True), strict=True)
        )
        return begin, np.where(contexts[:, length - 1] == BEFORE, begin, end)

    def _packed(self, symbols: np.ndarray) -> np.ndarray:
        """``(b, w * per)`` symbols -> ``(w, b)`` words whose order is that of the symbols."""
        per = symbols_per_word(self.vocabulary_size)
        parts = symbols.reshape(symbols.shape[0], -1, per) + 1
        powers = np.int64(self.vocabulary_size + 1) ** np.arange(per - 1, -1, -1, dtype=np.int64)
        return np.moveaxis((parts * powers).sum(axis=2), 0, 1)

    def _search(self, wanted: np.ndarray, above: bool) -> np.ndarray:
        """Index of the first sorted context >= wanted ``(w, b)``, or > wanted when ``above``: ``(b,)``."""
        low = np.searchsorted(self.words[0], wanted[0], side="left")
        high = np.searchsorted(self.words[0], wanted[0], side="right")
        for word, sought in zip(self.words[1:], wanted[1:], strict=True):
            low, high = _narrowed(word, sought, low, high, False), _narrowed(word, sought, low, high, True)
        return high if above else low


def _narrowed(word: np.ndarray, sought: np.ndarray, low: np.ndarray, high: np.ndarray, above: bool) -> np.ndarray:
    """The first index of ``low`` to ``high`` at which ``word``, sorted within each range, is >= (> when ``above``)
    the sought one; all ranges at once."""
    while (low < high).any():
        middle = (low + high) // 2
        here = word[np.minimum(middle, word.size - 1)]
        below = (here <= sought if above else here < sought) & (low < high)
        low, high = np.where(below, middle + 1, low), np.where(below, high, middle)
    return low


def _shifted(values: np.ndarray, by: int) -> np.ndarray:
    """``values`` moved ``by`` places to the right, 0 (nothing but ``BEFORE``) where they come from before the text."""
    return np.concatenate([np.zeros(min(by, values.size), dtype=np.int64), values[: max(values.size - by, 0)]])
