"""Latin squares, and Sudoku of 4, 6 and 9: every symbol once in every row, every column (and every box).

Boards are one lawful pattern with its symbols, rows, columns and (where the shape allows) directions exchanged.
Puzzles of Sudoku have one solution: cells are taken away in random order as long as that holds, down to ``clues``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semagram.errors import UserError
from semagram.lab.boards.contract import UNKNOWN, hidden_at_random

_BOXES = {4: (2, 2), 6: (2, 3), 9: (3, 3)}


@dataclass(frozen=True)
class LatinSquare:
    """``side`` symbols, each once in every row and every column."""

    side: int = 5
    """Rows, columns and symbols."""
    share: float = 0.5
    """Of the cells of a puzzle, those that are hidden."""

    def __post_init__(self) -> None:
        if not 2 <= self.side <= 26 or not 0.0 < self.share <= 1.0:
            raise UserError(f"a Latin square has a side of 2 to 26 and hides a share of (0, 1], got {self}.")

    @property
    def height(self) -> int:
        """Rows."""
        return self.side

    @property
    def width(self) -> int:
        """Columns."""
        return self.side

    @property
    def symbols(self) -> str:
        """Letters."""
        return "".join(chr(ord("a") + i) for i in range(self.side))

    def boards(self, count: int, seed: int) -> np.ndarray:
        """The cyclic square with rows, columns and symbols exchanged."""
        random, n = np.random.default_rng((seed, 0)), self.side
        rows, columns, names = (random.permuted(np.tile(np.arange(n), (count, 1)), axis=1) for _ in range(3))
        square = (rows[:, :, None] + columns[:, None, :]) % n
        return np.take_along_axis(names, square.reshape(count, -1), axis=1)

    def puzzles(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Cells hidden at random; several solutions may fit."""
        boards = self.boards(count, seed)
        return hidden_at_random(boards, self.share, seed), boards

    def solved(self, boards: np.ndarray) -> np.ndarray:
        """Every symbol once in every row and column."""
        square = boards.reshape(-1, self.side, self.side)
        return _complete(square) & _complete(square.transpose(0, 2, 1))


@dataclass(frozen=True)
class Sudoku:
    """``side`` 4, 6 or 9, boxes of 2 x 2, 2 x 3 or 3 x 3."""

    side: int = 4
    """Rows, columns, boxes and digits."""
    clues: int = 6
    """Cells that a puzzle shows at least (more, where fewer would allow a second solution)."""

    def __post_init__(self) -> None:
        if self.side not in _BOXES:
            raise UserError(f"a Sudoku has a side of {', '.join(map(str, _BOXES))}, got {self.side}.")
        if not 0 <= self.clues < self.side**2:
            raise UserError(f"a Sudoku of {self.side} shows 0 to {self.side**2 - 1} clues, got {self.clues}.")

    @property
    def height(self) -> int:
        """Rows."""
        return self.side

    @property
    def width(self) -> int:
        """Columns."""
        return self.side

    @property
    def symbols(self) -> str:
        """Digits."""
        return "123456789"[: self.side]

    def boards(self, count: int, seed: int) -> np.ndarray:
        """One lawful pattern with digits, rows and columns exchanged within and between bands."""
        random, n, (tall, wide) = np.random.default_rng((seed, 0)), self.side, _BOXES[self.side]
        row, column = np.divmod(np.arange(n * n), n)
        pattern = ((row % tall) * wide + row // tall + column) % n
        found = np.empty((count, n * n), dtype=np.int64)
        for i in range(count):
            rows = _shuffled(random, n // tall, tall)
            columns = _shuffled(random, n // wide, wide)
            board = random.permutation(n)[pattern.reshape(n, n)[rows][:, columns]]
            found[i] = (board.T if tall == wide and random.random() < 0.5 else board).reshape(-1)
        return found

    def puzzles(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Puzzles with one solution."""
        boards, random = self.boards(count, seed), np.random.default_rng((seed, 1))
        puzzles = boards.copy()
        for puzzle in puzzles:
            shown = self.side**2
            for cell in random.permutation(self.side**2):
                if shown <= self.clues:
                    break
                kept, puzzle[cell] = puzzle[cell], UNKNOWN
                if self.solutions(puzzle, most=2) == 1:
                    shown -= 1
                else:
                    puzzle[cell] = kept
        return puzzles, boards

    def solutions(self, puzzle: np.ndarray, most: int = 2) -> int:
        """How many boards fit a puzzle, counted up to ``most``: the emptiest choice first."""
        free = self._free(puzzle)
        if free is None:
            return 1
        cell, digits = free
        found = 0
        for digit in digits:
            puzzle[cell] = digit
            found += self.solutions(puzzle, most - found)
            puzzle[cell] = UNKNOWN
            if found >= most:
                break
        return found

    def _free(self, puzzle: np.ndarray) -> tuple[int, list[int]] | None:
        """The hidden cell with the fewest possible digits, and these; none when the board is full."""
        n, (tall, wide) = self.side, _BOXES[self.side]
        square, best = puzzle.reshape(n, n), None
        for cell in np.flatnonzero(puzzle < 0).tolist():
            y, x = divmod(cell, n)
            top, left = y // tall * tall, x // wide * wide
            used = set(square[y].tolist()) | set(square[:, x].tolist())
            used |= set(square[top : top + tall, left : left + wide].reshape(-1).tolist())
            digits = [d for d in range(n) if d not in used]
            if best is None or len(digits) < len(best[1]):
                best = cell, digits
                if len(digits) < 2:
                    break
        return best

    def solved(self, boards: np.ndarray) -> np.ndarray:
        """Every digit once in every row, column and box."""
        n, (tall, wide) = self.side, _BOXES[self.side]
        square = boards.reshape(-1, n, n)
        boxes = square.reshape(-1, n // tall, tall, n // wide, wide).transpose(0, 1, 3, 2, 4).reshape(-1, n, n)
        return _complete(square) & _complete(square.transpose(0, 2, 1)) & _complete(boxes)


def _shuffled(random: np.random.Generator, bands: int, size: int) -> np.ndarray:
    """Indices with bands exchanged, and lines within each."""
    return np.concatenate([band * size + random.permutation(size) for band in random.permutation(bands)])


def _complete(lines: np.ndarray) -> np.ndarray:
    """Whether every line of ``(count, n, n)`` holds 0 ... n - 1: bool ``(count,)``."""
    return (np.sort(lines, axis=2) == np.arange(lines.shape[2])).all(axis=(1, 2))
