"""Ways of writing a page: schedules, choices, blocks, cells that stay hidden; and exact coding under each of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from laws.predictors_walked import network, random_ids
from semagram.layouts import Grid, Sequence, Visibility
from semagram.predictors import AnyOrderPredictor, Unmasking
from semagram.predictors.any_order import HIDDEN
from semagram.predictors.orders import priority_of, sizes, wishes
from semagram.verbs.compress import encode_ids
from semagram.verbs.decompress import decode_ids
from semagram.verbs.determinism import held_still
from semagram.verbs.score import score


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 60), st.sampled_from(["constant", "linear", "cosine"]), st.integers(1, 9), st.integers(1, 70))
def test_sizes_are_positive_and_sum_to_the_page(unknown: int, schedule: Any, cells: int, steps: int) -> None:
    found = sizes(unknown, schedule, cells, steps)
    assert sum(found) == unknown and all(size > 0 for size in found)
    if schedule != "constant":
        assert len(found) == min(steps, unknown)


def test_a_cosine_begins_with_few_cells_and_ends_with_many() -> None:
    assert sizes(100, "linear", 1, 4) == [25, 25, 25, 25]
    assert sizes(100, "cosine", 1, 4) == [8, 21, 33, 38]
    assert sizes(7, "constant", 3, 1) == [3, 3, 1]


def test_wishes_by_hand() -> None:
    sure = torch.tensor([0.5, 0.5, 0.0])
    torn = torch.tensor([0.48, 0.26, 0.26])
    log_probs = torch.stack([sure, torn]).log()[None]
    nothing = torch.zeros(2)
    assert wishes("confidence", log_probs, nothing).argmax() == 0
    assert wishes("margin", log_probs, nothing).argmax() == 1
    assert wishes("entropy", log_probs, nothing).argmax() == 0
    assert wishes("margin", torch.zeros(1, 3, 1), nothing).tolist() == [[0.0, 0.0, 0.0]]


def written(
    writing: Unmasking, layout: Any, given: torch.Tensor | None = None, batch: int = 1
) -> list[list[list[int]]]:
    """The cells of each step, row by row."""
    state = AnyOrderPredictor(network(Visibility.FULL, layout), layout, writing).open(layout, batch, given)
    steps: list[list[list[int]]] = []
    while (coming := state.next_positions).shape[1]:
        steps.append(coming.tolist())
        state.write(torch.zeros_like(coming))
    return [[step[row] for step in steps] for row in range(batch)]


def test_orders_that_do_not_ask_the_model() -> None:
    layout = Grid(2, 3, "spiral", "snake")
    flat = {c: [cell for (cell,) in written(Unmasking(choice=c), layout)[0]] for c in ("ranks", "left_to_right")}
    assert flat["ranks"] == layout.positions().order().tolist() == [0, 1, 2, 3, 4, 5]
    assert flat["left_to_right"] == list(range(6))
    assert [c for (c,) in written(Unmasking(choice="right_to_left"), layout)[0]] == list(range(6))[::-1]
    order = (3, 1, 2, 0, 5, 4)
    assert [c for (c,) in written(Unmasking(choice="given", order=order), layout)[0]] == list(order)
    assert [c for (c,) in written(Unmasking(choice="ranks"), Grid(3, 2, "columns"))[0]] == [0, 2, 4, 1, 3, 5]
    with pytest.raises(ValueError, match="each of the 7 cells"):
        written(Unmasking(choice="given", order=order), Sequence(7))
    assert (
        priority_of("random", torch.arange(9), 0, ()).tolist() != priority_of("random", torch.arange(9), 1, ()).tolist()
    )


@pytest.mark.parametrize("choice", ["confidence", "margin", "entropy", "random"])
def test_blocks_are_written_one_after_the_other(choice: Any) -> None:
    steps = written(Unmasking(choice=choice, block=4, schedule="cosine", steps=2), Sequence(10))[0]
    assert [[cell // 4 for cell in step] for step in steps] == [[0], [0] * 3, [1], [1] * 3, [2], [2]]


def test_rows_whose_gaps_lie_in_other_blocks() -> None:
    given = torch.tensor([[-1, -1, -1, 0, 0, -1], [0, -1, 0, -1, -1, -1]])
    rows = written(Unmasking(choice="left_to_right", cells=3, block=3), Sequence(6), given, batch=2)
    assert [[cell for step in row for cell in step] for row in rows] == [[0, 1, 2, 5], [1, 3, 4, 5]]


def test_hidden_cells_are_never_asked_and_change_nothing() -> None:
    layout = Sequence(6)
    predictor = AnyOrderPredictor(network(Visibility.FULL, layout), layout, Unmasking())
    page = torch.tensor([[1, -1, 2, -1, -1, -1]])
    part = page.clone()
    part[0, 4:] = HIDDEN
    asked = predictor.open(layout, 1, part)
    whole = predictor.open(layout, 1, page)
    assert asked.next_positions.item() in (1, 3)
    everywhere = torch.log_softmax(predictor.network(torch.tensor([[1, 5, 2, 5, 5, 5]]), whole._geometry), -1)
    assert torch.equal(asked.log_probs()[0, 0], everywhere[0, int(asked.next_positions)])
    steps = 0
    while (coming := asked.next_positions).shape[1]:
        asked.write(torch.zeros_like(coming))
        steps += 1
    assert steps == 2
    with pytest.raises(ValueError, match="as many cells to be written"):
        predictor.open(layout, 2, torch.tensor([[1, -1, HIDDEN, -1, -1, -1], [1, -1, -1, -1, -1, -1]]))


WAYS = [
    Unmasking(choice="margin", cells=2),
    Unmasking(choice="entropy", schedule="cosine", steps=4),
    Unmasking(choice="confidence", block=5, schedule="linear", steps=2),
    Unmasking(choice="right_to_left", cells=3),
    Unmasking(choice="ranks"),
]


@pytest.mark.parametrize("writing", WAYS, ids=str)
@pytest.mark.parametrize("layout", [Grid(3, 4, "spiral", "snake"), Sequence(11)], ids=str)
def test_a_file_decodes_and_is_as_long_as_its_score(writing: Unmasking, layout: Any) -> None:
    """Compression in the model's own order is exact, whatever the way of writing."""
    predictor = AnyOrderPredictor(network(Visibility.FULL, layout), layout, writing)
    ids = random_ids(layout, 3).reshape(-1)[: 2 * layout.count + 3].numpy()
    found = score(predictor, ids)
    with held_still(1):
        data = encode_ids(predictor, ids, found.plan)
        assert np.array_equal(decode_ids(predictor, data, found.plan), ids)
    bits = found.total_nats / np.log(2)
    assert len(data) * 8 - bits < 8 * 64


def test_one_cell_at_a_time_is_the_reference_of_order() -> None:
    """With a fixed order, steps of several cells write the same cells as steps of one."""
    layout = Grid(3, 4)
    one = [c for step in written(Unmasking(choice="random", seed=4), layout)[0] for c in step]
    many = [
        c for step in written(Unmasking(choice="random", seed=4, schedule="cosine", steps=3), layout)[0] for c in step
    ]
    assert one == many
