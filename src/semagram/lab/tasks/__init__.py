"""Pages whose right answers are known: generators with seeds, checkers, and where it is known the least possible loss.

Two dimensions matter in all of them, so a claim about pages can fail here. Boards are drawn from a seed alone.
"""

from semagram.lab.tasks.automaton import Automaton
from semagram.lab.tasks.boards import Task
from semagram.lab.tasks.mazes import Maze
from semagram.lab.tasks.squares import LatinSquare, Sudoku
from semagram.lab.tasks.tables import Table
from semagram.lab.tasks.words import WordSquare

TASKS: tuple[type, ...] = (Sudoku, LatinSquare, Maze, Automaton, WordSquare, Table)

__all__ = ["TASKS", "Automaton", "LatinSquare", "Maze", "Sudoku", "Table", "Task", "WordSquare"]
