"""The gram trie: every n-gram of a text up to some length, as one sorted array of integers.

Node 0 is the empty gram. Node j >= 1 is the gram that prolongs gram ``codes[j - 1] // v`` by the symbol
``codes[j - 1] % v``. Nodes are numbered level by level (all 1-grams, then all 2-grams, ...), each level in the
order of its codes, so that ``codes`` is sorted as a whole: finding a prolonged gram is one binary search, and
the grams that prolong a gram stand side by side. Nothing is hashed and nothing overflows: a code is below
(number of grams) x v however long the grams. Every gram also knows its ``suffix``, the gram without its first symbol,
which is where back-off goes. One node more, ``nothing``, stands for "not in the text" and for what is below node 0.

The layout is that of back-off language model toolkits (Heafield 2011, KenLM); built by counting sort, level by
level. Tested against Python dictionaries of tuples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semagram.errors import UserError


def distinct(codes: np.ndarray, bound: int) -> tuple[np.ndarray, np.ndarray]:
    """The sorted distinct values of ``codes`` ``(n,)``, all in ``[0, bound)``, and the place of each code among
    them ``(n,)``. A table when the range is small against n, which is the fast case; otherwise a sort."""
    if bound > 16 * codes.size + 1024:
        return np.unique(codes, return_inverse=True)
    seen = np.zeros(bound, dtype=bool)
    seen[codes] = True
    values = np.flatnonzero(seen)
    place = np.empty(bound, dtype=np.int32)
    place[values] = np.arange(values.size, dtype=np.int32)
    return values, place[codes]


@dataclass(frozen=True)
class GramTrie:
    """All grams of a text: see the module's docstring. N grams; nodes 0..N; ``nothing`` is node N + 1."""

    vocabulary_size: int
    """v: symbols are 0..v-1."""
    codes: np.ndarray
    """``(N,)`` int64, sorted: node of the gram without its last symbol, times v, plus the last symbol."""
    suffix: np.ndarray
    """``(N + 2,)`` int64: node of the gram without its first symbol; ``nothing`` for nodes 0 and ``nothing``."""
    levels: np.ndarray
    """``(longest + 2,)`` int64: nodes of k-grams are ``levels[k]`` to ``levels[k + 1] - 1``."""

    @staticmethod
    def build(ids: np.ndarray, vocabulary_size: int, longest: int) -> tuple[GramTrie, list[np.ndarray]]:
        """Index ``ids`` ``(n,)`` up to grams of ``longest`` symbols.

        Returns the trie and ``places``: ``places[k][s]`` is the node of the k-gram that starts at s
        (``places[0]`` is all zeros). Raises ``UserError`` for an empty text, ids out of range or longest < 1.
        """
        ids = checked_ids(ids, vocabulary_size)
        if ids.size == 0:
            raise UserError("An n-gram model needs at least 1 token of training text, got 0.")
        if longest < 1:
            raise UserError(f"The longest gram must have at least 1 symbol, got {longest}.")
        codes, suffixes, levels = [], [], [0, 1]
        places = [np.zeros(ids.size + 1, dtype=np.int32)]
        for k in range(1, longest + 1):
            shorter = places[k - 1]
            parents = shorter[: max(ids.size - k + 1, 0)].astype(np.int64)
            local = (parents - levels[k - 1]) * vocabulary_size + ids[k - 1 :]
            values, place = distinct(local, (levels[k] - levels[k - 1]) * vocabulary_size)
            codes.append(values + levels[k - 1] * vocabulary_size)
            suffix = np.empty(values.size, dtype=np.int64)
            suffix[place] = shorter[1 : parents.size + 1]
            suffixes.append(suffix)
            places.append((place + levels[k]).astype(np.int32))
            levels.append(levels[k] + values.size)
        ends = np.array([levels[-1]])
        trie = GramTrie(
            vocabulary_size,
            np.concatenate(codes),
            np.concatenate([ends, *suffixes, ends]),
            np.array(levels, dtype=np.int64),
        )
        return trie, places

    @property
    def longest(self) -> int:
        """Symbols of the longest grams."""
        return self.levels.size - 2

    @property
    def nothing(self) -> int:
        """The node that stands for a gram that is not in the text."""
        return self.codes.size + 1

    def parents(self) -> np.ndarray:
        """``(N,)`` int64: the node of gram j + 1 without its last symbol."""
        return self.codes // self.vocabulary_size

    def starts(self) -> np.ndarray:
        """``(N + 3,)`` int64: the grams that prolong node j are nodes ``starts[j]`` to ``starts[j + 1] - 1``."""
        sizes = np.bincount(self.parents(), minlength=self.nothing + 1)
        return np.concatenate([[0], np.cumsum(sizes)]) + 1

    def find(self, nodes: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        """The node of every gram prolonged by a symbol, elementwise; ``nothing`` where the text has none."""
        wanted = nodes * self.vocabulary_size + symbols
        at = np.minimum(np.searchsorted(self.codes, wanted), self.codes.size - 1)
        return np.where(self.codes[at] == wanted, at + 1, self.nothing)

    def empty_contexts(self, batch: int) -> np.ndarray:
        """``(batch, longest)`` int64: the contexts of rows in which nothing is written yet (see ``advance``)."""
        nodes = np.full((batch, self.longest), self.nothing, dtype=np.int64)
        nodes[:, 0] = 0
        return nodes

    def advance(self, contexts: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        """Contexts after one more symbol a row: ``(b, longest)`` and ``(b,)`` -> ``(b, longest)`` int64.

        Column k holds the node of the last k symbols, ``nothing`` when the text has no such gram.
        """
        after = np.empty_like(contexts)
        after[:, 0] = 0
        after[:, 1:] = self.find(contexts[:, :-1], symbols[:, None])
        return after

    def walk(self, contexts: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """``advance`` over ``ids`` ``(b, m)`` at once: contexts before each id and after the last one,
        ``(b, m + 1, longest)`` int64, equal to m steps."""
        batch, length = ids.shape
        nodes = np.full((batch, length + 1, self.longest), self.nothing, dtype=np.int64)
        nodes[:, 0] = contexts
        nodes[:, :, 0] = 0
        for k in range(1, self.longest):
            nodes[:, 1:, k] = self.find(nodes[:, :-1, k - 1], ids)
        return nodes


def checked_ids(ids: np.ndarray, vocabulary_size: int) -> np.ndarray:
    """``ids`` as int64; raises ``UserError`` unless v >= 1 and every id is in 0..v-1."""
    if vocabulary_size < 1:
        raise UserError(f"vocabulary_size must be at least 1, got {vocabulary_size}.")
    ids = np.asarray(ids)
    if ids.size and not np.issubdtype(ids.dtype, np.integer):
        raise UserError(f"ids must be integers, got {ids.dtype}.")
    ids = ids.astype(np.int64)
    if ids.size and (ids.min() < 0 or ids.max() >= vocabulary_size):
        raise UserError(f"ids must be in 0..{vocabulary_size - 1}, got {ids.min()}..{ids.max()}.")
    return ids
