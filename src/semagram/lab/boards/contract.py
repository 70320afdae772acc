"""A task: boards of one shape, puzzles made of them, and a judge that needs no solution."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

UNKNOWN = -1
"""Marks a hidden cell of a puzzle."""


@runtime_checkable
class Task(Protocol):
    """Boards ``(count, height * width)`` of ids below ``len(symbols)``, row by row."""

    @property
    def height(self) -> int:
        """Rows."""
        ...

    @property
    def width(self) -> int:
        """Columns."""
        ...

    @property
    def symbols(self) -> str:
        """How each id is shown."""
        ...

    def boards(self, count: int, seed: int) -> np.ndarray:
        """Whole boards ``(count, n)`` int64."""
        ...

    def puzzles(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Boards with hidden cells (-1), and whole ones that fit them: ``(count, n)`` both."""
        ...

    def solved(self, boards: np.ndarray) -> np.ndarray:
        """Which of ``boards (count, n)`` keep the rules: bool ``(count,)``."""
        ...


def drawn(board: np.ndarray, task: Task) -> str:
    """A board as text; hidden cells are dots."""
    rows = board.reshape(task.height, task.width)
    return "\n".join("".join("·" if cell < 0 else task.symbols[cell] for cell in row) for row in rows)


def hidden_at_random(boards: np.ndarray, share: float, seed: int) -> np.ndarray:
    """``boards`` with about ``share`` of the cells of each hidden, at least one."""
    count, n = boards.shape
    order = np.random.default_rng((seed, 1)).random((count, n)).argsort(axis=1).argsort(axis=1)
    return np.where(order < max(1, round(share * n)), UNKNOWN, boards)
