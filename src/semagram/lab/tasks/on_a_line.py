"""A board on a line: the puzzle, a mark, and the whole board again; the cells that were hidden are scored.

So networks that know no pages can be asked for a cellular automaton's steps, a Sudoku or a maze. Only boards whose
puzzles have one answer are taken, so the floor is 0 here too; what a causal reader of the answer is shown of earlier
answers is right, as in every task.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from semagram.errors import UserError
from semagram.lab.boards import Automaton, Maze, Sudoku
from semagram.lab.boards.contract import UNKNOWN
from semagram.lab.tasks.contract import Batch


@dataclass(frozen=True)
class OnALine:
    """See the module."""

    board: Automaton | Maze | Sudoku = Automaton(rule=30, height=3, width=12, noise=0.0)
    """What is drawn; an automaton without noise."""

    def __post_init__(self) -> None:
        if isinstance(self.board, Automaton) and self.board.noise:
            raise UserError(f"OnALine needs boards with one answer: an automaton of noise 0, got {self.board.noise}.")

    @property
    def cells(self) -> int:
        """Of the board."""
        return self.board.height * self.board.width

    @property
    def length(self) -> int:
        """Puzzle, mark, board."""
        return 2 * self.cells + 1

    @property
    def vocabulary_size(self) -> int:
        """The board's symbols, hidden, the mark."""
        return len(self.board.symbols) + 2

    @property
    def chance(self) -> float:
        """Of guessing among the symbols that a hidden cell can be: in a maze, on the way or not."""
        return math.log(2 if isinstance(self.board, Maze) else len(self.board.symbols))

    @property
    def expected(self) -> str:
        """Of the boards."""
        if isinstance(self.board, Automaton):
            return "local: convolutions and windows learn it when they reach the row above"
        return "reading all cells in any order beats left to right (arXiv 2410.14157)"

    def sample(self, count: int, generator: torch.Generator) -> Batch:
        """``(count, 2 cells + 1)``."""
        seed = int(torch.randint(2**31, (1,), generator=generator))
        puzzles, boards = (torch.from_numpy(a) for a in self.board.puzzles(count, seed))
        hidden, symbols = puzzles == UNKNOWN, len(self.board.symbols)
        mark = torch.full((count, 1), symbols + 1)
        ids = torch.cat([torch.where(hidden, symbols, puzzles), mark, boards], dim=1)
        scored = torch.cat([torch.zeros(count, self.cells + 1, dtype=torch.bool), hidden], dim=1)
        return Batch(ids, scored)
