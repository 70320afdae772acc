"""Experts: Kneser-Ney models of several orders, fitted together; and what they would have said unread.

``Experts`` are models of a whole text, one an order, asked for rows after any context. ``CrossFitted`` answers for the
places of the training text itself, each from counts of all blocks but its own (why: ``cross_fitting``), some
thousands of places at a time, as a training step needs them. Both work from ``count_sheets``.

Tested against ``KneserNey.fit`` and ``cross_fitted_log_probs`` of every order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from semagram.errors import UserError
from semagram.predictors.count_sheets import Counted, Sheets


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
    def ids(self) -> np.ndarray:
        """``(n,)``: the text that was counted."""
        return self._ids

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
            far = at >= k
            contexts[far, k] = self._places[k][at[far] - k]
        fold = np.searchsorted(self._borders, at, side="right") - 1
        rows = self._sheets.rows(contexts, fold)
        return rows.reshape(starts.size, count, *rows.shape[1:])
