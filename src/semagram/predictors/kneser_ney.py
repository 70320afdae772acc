"""Interpolated modified Kneser-Ney: the strongest plain n-gram smoothing, exact and normalised.

Paper: Chen & Goodman 1998, "An Empirical Study of Smoothing Techniques for Language Modeling". For a context c
of k symbols, c' the same without its oldest symbol, and n(c w) the number of times w follows c:

    p(w | c) = (n(c w) - D_k(n(c w))) / n(c)  +  g(c) p(w | c'),     g(c) = sum_w D_k(n(c w)) / n(c)

At the longest contexts n counts occurrences; at all shorter ones it counts *different left neighbours* of the
gram c w (a symbol that follows many things is likely after something new), where the beginning of the text is
one more left neighbour. D_k(1), D_k(2), D_k(3 or more) come from the counts of counts of the order. Below the empty
context stands the uniform distribution 1/v, so nothing is impossible; an unseen context hands over to c'.

Tested against a textbook implementation on dictionaries (tests/predictors/test_kneser_ney.py) and against the
figures of two independent implementations on tiny Shakespeare.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from semagram.errors import UserError
from semagram.predictors.gram_trie import GramTrie, checked_ids, distinct

_CELLS_AT_ONCE = 2**24
"""Probabilities computed in one go (128 MB of float64); longer requests are cut in pieces."""
_CELLS_KEPT = 2**20
"""Probabilities of short contexts that a model keeps at hand once it is asked row by row (8 MB)."""
_WORTH_SHARING = 512
"""Rows from which finding the shorter contexts they share is cheaper than working each out."""


def discounts(counts: np.ndarray) -> np.ndarray:
    """``(4,)`` float64: what is taken from a count of 0, 1, 2, and 3 or more (Chen & Goodman, equation 26).

    D(j) = j - (j + 1) Y n_{j+1} / n_j with Y = n_1 / (n_1 + 2 n_2). Where a count of counts vanishes (tiny texts,
    tiny vocabularies) the estimate is void and D(j) = 0.5, 0.75, 0.9 is used; and D(j) is kept within 0.1 to j,
    so that every distribution gives something to the shorter context.
    """
    n = np.bincount(np.minimum(counts, 5), minlength=6)
    result = np.array([0.0, 0.5, 0.75, 0.9])
    for j in (1, 2, 3):
        if n[1] and n[2] and n[j] and n[j + 1]:
            y = n[1] / (n[1] + 2 * n[2])
            result[j] = min(max(j - (j + 1) * y * n[j + 1] / n[j], 0.1), j)
    return result


def occurrences(trie: GramTrie, places: list[np.ndarray]) -> np.ndarray:
    """How often each gram of full length occurs ``(grams of full length,)``; ``places`` from ``GramTrie.build``."""
    first, last = trie.levels[trie.longest], trie.levels[trie.longest + 1]
    return np.bincount(places[trie.longest] - first, minlength=last - first)


def left_neighbours(trie: GramTrie, longest: np.ndarray, openings: list[np.ndarray]) -> np.ndarray:
    """Kneser-Ney counts ``(N + 2,)`` int64 of every node.

    longest: ``occurrences`` of the longest grams. openings: for each k below the longest, the nodes of the k-grams with
    which a piece of text begins. The longest grams keep their occurrences; a shorter gram counts the different
    grams that prolong it to the left, plus one if a piece of text begins with it.
    """
    counts = np.zeros(trie.nothing + 1, dtype=np.int64)
    levels = trie.levels
    counts[levels[trie.longest] : levels[trie.longest + 1]] = longest
    for k in range(trie.longest - 1, 0, -1):
        first, last = levels[k], levels[k + 1]
        longer = np.flatnonzero(counts[last : levels[k + 2]]) + last
        counts[first:last] = np.bincount(trie.suffix[longer] - first, minlength=last - first)
        counts[np.unique(openings[k])] += 1
    return counts


class KneserNey:
    """A fitted model: p(symbol | up to ``order`` symbols before it). Build it with ``fit`` or ``from_arrays``."""

    def __init__(self, trie: GramTrie, counts: np.ndarray) -> None:
        """trie: the grams. counts: ``(N + 2,)`` from ``left_neighbours``."""
        self.trie = trie
        self.counts = counts
        self._starts = trie.starts()
        self._symbol = np.concatenate([[0], trie.codes % trie.vocabulary_size])
        parents = trie.parents()
        taken = np.zeros(trie.nothing + 1)
        for k in range(1, trie.longest + 1):
            level = slice(trie.levels[k], trie.levels[k + 1])
            taken[level] = discounts(counts[level])[np.minimum(counts[level], 3)]
        total = np.bincount(parents, weights=counts[1:-1], minlength=trie.nothing + 1)
        given = np.bincount(parents, weights=taken[1:-1], minlength=trie.nothing + 1)
        inverse = np.where(total > 0, 1.0 / np.maximum(total, 1.0), 0.0)
        self._own = np.zeros(trie.nothing + 1)
        """What node c w adds to p(w | c) by itself."""
        self._own[1:-1] = (counts[1:-1] - taken[1:-1]) * inverse[parents]
        self._rest = np.where(total > 0, given * inverse, 1.0)
        """g(c): the share of the shorter context."""

    @staticmethod
    def fit(ids: np.ndarray, vocabulary_size: int, order: int = 6) -> KneserNey:
        """Count ``ids`` ``(n,)``, n >= 1, values 0..v-1, order >= 0. Raises ``UserError`` for anything else."""
        if order < 0:
            raise UserError(f"order must be at least 0, got {order}.")
        trie, places = GramTrie.build(ids, vocabulary_size, order + 1)
        return KneserNey(trie, left_neighbours(trie, occurrences(trie, places), [p[:1] for p in places]))

    @property
    def order(self) -> int:
        """How many symbols before it a symbol is predicted from; grams of ``order + 1`` symbols are counted."""
        return self.trie.longest - 1

    @property
    def vocabulary_size(self) -> int:
        """v."""
        return self.trie.vocabulary_size

    def arrays(self) -> dict[str, np.ndarray]:
        """All there is to save; ``from_arrays`` gives the same model to the bit."""
        return {
            "vocabulary_size": np.array([self.vocabulary_size], dtype=np.int64),
            "codes": self.trie.codes,
            "suffix": self.trie.suffix,
            "levels": self.trie.levels,
            "counts": self.counts,
        }

    @staticmethod
    def from_arrays(arrays: dict[str, np.ndarray]) -> KneserNey:
        """The model that ``arrays`` came from. Raises ``UserError`` naming a missing array."""
        missing = {"vocabulary_size", "codes", "suffix", "levels", "counts"} - set(arrays)
        if missing:
            raise UserError(f"A saved n-gram model lacks {sorted(missing)}; it has {sorted(arrays)}.")
        trie = GramTrie(int(arrays["vocabulary_size"][0]), arrays["codes"], arrays["suffix"], arrays["levels"])
        return KneserNey(trie, arrays["counts"])

    def sequence_log_probs(self, ids: np.ndarray) -> np.ndarray:
        """Natural-log probability of every id of a text given those before it: ``(m,)`` -> ``(m,)`` float32.

        The first ids are predicted from what there is. Equal, to the bit, to picking from ``sequence_rows``.
        """
        ids = checked_ids(ids, self.vocabulary_size)
        p = np.full(ids.size, 1.0 / self.vocabulary_size)
        context = np.zeros(ids.size, dtype=np.int64)
        for _ in range(self.order + 1):
            gram = self.trie.find(context, ids)
            p = p * self._rest[context] + self._own[gram]
            context = np.concatenate([[self.trie.nothing], gram[:-1]])[: ids.size]
        return np.log(p).astype(np.float32)

    def sequence_rows(self, ids: np.ndarray, dtype: type = np.float32) -> np.ndarray:
        """Log-probabilities of every symbol at every place of a text: ``(m,)`` -> ``(m, v)`` of ``dtype``."""
        ids = checked_ids(ids, self.vocabulary_size)
        contexts = self.walk(self.empty_contexts(1), ids[None, :-1])[0, : ids.size]
        return self.rows(contexts, dtype)

    def log_probs(self, contexts: np.ndarray, dtype: type = np.float32) -> np.ndarray:
        """Log-probabilities after each context: ``(b, c)`` ids, oldest first, any c >= 0 (only the last
        ``order`` matter; -1 = before the text) -> ``(b, v)`` of ``dtype``."""
        last = np.asarray(contexts)[:, max(np.shape(contexts)[1] - self.order, 0) :]
        checked_ids(np.maximum(last, 0), self.vocabulary_size)
        nodes = self.empty_contexts(last.shape[0])
        for column in last.T.astype(np.int64):
            nodes = self.advance(nodes, column)
            nodes[column < 0] = self.empty_contexts(1)
        return self.rows(nodes, dtype)

    def empty_contexts(self, batch: int) -> np.ndarray:
        """Contexts, as nodes, of rows in which nothing is written yet: ``(batch, order + 1)`` int64."""
        return self.trie.empty_contexts(batch)

    def advance(self, contexts: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        """Contexts after one more symbol a row: ``(b, order + 1)`` and ``(b,)`` -> ``(b, order + 1)``."""
        return self.trie.advance(contexts, symbols)

    def walk(self, contexts: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """``advance`` over ``(b, m)`` ids at once -> ``(b, m + 1, order + 1)``: before each and after the last."""
        return self.trie.walk(contexts, ids)

    def rows(self, contexts: np.ndarray, dtype: type = np.float32) -> np.ndarray:
        """Log-probabilities after contexts kept as nodes (``advance``): ``(b, order + 1)`` -> ``(b, v)``.

        Few rows are worked out one by one, many by sharing what their contexts share; to the bit the same.
        """
        if contexts.shape[0] < _WORTH_SHARING:
            known = self._shallow_level
            p = self._shallow[self._last(contexts[:, : known + 1])]
            for k in range(known + 1, self.order + 1):
                self._lengthen(p, contexts[:, k])
            return np.log(p).astype(dtype)
        return self.rows_after(self._last(contexts), dtype)

    def rows_after(self, nodes: np.ndarray, dtype: type = np.float32) -> np.ndarray:
        """Log-probabilities after the context of each node: ``(b,)`` -> ``(b, v)``."""
        result = np.empty((nodes.size, self.vocabulary_size), dtype=dtype)
        step = max(_CELLS_AT_ONCE // self.vocabulary_size, 1)
        for begin in range(0, nodes.size, step):
            few, place = distinct(nodes[begin : begin + step], self.trie.nothing + 1)
            few_rows = np.log(self._probabilities(few, self.order + 1)).astype(dtype)
            np.take(few_rows, place, axis=0, out=result[begin : begin + step])
        return result

    def _last(self, contexts: np.ndarray) -> np.ndarray:
        """The longest context of each row that the text has: ``(b, c)`` -> ``(b,)``; column 0 always is one."""
        longest = contexts.shape[1] - 1 - (contexts[:, ::-1] != self.trie.nothing).argmax(axis=1)
        return contexts[np.arange(contexts.shape[0]), longest]

    def _probabilities(self, nodes: np.ndarray, levels: int) -> np.ndarray:
        """Probabilities ``(b, v)`` float64 after the context of each node; ``levels`` bounds the recursion.
        Every context is worked out once, however many longer ones share it."""
        if levels == 0:
            return np.full((nodes.size, self.vocabulary_size), 1.0 / self.vocabulary_size)
        shorter, place = distinct(self.trie.suffix[nodes], self.trie.nothing + 1)
        p = self._probabilities(shorter, levels - 1)[place]
        self._lengthen(p, nodes)
        return p

    def _lengthen(self, p: np.ndarray, nodes: np.ndarray) -> None:
        """Turn p(. | c') into p(. | c) in place: ``p`` ``(b, v)``, ``nodes`` ``(b,)`` the contexts c."""
        p *= self._rest[nodes][:, None]
        first = self._starts[nodes]
        count = self._starts[nodes + 1] - first
        before = np.cumsum(count) - count
        gram = np.arange(int(count.sum())) + np.repeat(first - before, count)
        cell = np.repeat(np.arange(nodes.size) * self.vocabulary_size, count) + self._symbol[gram]
        p.reshape(-1)[cell] += self._own[gram]

    @cached_property
    def _shallow_level(self) -> int:
        """Contexts up to this many symbols are few enough to keep all their distributions."""
        fit = self.trie.levels[1:-1] * self.vocabulary_size <= _CELLS_KEPT
        return max(int(fit.sum()) - 1, 0)

    @cached_property
    def _shallow(self) -> np.ndarray:
        """Probabilities after every context of up to ``_shallow_level`` symbols: ``(nodes, v)`` float64."""
        return self._probabilities(np.arange(self.trie.levels[self._shallow_level + 1]), self._shallow_level + 1)
