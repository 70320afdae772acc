"""Pages whose right answers are known: generators with seeds, checkers, and where it is known the least possible loss.

Two dimensions matter in all of them, so a claim about pages can fail here. Boards are drawn from a seed alone.
"""

from semagram.lab.boards.automaton import Automaton
from semagram.lab.boards.contract import Task
from semagram.lab.boards.mazes import Maze
from semagram.lab.boards.squares import LatinSquare, Sudoku
from semagram.lab.boards.tables import Table
from semagram.lab.boards.words import WordSquare

TASKS: tuple[type, ...] = (Sudoku, LatinSquare, Maze, Automaton, WordSquare, Table)

__all__ = ["TASKS", "Automaton", "LatinSquare", "Maze", "Sudoku", "Table", "Task", "WordSquare"]
