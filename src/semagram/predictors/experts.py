"""Experts: Kneser-Ney models of several orders over one index, answered together, also as if a block were unread.

The model of order o (see ``kneser_ney``) counts occurrences of its longest grams, of o + 1 symbols, and different
left neighbours of all shorter ones. Those neighbours do not depend on o, so the models of all orders share one chain
of shorter contexts, and each adds one last step of its own. What is kept are whole numbers only, an index of the
text's grams and two counts a gram; a row is worked out when it is asked for.

``CrossFitted`` keeps such counts once a fold, without the grams that touch the fold's block (see ``cross_fitting``), and
answers for the places of the training text, some thousands at a time, as a training step needs them. All folds share the
index, and rows of different folds are worked out together.

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
            self._longer(p, contexts[:, k], sheets, k, out[:, place[k]] if k in place else None)

    def _longer(self, p: np.ndarray, nodes: np.ndarray, sheets: np.ndarray, k: int, own: np.ndarray | None) -> None:
        """From contexts of k - 1 symbols to those of k, in place: ``p (b, v)`` along the chain of neighbours (unless k is
        the longest), ``own (b, v)`` by occurrences."""
        first = self._starts[nodes]
        many = self._starts[nodes + 1] - first
        row = np.repeat(np.arange(nodes.size), many)
        gram = np.arange(row.size) + np.repeat(first - (np.cumsum(many) - many), many)
        cell = row * p.shape[1] + self._symbol[gram]
        gram += sheets[row] * self._size
        for kind, target in ((0, own), (1, p if k + 1 < self.trie.longest else None)):
            if target is None:
                continue
            count = self._counts[kind][gram]
            taken = self._taken[kind, k + 1, sheets[row], np.minimum(count, 3)]
            total = np.bincount(row, weights=count, minlength=nodes.size)
            given = np.bincount(row, weights=taken, minlength=nodes.size)
            inverse = np.where(total > 0, 1.0 / np.maximum(total, 1.0), 0.0)
            rest = np.where(total > 0, given * inverse, 1.0).astype(np.float32)
            if kind == 0:
                np.multiply(p, rest[:, None], out=target)
            else:
                target *= rest[:, None]
            added = ((count - taken) * inverse[row]).astype(np.float32)
            if target.flags.c_contiguous:
                target.reshape(-1)[cell] += added
            else:
                target[row, cell - row * p.shape[1]] += added

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
                nodes = np.arange(trie.levels[k], trie.levels[k + 1])
                p = chain[s, trie.suffix[nodes]] if k else np.full((1, v), 1.0 / v, dtype=np.float32)
                self._longer(p, nodes, np.full(nodes.size, s), k, own[s, nodes[0] : nodes[-1] + 1])
                chain[s, nodes] = p
        return level, chain, own


class Experts:
    """Models of all orders, fitted to a whole text. The index's contexts, and one row an order."""

    def __init__(self, counted: Counted) -> None:
        """Counts of the whole text."""
        self._ids = counted.ids
        self._sheets = Sheets(counted.trie, counted.orders, [counted.sheet()])

    @staticmethod
    def fit(ids: np.ndarray, vocabulary_size: int, orders: Sequence[int]) -> Experts:
        """Count the training text ``(n,)``; ``orders`` ascending. Raises ``UserError`` as ``Counted.of`` does."""
        return Experts(Counted.of(ids, vocabulary_size, orders))

    @property
    def orders(self) -> tuple[int, ...]:
        """Of the models, ascending."""
        return self._sheets.orders

    @property
    def vocabulary_size(self) -> int:
        """v."""
        return self._sheets.trie.vocabulary_size

    def empty_contexts(self, batch: int) -> np.ndarray:
        """``(batch, c)``: nothing written yet."""
        return self._sheets.trie.empty_contexts(batch)

    def walk(self, contexts: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """``(b, c)`` and ``(b, m)`` -> ``(b, m, c)``: after each id. The id v stands for "no text before this"."""
        trie = self._sheets.trie
        nodes = np.full((ids.shape[0], ids.shape[1] + 1, trie.longest), trie.nothing, dtype=np.int64)
        nodes[:, 0] = contexts
        nodes[:, :, 0] = 0
        begins = ids == trie.vocabulary_size
        for k in range(1, trie.longest):
            found = trie.find(nodes[:, :-1, k - 1], np.where(begins, 0, ids))
            nodes[:, 1:, k] = np.where(begins, trie.nothing, found)
        return nodes[:, 1:]

    def rows(self, contexts: np.ndarray) -> np.ndarray:
        """Log-probabilities ``(b, c) -> (b, K, v)`` float32. A row's bits do not depend on its company."""
        return self._sheets.rows(contexts, np.zeros(contexts.shape[0], dtype=np.int64))

    def arrays(self) -> dict[str, np.ndarray]:
        """All there is to save. It is the text: far smaller than its grams, which are counted again in a second."""
        return {
            "ids": self._ids,
            "orders": np.array(self.orders, dtype=np.int64),
            "vocabulary_size": np.array([self.vocabulary_size], dtype=np.int64),
        }

    @staticmethod
    def from_arrays(arrays: dict[str, np.ndarray]) -> Experts:
        """The experts that ``arrays`` came from, to the bit. Raises ``UserError`` naming a missing array."""
        missing = {"ids", "orders", "vocabulary_size"} - set(arrays)
        if missing:
            raise UserError(f"saved n-gram experts lack {sorted(missing)}; they have {sorted(arrays)}.")
        return Experts.fit(arrays["ids"], int(arrays["vocabulary_size"][0]), tuple(arrays["orders"].tolist()))


class CrossFitted:
    """What the experts would have said at each place of the training text, had they not read its block."""

    def __init__(self, counted: Counted, folds: int) -> None:
        """``folds`` contiguous blocks of (nearly) equal length; ``UserError`` unless 2 <= folds <= n."""
        n = counted.places[1].size
        if not 2 <= folds <= n:
            raise UserError(f"folds must be between 2 and the number of tokens ({n}), got {folds}.")
        self._borders = np.array([fold * n // folds for fold in range(folds + 1)])
        self._places = counted.places
        blocks = zip(self._borders[:-1], self._borders[1:], strict=True)
        self._sheets = Sheets(counted.trie, counted.orders, [counted.sheet(int(b), int(e)) for b, e in blocks])

    def rows(self, starts: np.ndarray, count: int) -> np.ndarray:
        """Log-probabilities ``(b, count, K, v)`` float32 at the places ``start .. start + count - 1`` of the text.

        The contexts are the text's own, also those that reach back beyond ``start``: so the n-grams know as much
        at the first cell of a canvas as at the cells that count when a text is scored in overlapping canvases.
        """
        at = (starts[:, None] + np.arange(count)).reshape(-1)
        trie = self._sheets.trie
        contexts = np.full((at.size, trie.longest), trie.nothing, dtype=np.int64)
        contexts[:, 0] = 0
        for k in range(1, trie.longest):
            contexts[:, k] = np.where(at >= k, self._places[k][np.maximum(at - k, 0)], trie.nothing)
        fold = np.searchsorted(self._borders, at, side="right") - 1
        rows = self._sheets.rows(contexts, fold)
        return rows.reshape(starts.size, count, *rows.shape[1:])
