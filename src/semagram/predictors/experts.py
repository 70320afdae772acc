"""Experts: Kneser-Ney models of several orders, fitted together; and what they would have said unread.

``Experts`` are models of a whole text, one an order, asked for rows after any context. ``CrossFitted`` answers for the
places of the training text itself, each from counts of all blocks but its own (why: ``cross_fitting``), some
thousands of places at a time, as a training step needs them. Both work from ``count_sheets``. With ``Upon``, long
matches (``matches``) upon one order's row make one row more: the suffix model as an expert, cross-fitted too.

Tested against ``KneserNey.fit`` and ``cross_fitted_log_probs`` of every order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from semagram.errors import UserError
from semagram.predictors.count_sheets import Counted, Sheets
from semagram.predictors.matches import Matches, latest, windows
from semagram.predictors.suffix_array import BEFORE


@dataclass(frozen=True, eq=False)
class Upon:
    """Long matches upon the row of one of the orders."""

    matches: Matches
    """The index of the text, and weights."""
    order: int
    """The n-gram whose row they begin with."""

    @staticmethod
    def learn(counted: Counted, lengths: Sequence[int], order: int) -> Upon:
        """Index the text; the weights are learnt on its last tenth, from the counts and matches of the rest."""
        ids, n = counted.ids.astype(np.int64), counted.ids.size
        matches, begin = Matches(ids, counted.trie.vocabulary_size, lengths), n - n // 10
        if begin < n:
            at = np.arange(begin, n)
            sheets = Sheets(counted.trie, (order,), [counted.sheet(begin, n)])
            p = np.empty(at.size)
            for part in np.array_split(np.arange(at.size), max(at.size // 4096, 1)):
                rows = sheets.rows(_contexts(counted, at[part]), np.zeros(part.size, dtype=np.int64))[:, 0]
                p[part] = np.exp(rows[np.arange(part.size), ids[at[part]]])
            block = np.full(at.size, begin), np.full(at.size, n)
            matches.learn(p, latest(ids, at, matches.reach), ids[at], block)
        return Upon(matches, order)

    def added(
        self, rows: np.ndarray, column: int, contexts: np.ndarray, without: tuple[np.ndarray, np.ndarray] | None = None
    ) -> np.ndarray:
        """Rows ``(b, K, v)`` and one more, from that of ``column`` after ``contexts (b, reach)``: ``(b, K + 1, v)``."""
        p = np.exp(rows[:, column].astype(np.float64))
        self.matches.onto(p, contexts, without)
        return np.concatenate([rows, np.log(p).astype(np.float32)[:, None]], axis=1)


class Experts:
    """Models of all orders, fitted to a whole text. The index's contexts, one row an order, one of the matches."""

    def __init__(self, counted: Counted, upon: Upon | None = None) -> None:
        """Counts of the whole text, and long matches in it."""
        self._ids = counted.ids
        self._sheets = Sheets(counted.trie, counted.orders, [counted.sheet()])
        self._upon = upon

    @staticmethod
    def fit(ids: np.ndarray, vocabulary_size: int, orders: Sequence[int]) -> Experts:
        """Count the training text ``(n,)``; ``orders`` ascending. Raises ``UserError`` as ``Counted.of`` does."""
        return Experts(Counted.of(ids, vocabulary_size, orders))

    @property
    def count(self) -> int:
        """K: rows for every context."""
        return len(self.orders) + (self._upon is not None)

    @property
    def ids(self) -> np.ndarray:
        """``(n,)``: the text that was counted."""
        return self._ids

    @property
    def orders(self) -> tuple[int, ...]:
        """Of the models, ascending."""
        return self._sheets.orders

    @property
    def upon(self) -> Upon | None:
        """The long matches, if there are any."""
        return self._upon

    @property
    def vocabulary_size(self) -> int:
        """v."""
        return self._sheets.trie.vocabulary_size

    def empty_contexts(self, batch: int) -> np.ndarray:
        """``(batch, c)``: nothing written yet."""
        nodes = self._sheets.trie.empty_contexts(batch)
        if self._upon is None:
            return nodes
        return np.concatenate([nodes, np.full((batch, self._upon.matches.reach), BEFORE)], axis=1)

    def walk(self, contexts: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """``(b, c)`` and ``(b, m)`` -> ``(b, m, c)``: after each id. The id v stands for "no text before this"."""
        trie = self._sheets.trie
        nodes = np.full((ids.shape[0], ids.shape[1] + 1, trie.longest), trie.nothing, dtype=np.int64)
        nodes[:, 0] = contexts[:, : trie.longest]
        nodes[:, :, 0] = 0
        begins = ids == trie.vocabulary_size
        for k in range(1, trie.longest):
            found = trie.find(nodes[:, :-1, k - 1], np.where(begins, 0, ids))
            nodes[:, 1:, k] = np.where(begins, trie.nothing, found)
        if self._upon is None:
            return nodes[:, 1:]
        seen = windows(contexts[:, trie.longest :], np.where(begins, BEFORE, ids))[:, 1:]
        # Nothing from before a beginning is looked up: the latest tokens up to the first BEFORE are what counts.
        inside = np.logical_and.accumulate(seen != BEFORE, axis=2)
        return np.concatenate([nodes[:, 1:], np.where(inside, seen, BEFORE)], axis=2)

    def rows(self, contexts: np.ndarray) -> np.ndarray:
        """Log-probabilities ``(b, c) -> (b, K, v)`` float32. A row's bits do not depend on its company."""
        longest = self._sheets.trie.longest
        rows = self._sheets.rows(contexts[:, :longest], np.zeros(contexts.shape[0], dtype=np.int64))
        if self._upon is None:
            return rows
        return self._upon.added(rows, self.orders.index(self._upon.order), contexts[:, longest:])

    def arrays(self) -> dict[str, np.ndarray]:
        """All there is to save. It is the text: far smaller than its grams, which are counted again in a second."""
        saved = {
            "ids": self._ids,
            "orders": np.array(self.orders, dtype=np.int64),
            "vocabulary_size": np.array([self.vocabulary_size], dtype=np.int64),
        }
        if self._upon is not None:
            saved["matches"] = np.array([self._upon.order, *self._upon.matches.lengths], dtype=np.int64)
            saved["weights"] = self._upon.matches.weights
        return saved

    @staticmethod
    def from_arrays(arrays: dict[str, np.ndarray]) -> Experts:
        """The experts that ``arrays`` came from, to the bit. Raises ``UserError`` naming a missing array."""
        missing = {"ids", "orders", "vocabulary_size"} - set(arrays)
        if missing:
            raise UserError(f"saved n-gram experts lack {sorted(missing)}; they have {sorted(arrays)}.")
        ids, v = arrays["ids"], int(arrays["vocabulary_size"][0])
        counted, upon = Counted.of(ids, v, tuple(arrays["orders"].tolist())), None
        if "matches" in arrays:
            order, *lengths = (int(number) for number in arrays["matches"])
            upon = Upon(Matches(ids.astype(np.int64), v, lengths, arrays["weights"]), order)
        return Experts(counted, upon)


class CrossFitted:
    """What the experts would have said at each place of the training text, had they not read its block."""

    def __init__(self, counted: Counted, folds: int, upon: Upon | None = None) -> None:
        """``folds`` contiguous blocks of (nearly) equal length; ``UserError`` unless 2 <= folds <= n."""
        n = counted.places[1].size
        if not 2 <= folds <= n:
            raise UserError(f"folds must be between 2 and the number of tokens ({n}), got {folds}.")
        self._borders = np.array([fold * n // folds for fold in range(folds + 1)])
        self._counted = counted
        blocks = zip(self._borders[:-1], self._borders[1:], strict=True)
        self._sheets = Sheets(counted.trie, counted.orders, [counted.sheet(int(b), int(e)) for b, e in blocks])
        self._upon = upon

    def rows(self, starts: np.ndarray, count: int) -> np.ndarray:
        """Log-probabilities ``(b, count, K, v)`` float32 at the places ``start .. start + count - 1`` of the text.

        The contexts are the text's own, also those that reach back beyond ``start``: so the n-grams know as much
        at the first cell of a canvas as at the cells that count when a text is scored in overlapping canvases.
        """
        at = (starts[:, None] + np.arange(count)).reshape(-1)
        fold = np.searchsorted(self._borders, at, side="right") - 1
        rows = self._sheets.rows(_contexts(self._counted, at), fold)
        if self._upon is not None:
            seen = latest(self._counted.ids.astype(np.int64), at, self._upon.matches.reach)
            block = self._borders[fold], self._borders[fold + 1]
            rows = self._upon.added(rows, self._counted.orders.index(self._upon.order), seen, block)
        return rows.reshape(starts.size, count, *rows.shape[1:])


def _contexts(counted: Counted, at: np.ndarray) -> np.ndarray:
    """The text's own contexts before the places ``at (b,)``, as nodes ``(b, longest)``."""
    trie = counted.trie
    contexts = np.full((at.size, trie.longest), trie.nothing, dtype=np.int64)
    contexts[:, 0] = 0
    for k in range(1, trie.longest):
        far = at >= k
        contexts[far, k] = counted.places[k][at[far] - k]
    return contexts
