"""Tables of digits whose last column holds the sum of its row, and whose last row that of its column, modulo 10."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semagram.errors import UserError
from semagram.lab.boards.contract import UNKNOWN


@dataclass(frozen=True)
class Table:
    """``height`` x ``width`` digits, sums included."""

    height: int = 4
    """Rows, that of the sums included."""
    width: int = 4
    """Columns, that of the sums included."""

    def __post_init__(self) -> None:
        if self.height < 2 or self.width < 2:
            raise UserError(f"a table has at least 2 rows and 2 columns, got {self.height} and {self.width}.")

    @property
    def symbols(self) -> str:
        """Digits."""
        return "0123456789"

    @property
    def bayes_nats(self) -> float:
        """The least possible loss, nats a cell: what is no sum is a fair digit."""
        return (self.height - 1) * (self.width - 1) * float(np.log(10)) / (self.height * self.width)

    def boards(self, count: int, seed: int) -> np.ndarray:
        """Random digits and their sums."""
        inner = np.random.default_rng((seed, 0)).integers(0, 10, (count, self.height - 1, self.width - 1))
        rows = np.concatenate([inner, inner.sum(axis=2, keepdims=True) % 10], axis=2)
        return np.concatenate([rows, rows.sum(axis=1, keepdims=True) % 10], axis=1).reshape(count, -1)

    def puzzles(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """One cell of every row is hidden; the row says which digit it is."""
        boards, random = self.boards(count, seed), np.random.default_rng((seed, 1))
        page = boards.reshape(count, self.height, self.width).copy()
        hidden = random.integers(0, self.width, (count, self.height))
        np.put_along_axis(page, hidden[:, :, None], UNKNOWN, axis=2)
        return page.reshape(count, -1), boards

    def solved(self, boards: np.ndarray) -> np.ndarray:
        """All sums are right."""
        page = boards.reshape(-1, self.height, self.width)
        rows = (page[:, :, :-1].sum(axis=2) - page[:, :, -1]) % 10 == 0
        columns = (page[:, :-1].sum(axis=1) - page[:, -1]) % 10 == 0
        return rows.all(axis=1) & columns.all(axis=1)
