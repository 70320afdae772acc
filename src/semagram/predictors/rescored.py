"""Rescored: what a left-to-right n-gram model says of one hidden token, given the text on both sides. Exact, and fast.

    f_o(w) = log p_o(w | before)  +  sum over j = 1 ... o of log p_o(t_j | ..., w, t_1, ..., t_{j-1})

for each order o, with t_j the tokens behind: by Bayes the log of p(w | both sides) up to a constant, since nothing
further behind depends on w. All orders come from one index (they share every shorter context, ``count_sheets``). Of all
w only those that the text has in such a place need work: a context that was never seen hands over to the shorter one,
and the longer ones that hold it were not seen either. Read backwards (``Rescored.fit(ids[::-1], ...)``) it is the
evidence of a model that writes from right to left, which smooths differently.

Shapes: ``before (m, a)`` and ``behind (m, c)``, nearest token first, the id v for "no text"; result ``(m, K, v)``.
Tested against ``verbs.cloze`` with one ``KneserNey`` of each order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from semagram.predictors.count_sheets import Counted
from semagram.predictors.kneser_ney import discounts

_PLACES_AT_ONCE = 4096


class Rescored:
    """Kneser-Ney models of several orders, asked for what is hidden."""

    def __init__(self, counted: Counted) -> None:
        """Counts of the whole text."""
        trie = counted.trie
        self.trie, self.orders = trie, counted.orders
        parents = trie.parents()
        self._own, self._rest = [], []
        for counts in counted.sheet():  # occurrences, neighbours
            taken = np.zeros(trie.nothing + 1)
            for k in range(1, trie.longest + 1):
                level = slice(trie.levels[k], trie.levels[k + 1])
                taken[level] = discounts(counts[level])[np.minimum(counts[level], 3)]
            total = np.bincount(parents, weights=counts[1:-1], minlength=trie.nothing + 1)
            given = np.bincount(parents, weights=taken[1:-1], minlength=trie.nothing + 1)
            inverse = np.where(total > 0, 1.0 / np.maximum(total, 1.0), 0.0)
            own = np.zeros(trie.nothing + 1)
            own[1:-1] = (counts[1:-1] - taken[1:-1]) * inverse[parents]
            self._own.append(own)
            self._rest.append(np.where(total > 0, given * inverse, 1.0))

    @staticmethod
    def fit(ids: np.ndarray, vocabulary_size: int, orders: Sequence[int]) -> Rescored:
        """Count the text ``(n,)``; ``orders`` ascending. Raises ``UserError`` as ``Counted.of`` does."""
        return Rescored(Counted.of(ids, vocabulary_size, orders))

    @property
    def vocabulary_size(self) -> int:
        """v."""
        return self.trie.vocabulary_size

    def evidence(self, before: np.ndarray, behind: np.ndarray) -> np.ndarray:
        """``(m, K, v)`` float32, each row's logarithms normalised over w; a and c at least the longest order (or all
        there is)."""
        parts = [
            self._some(before[at : at + _PLACES_AT_ONCE], behind[at : at + _PLACES_AT_ONCE])
            for at in range(0, before.shape[0], _PLACES_AT_ONCE)
        ]
        return np.concatenate(parts)

    def _some(self, before: np.ndarray, behind: np.ndarray) -> np.ndarray:
        v, m, most = self.vocabulary_size, before.shape[0], self.orders[-1]
        # left[k]: the node of the k tokens before.
        left = [np.zeros(m, dtype=np.int64)]
        for k in range(1, most + 1):
            left.append(self._backwards(before, k))
        told = np.zeros((m, len(self.orders), v))
        w = np.tile(np.arange(v), m)
        rows = np.repeat(np.arange(m), v)
        for j in range(min(most, behind.shape[1]) + 1):
            self._add(told, left, rows, w, behind, j)
        told -= np.logaddexp.reduce(told, axis=2, keepdims=True)
        return told.astype(np.float32)

    def _backwards(self, before: np.ndarray, k: int) -> np.ndarray:
        """The node of the last k tokens before, ``nothing`` where there is none (or no text)."""
        trie = self.trie
        if before.shape[1] < k:
            return np.full(before.shape[0], trie.nothing, dtype=np.int64)
        node = np.zeros(before.shape[0], dtype=np.int64)
        outside = (before[:, :k] >= trie.vocabulary_size).any(axis=1)
        for at in range(k - 1, -1, -1):
            node = trie.find(node, np.minimum(before[:, at], trie.vocabulary_size - 1))
        return np.where(outside, trie.nothing, node)

    def _add(
        self, told: np.ndarray, left: list[np.ndarray], rows: np.ndarray, w: np.ndarray, behind: np.ndarray, j: int
    ) -> None:
        """The term of the j-th token behind (0: of w itself), for every order that reaches it."""
        trie, v, most = self.trie, self.vocabulary_size, self.orders[-1]
        m = told.shape[0]
        there = np.asarray(np.less(behind[:, :j], v).all(axis=1, keepdims=True))
        asked = w if j == 0 else np.minimum(behind[rows, j - 1], v - 1)
        # Contexts shorter than j do not hold w: their part is the same for all w and is worked out row by row.
        p, out = np.full(m, 1.0 / v), {}
        chain = np.repeat(p, v)
        if j:
            symbol = np.minimum(behind[:, j - 1], v - 1)
            for k in range(j):
                node = self._of_behind(behind, j - 1, k)
                p = p * self._rest[1][node] + self._own[1][trie.find(node, symbol)]
            chain = np.repeat(p, v)
        # From here on: a tokens before w, w, and the j - 1 after it are the context.
        alive = np.arange(rows.size)
        for length in range(j, most + 1):
            taken = length - j if j else length
            node = left[taken][rows[alive]]
            if j:
                node = trie.find(node, w[alive])
                for i in range(j - 1):
                    known = node != trie.nothing
                    node[known] = trie.find(node[known], np.minimum(behind[rows[alive[known]], i], v - 1))
            known = node != trie.nothing
            alive, node = alive[known], node[known]
            gram = trie.find(node, asked[alive])
            if length in self.orders:
                at = chain.copy()
                at[alive] = at[alive] * self._rest[0][node] + self._own[0][gram]
                out[length] = at
            if length < most:
                chain[alive] = chain[alive] * self._rest[1][node] + self._own[1][gram]
        for i, order in enumerate(self.orders):
            if order >= j:
                told[:, i] += np.where(there, np.log(out[order].reshape(m, v)), 0.0)

    def _of_behind(self, behind: np.ndarray, stop: int, k: int) -> np.ndarray:
        """The node of the k tokens behind w that end before the one at index ``stop``."""
        trie = self.trie
        node = np.zeros(behind.shape[0], dtype=np.int64)
        for at in range(stop - k, stop):
            node = trie.find(node, np.minimum(behind[:, at], trie.vocabulary_size - 1))
        return node
