"""Tasks with known answers, which tell architectures apart within CPU minutes.

On a line (``OnALine``): recall, copying, tracking; ``solve`` trains a causal network on one and judges it. On a page
(``Board``): puzzles in which two dimensions matter, with checkers and, where it is known, the least possible loss.
Everything is drawn from a seed alone.
"""

from semagram.lab.tasks.automaton import Automaton
from semagram.lab.tasks.boards import Task as Board
from semagram.lab.tasks.contract import Batch, LineTask
from semagram.lab.tasks.copying import Copy, Reverse, SelectiveCopy
from semagram.lab.tasks.mazes import Maze
from semagram.lab.tasks.recall import Hops, Induction, Recall
from semagram.lab.tasks.solve import Solved, solve
from semagram.lab.tasks.squares import LatinSquare, Sudoku
from semagram.lab.tasks.tables import Table
from semagram.lab.tasks.tracking import Brackets, Parity
from semagram.lab.tasks.words import WordSquare

OnALine = Recall | Induction | Hops | Copy | Reverse | SelectiveCopy | Parity | Brackets

BOARDS: tuple[type, ...] = (Sudoku, LatinSquare, Maze, Automaton, WordSquare, Table)

__all__ = [
    "BOARDS",
    "Automaton",
    "Batch",
    "Board",
    "Brackets",
    "Copy",
    "Hops",
    "Induction",
    "LatinSquare",
    "LineTask",
    "Maze",
    "OnALine",
    "Parity",
    "Recall",
    "Reverse",
    "SelectiveCopy",
    "Solved",
    "Sudoku",
    "Table",
    "WordSquare",
    "solve",
]
