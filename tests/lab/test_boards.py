"""Boards with known answers: lawful, repeatable, judged without a solution; spoilt ones are refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from semagram.errors import UserError
from semagram.lab.boards import TASKS, Automaton, LatinSquare, Maze, Sudoku, Table, Task, WordSquare
from semagram.lab.boards.contract import UNKNOWN, drawn

EXAMPLES = [
    Sudoku(4), Sudoku(6, 14), Sudoku(9, 40), LatinSquare(5), Maze(4), Automaton(), Automaton(90, 3, 5, 0.0),
    Table(3, 5), WordSquare(3),
]  # fmt: skip


@pytest.mark.parametrize("task", EXAMPLES, ids=str)
def test_boards_are_lawful_and_spoilt_ones_are_not(task: Any) -> None:
    assert isinstance(task, Task) and type(task) in TASKS
    boards = task.boards(12, seed=3)
    n = task.height * task.width
    assert boards.shape == (12, n) and boards.min() >= 0 and boards.max() < len(task.symbols)
    assert task.solved(boards).all()
    assert np.array_equal(boards, task.boards(12, seed=3)) and not np.array_equal(boards, task.boards(12, seed=4))
    spoilt = boards.copy()
    spoilt[:, : n // 2] = (spoilt[:, : n // 2] + 1) % len(task.symbols)
    assert task.solved(spoilt).mean() < 0.35
    assert len(drawn(boards[0], task).splitlines()) == task.height


@pytest.mark.parametrize("task", EXAMPLES, ids=str)
def test_puzzles_show_part_of_a_solution(task: Any) -> None:
    puzzles, boards = task.puzzles(5, seed=1)
    hidden = puzzles == UNKNOWN
    assert hidden.any(axis=1).all() and np.array_equal(puzzles[~hidden], boards[~hidden])
    assert task.solved(np.where(hidden, boards, puzzles)).all()


@pytest.mark.parametrize("task", [Sudoku(4, 5), Sudoku(6, 12), Sudoku(9, 36)], ids=str)
def test_a_sudoku_has_one_solution_and_few_clues(task: Sudoku) -> None:
    puzzles, _ = task.puzzles(4, seed=0)
    for puzzle in puzzles:
        assert task.solutions(puzzle.copy()) == 1
        assert task.clues <= (puzzle >= 0).sum() <= task.clues + 3
    assert task.solutions(np.full(task.side**2, UNKNOWN), most=3) == 3
    wrong = puzzles[0].copy()
    wrong[np.flatnonzero(wrong < 0)[0]] = wrong[wrong >= 0][0]


def test_a_sudoku_by_hand() -> None:
    board = np.array([0, 1, 2, 3, 2, 3, 0, 1, 1, 0, 3, 2, 3, 2, 1, 0])
    assert Sudoku(4).solved(board[None]).all()
    board[[0, 1]] = board[[1, 0]]  # the row still holds all digits, two columns do not
    assert not Sudoku(4).solved(board[None]).any()


def test_latin_squares_all_differ_and_cover() -> None:
    boards = LatinSquare(4).boards(300, 0)
    assert len({b.tobytes() for b in boards}) > 100
    assert (np.stack([(boards == i).mean(axis=0) for i in range(4)]) > 0.1).all()


def test_an_automatons_least_loss() -> None:
    """A page's own probability under the rule, averaged, is what is claimed."""
    task = Automaton(110, 6, 9, 0.1)
    boards = task.boards(4000, 0).reshape(-1, 6, 9)
    wrong = (task.after(boards[:, :-1]) != boards[:, 1:]).mean()
    assert wrong == pytest.approx(0.1, abs=0.005)
    nats = (9 * math.log(2) + 45 * -(wrong * math.log(0.1) + (1 - wrong) * math.log(0.9))) / 54
    assert nats == pytest.approx(task.bayes_nats, rel=0.02)
    assert Automaton(90).after(np.array([0, 0, 1, 0, 0])).tolist() == [0, 1, 0, 1, 0]


def test_a_maze_has_one_way() -> None:
    page = Maze(3).boards(1, 0)[0]
    assert page[0] == page[-1] == 2
    other = page.copy()
    other[np.flatnonzero(page == 2)[3]] = 1
    assert not Maze(3).solved(other[None]).any()


def test_what_cannot_be_is_refused() -> None:
    for wrong in (
        lambda: Sudoku(5),
        lambda: Sudoku(4, 16),
        lambda: LatinSquare(1),
        lambda: Maze(1),
        lambda: Table(1, 3),
    ):
        with pytest.raises(UserError):
            wrong()
    with pytest.raises(UserError, match=r"0\.\.255"):
        Automaton(rule=256)
    with pytest.raises(UserError, match="no word square"):
        WordSquare(3, ("abc", "xyz")).boards(1, 0)
