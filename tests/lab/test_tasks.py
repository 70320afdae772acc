"""Each answer is found again by a solver that knows nothing of how it was made; networks can be told apart by tasks."""

from __future__ import annotations

import math
import typing
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semagram.errors import UserError
from semagram.lab.boards import Automaton
from semagram.lab.tasks import (
    AnyTask,
    Brackets,
    Copy,
    Hops,
    Induction,
    Memorise,
    OnALine,
    Parity,
    Recall,
    Reverse,
    SelectiveCopy,
    solve,
)  # fmt: skip
from semagram.mixers import Convolution
from semagram.models import Transformer


def recall(task: Recall, before: list[int]) -> int:
    return before[before.index(before[-1]) + 1]


def induction(task: Induction, before: list[int]) -> int:
    return before[before.index(0) + 1]


def hops(task: Hops, before: list[int]) -> int:
    leads = dict(zip(before[: 2 * task.places : 2], before[1 : 2 * task.places : 2], strict=True))
    at = before[-1]
    for _ in range(task.hops):
        at = leads[at]
    return at


def copy(task: Copy, before: list[int]) -> int:
    return before[len(before) - before.index(1) - 1]


def reverse(task: Reverse, before: list[int]) -> int:
    return before[2 * before.index(1) - len(before)]


def selective(task: SelectiveCopy, before: list[int]) -> int:
    said = [token for token in before[: before.index(1)] if token]
    return said[len(before) - before.index(1) - 1]


def parity(task: Parity, before: list[int]) -> int:
    return sum(before[: task.bits]) % 2


def brackets(task: Brackets, before: list[int]) -> int:
    stack: list[int] = []
    for token in before:
        if token >= 2 + task.kinds:
            assert stack.pop() == token - task.kinds
        elif token >= 2:
            stack.append(token)
    return stack[-1] + task.kinds


def memorise(task: Memorise, before: list[int]) -> int:
    """What the same key was followed by in other sequences; nothing stands in this one."""
    seen = task.sample(4000, torch.Generator().manual_seed(99)).ids.view(-1, 3)
    rows = seen[(seen[:, 0] == before[-2]) & (seen[:, 1] == before[-1])]
    assert len(rows.unique(dim=0)) == 1
    return int(rows[0, 2])


def on_a_line(task: OnALine, before: list[int]) -> int:
    board = task.board
    assert isinstance(board, Automaton)
    row, column = divmod(len(before) - task.cells - 1, board.width)
    above = before[task.cells + 1 + (row - 1) * board.width :][: board.width]
    left, here, right = (above[(column + step) % board.width] for step in (-1, 0, 1))
    return board.rule >> (4 * left + 2 * here + right) & 1


SOLVERS: dict[type, Callable[[typing.Any, list[int]], int]] = {
    Recall: recall,
    Induction: induction,
    Hops: hops,
    Copy: copy,
    Reverse: reverse,
    SelectiveCopy: selective,
    Parity: parity,
    Brackets: brackets,
    Memorise: memorise,
    OnALine: on_a_line,
}
VARIANTS: list[AnyTask] = [
    *(kind() for kind in SOLVERS),
    Recall(pairs=3, keys=3, values=2, gap=5),
    Induction(length=4, symbols=2),
    Hops(hops=3, places=2),
    Copy(size=1, symbols=2, gap=7),
    SelectiveCopy(size=3, symbols=2, spread=3),
    Parity(bits=1),
    Brackets(walk=2, kinds=2),
]


def test_every_task_has_a_solver():
    assert set(SOLVERS) == set(typing.get_args(AnyTask))


@pytest.mark.parametrize("task", VARIANTS, ids=repr)
@given(seed=st.integers(0, 2**31))
@settings(max_examples=12, deadline=None)
def test_answers_follow_from_what_stands_before(task: AnyTask, seed: int):
    found = task.sample(8, torch.Generator().manual_seed(seed))
    assert found.ids.shape == found.scored.shape == (8, task.length)
    assert int(found.ids.min()) >= 0 and int(found.ids.max()) < task.vocabulary_size
    again = task.sample(8, torch.Generator().manual_seed(seed))
    assert torch.equal(found.ids, again.ids)
    for ids, scored in zip(found.ids.tolist(), found.scored.tolist(), strict=True):
        for place in (i for i, asked in enumerate(scored) if asked):
            assert SOLVERS[type(task)](task, ids[:place]) == ids[place]


@pytest.mark.parametrize("task", [kind() for kind in SOLVERS], ids=repr)
def test_guessing_costs_what_the_task_says(task: AnyTask):
    """Among the answers there can be none is likelier by itself: their entropy is what chance says."""
    found = task.sample(4000, torch.Generator().manual_seed(0))
    counts = torch.bincount(found.ids[found.scored]).double()
    share = counts[counts > 0] / counts.sum()
    assert float(-(share * share.log()).sum()) == pytest.approx(task.chance, rel=0.03)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Recall(pairs=9, keys=8), "1 to 8 pairs"),
        (lambda: Induction(length=3), "length of 4"),
        (lambda: Hops(hops=0), "1 hop"),
        (lambda: Copy(gap=-1), "gap of 0"),
        (lambda: SelectiveCopy(size=5, spread=4), "spread of at least"),
        (lambda: Parity(bits=0), "at least 1 bit"),
        (lambda: Brackets(walk=5), "even walk"),
        (lambda: Memorise(asked=0), "1 key or more"),
    ],
)
def test_what_cannot_be_is_refused(make: Callable[[], object], said: str):
    with pytest.raises(UserError, match=said):
        make()


def test_attention_solves_what_a_short_convolution_cannot():
    task = Recall(pairs=2, keys=4, values=4)
    attention = solve(Transformer(width=32, depth=2), task, 400, batch=64, enough=0.98)
    local = solve(Transformer(width=32, depth=1, mixer=Convolution(kernel=2), shift=None), task, 150, batch=64)
    assert attention.accuracy >= 0.98 > 0.6 > local.accuracy
    assert attention.nats < 0.2 < local.nats < 1.2 * task.chance == 1.2 * math.log(4)
    assert attention.steps <= 400 and attention.parameters > 0


def test_one_step_at_least():
    with pytest.raises(UserError, match="at least 1 step"):
        solve(Transformer(width=8, depth=1), Parity(), 0)
