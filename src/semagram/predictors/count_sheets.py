"""Sheets of counts: n-gram models of several orders over one index, worked out row by row from whole numbers.

The Kneser-Ney model of order o (formula: ``kneser_ney``) counts occurrences of its longest grams, of o + 1 symbols, and
different left neighbours of all shorter ones. Those neighbours do not depend on o, so the models of all orders share
one chain of shorter contexts, and each adds one last step of its own. What is kept is an index of the text's grams and
two counts a gram; the index may have several *sheets* of counts (a text without this block, without that block),
and rows of different sheets are worked out together.

Tested against ``KneserNey.fit`` and ``cross_fitted_log_probs`` of every order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from semagram.errors import UserError
from semagram.predictors.gram_trie import GramTrie
from semagram.predictors.kneser_ney import discounts

_CELLS_KEPT = 2**24
"""Probabilities of short contexts kept at hand, over all sheets (64 MB), twice."""
_CELLS_AT_ONCE = 2**22
"""Probabilities worked out in one go."""


@dataclass(frozen=True, eq=False)
class Counted:
    """A text's index and where its grams stand; what ``Experts`` and ``CrossFitted`` are made from."""

    ids: np.ndarray
    """``(n,)``, the text."""
    orders: tuple[int, ...]
    """Ascending."""
    trie: GramTrie
    """All grams of up to ``orders[-1] + 1`` symbols."""
    places: list[np.ndarray]
    """``places[k][s]``: the node of the k-gram that starts at s."""

    @staticmethod
    def of(ids: np.ndarray, vocabulary_size: int, orders: Sequence[int]) -> Counted:
        """Index ``ids`` ``(n,)``, n >= 1, values 0..v-1; ``UserError`` otherwise."""
        if not orders or min(orders) < 0 or list(orders) != sorted(set(orders)):
            raise UserError(f"orders must be whole numbers of at least 0, ascending; got {tuple(orders)}.")
        trie, places = GramTrie.build(ids, vocabulary_size, orders[-1] + 1)
        return Counted(np.asarray(ids), tuple(orders), trie, places)

    def sheet(self, begin: int = 0, end: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Occurrences and left neighbours ``(N + 2,)`` int32 of every gram in the text without ``begin .. end - 1``:
        grams that touch that block are not there."""
        trie, places, n = self.trie, self.places, self.places[1].size
        occurrences = np.zeros(trie.nothing + 1, dtype=np.int32)
        neighbours = np.zeros(trie.nothing + 1, dtype=np.int32)
        for k in range(trie.longest, 0, -1):
            first, last = trie.levels[k], trie.levels[k + 1]
            starts = places[k]
            if end > begin:
                starts = np.concatenate([starts[: max(begin - k + 1, 0)], starts[end:]])
            occurrences[first:last] = np.bincount(starts - first, minlength=last - first)
            if k < trie.longest:
                longer = np.flatnonzero(occurrences[last : trie.levels[k + 2]]) + last
                neighbours[first:last] = np.bincount(trie.suffix[longer] - first, minlength=last - first)
                # A gram with which a piece of text begins has one left neighbour more: the beginning.
                openings = [s for s in (0, end) if s + k <= (begin if s < begin else n) and not begin <= s < end]
                neighbours[np.unique([places[k][s] for s in openings]).astype(np.int64)] += 1
        return occurrences, neighbours


class Sheets:
    """Rows from counts. A *sheet* is one set of counts of all grams of the index; every row names its sheet."""

    def __init__(self, trie: GramTrie, orders: tuple[int, ...], sheets: list[tuple[np.ndarray, np.ndarray]]) -> None:
        self.trie, self.orders = trie, orders
        self._starts = trie.starts()
        self._symbol = np.concatenate([[0], trie.codes % trie.vocabulary_size]).astype(np.int32)
        self._size = trie.nothing + 1
        self._counts = [np.concatenate([sheet[kind] for sheet in sheets]) for kind in (0, 1)]
        """Occurrences and neighbours, ``(S x (N + 2),)``."""
        self._taken = np.zeros((2, trie.longest + 1, len(sheets), 4))
        """``(kind, level, sheet, 4)``: the discount of counts 0, 1, 2, 3 or more."""
        for s, sheet in enumerate(sheets):
            for kind in (0, 1):
                for k in range(1, trie.longest + 1):
                    self._taken[kind, k, s] = discounts(sheet[kind][trie.levels[k] : trie.levels[k + 1]])
        self._shallow = self._shallow_rows(len(sheets))

    def rows(self, contexts: np.ndarray, sheets: np.ndarray) -> np.ndarray:
        """Log-probabilities ``(b, K, v)`` float32 after contexts kept as nodes ``(b, longest)``, one row an order.

        ``sheets`` ``(b,)``: which counts each row is worked out from.
        """
        result = np.empty((contexts.shape[0], len(self.orders), self.trie.vocabulary_size), dtype=np.float32)
        step = max(_CELLS_AT_ONCE // result[0].size, 1) if result.size else 1
        for begin in range(0, contexts.shape[0], step):
            part = slice(begin, begin + step)
            self._fill(result[part], contexts[part], sheets[part])
        return np.log(result, out=result)

    def _fill(self, out: np.ndarray, contexts: np.ndarray, sheets: np.ndarray) -> None:
        """Probabilities of every order, ``out (b, K, v)``."""
        place = {order: i for i, order in enumerate(self.orders)}
        level, chain, own = self._shallow
        # Column k of ``known``: the longest context of up to k symbols that the index has.
        known = contexts[:, 0]
        base = sheets * chain.shape[1]
        flat_chain, flat_own = chain.reshape(-1, chain.shape[2]), own.reshape(-1, own.shape[2])
        for k in range(level + 1):
            found = contexts[:, k] != self.trie.nothing
            if k in place:
                np.take(flat_chain, base + known, axis=0, out=out[:, place[k]], mode="clip")
                here = np.flatnonzero(found)
                out[here, place[k]] = flat_own[base[here] + contexts[here, k]]
            known = np.where(found, contexts[:, k], known)
        p = flat_chain[base + known]
        for k in range(level + 1, self.trie.longest):
            self._longer(p, contexts[:, k], sheets, k, out, place.get(k))

    def _longer(
        self, p: np.ndarray, nodes: np.ndarray, sheets: np.ndarray, k: int, out: np.ndarray, at: int | None
    ) -> None:
        """From contexts of k - 1 symbols to those of k: by occurrences into ``out[:, at]`` (``out (b, K, v)``,
        contiguous), and ``p (b, v)`` along the chain of neighbours in place, unless k is the longest."""
        first = self._starts[nodes]
        many = self._starts[nodes + 1] - first
        row = np.repeat(np.arange(nodes.size), many)
        gram = np.repeat(first - (np.cumsum(many) - many), many)
        gram += np.arange(row.size)
        symbol, sheet = self._symbol[gram], sheets[row]
        gram += sheet * self._size
        sheet *= 4
        if at is not None:
            rest, added = self._share(0, k + 1, gram, sheet, row, nodes.size)
            np.multiply(p, rest, out=out[:, at])
            out.reshape(-1)[row * (out.shape[1] * out.shape[2]) + (symbol + at * p.shape[1])] += added
        if k + 1 < self.trie.longest:
            rest, added = self._share(1, k + 1, gram, sheet, row, nodes.size)
            p *= rest
            p.reshape(-1)[row * p.shape[1] + symbol] += added

    def _share(
        self, kind: int, level: int, gram: np.ndarray, sheet: np.ndarray, row: np.ndarray, rows: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """What is left to the shorter context ``(b, 1)``, and what each gram adds by itself."""
        count = self._counts[kind][gram]
        taken = self._taken[kind, level].reshape(-1)[sheet + np.minimum(count, 3)]
        total = np.bincount(row, weights=count, minlength=rows)
        given = np.bincount(row, weights=taken, minlength=rows)
        inverse = 1.0 / np.maximum(total, 1.0)
        rest = np.where(total > 0, given * inverse, 1.0).astype(np.float32)
        return rest[:, None], ((count - taken) * inverse[row]).astype(np.float32)

    def _shallow_rows(self, sheets: int) -> tuple[int, np.ndarray, np.ndarray]:
        """Every context of up to ``level`` symbols, worked out beforehand: level, and ``(S, nodes, v)`` float32 of the
        chain and by occurrences."""
        trie, v = self.trie, self.trie.vocabulary_size
        fit = trie.levels[1:-1] * v * sheets <= _CELLS_KEPT
        level = min(max(int(fit.sum()) - 1, 0), trie.longest - 1)
        chain = np.empty((sheets, int(trie.levels[level + 1]), v), dtype=np.float32)
        own = np.empty_like(chain)
        for s in range(sheets):
            for k in range(level + 1):
                here = slice(int(trie.levels[k]), int(trie.levels[k + 1]))
                p = chain[s, trie.suffix[here]] if k else np.full((1, v), 1.0 / v, dtype=np.float32)
                nodes = np.arange(here.start, here.stop)
                self._longer(p, nodes, np.full(nodes.size, s), k, own[s, here, None], 0)
                chain[s, here] = p
        return level, chain, own
