"""The n-gram predictor against the predictor contract."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semagram.errors import UserError
from semagram.layouts import Grid, Sequence, Streams
from semagram.predictors.contract import DecodingState, Predictor, read_step_by_step
from semagram.predictors.ngram import NgramConfig, NgramPredictor

TEXT = np.random.default_rng(0).integers(0, 6, 500)


def fitted(order: int = 3) -> NgramPredictor:
    return NgramConfig(order).fit(TEXT, 6)


def random_ids(batch: int, length: int, seed: int = 1) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 6, (batch, length)))


@pytest.mark.parametrize("layout", [Sequence(12), Grid(3, 4, "snake"), Grid(3, 4, "diagonals"), Streams(6, 2)])
def test_reading_in_parallel_is_reading_step_by_step(layout: Sequence | Grid | Streams) -> None:
    predictor = fitted()
    state, slow = predictor.open(layout, 4), predictor.open(layout, 4)
    assert isinstance(predictor, Predictor) and isinstance(state, DecodingState)
    ids = random_ids(4, 12)
    expected = read_step_by_step(slow, ids)
    got = torch.cat([state.read(ids[:, :5]), state.read(ids[:, 5:])], dim=1)
    assert got.dtype == torch.float32 and torch.equal(got, expected)
    assert (got.exp().sum(-1) - 1).abs().max() < 1e-6
    assert state.next_positions.shape == (4, 0) and state.log_probs().shape == (4, 0, 6)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.integers(1, 20), st.integers(0, 5))
def test_company_and_future_do_not_move_a_bit(batch: int, length: int, order: int) -> None:
    predictor, ids = fitted(order), random_ids(batch, length)
    together = predictor.open(Sequence(length), batch).read(ids)
    for row in range(batch):
        assert torch.equal(predictor.open(Sequence(length), 1).read(ids[row : row + 1])[0], together[row])
    changed = ids.clone()
    changed[:, length // 2 :] = (changed[:, length // 2 :] + 1) % 6
    again = predictor.open(Sequence(length), batch).read(changed)
    assert torch.equal(again[:, : length // 2 + 1], together[:, : length // 2 + 1])


def test_given_cells_are_written_cells() -> None:
    predictor, ids, layout = fitted(), random_ids(2, 8), Grid(2, 4, "snake")
    order = layout.positions().order()
    given_ids = torch.full((2, 8), -1)
    given_ids[:, order[:5]] = ids[:, :5]
    state = predictor.open(layout, 2, given_ids)
    assert (state.next_positions == order[5]).all() and state.next_positions.shape == (2, 1)
    assert torch.equal(state.read(ids[:, 5:]), predictor.open(layout, 2).read(ids)[:, 5:])


def test_saved_is_kept() -> None:
    predictor = fitted()
    twin = NgramPredictor.from_arrays(predictor.arrays())
    assert torch.equal(
        twin.open(Sequence(9), 1).read(random_ids(1, 9)), predictor.open(Sequence(9), 1).read(random_ids(1, 9))
    )
    assert twin.vocabulary_size == 6 and twin.context is None and twin.canvas(7) == Sequence(7)


def test_what_cannot_be_is_refused() -> None:
    predictor = fitted()
    state = predictor.open(Sequence(3), 2)
    for call in (
        lambda: NgramConfig(-1),
        lambda: predictor.open(Sequence(3), 0),
        lambda: predictor.open(Sequence(3), 2, torch.zeros(2, 4, dtype=torch.int64)),
        lambda: state.write(torch.zeros(2, 2, dtype=torch.int64)),
        lambda: state.write(torch.zeros(3, 1, dtype=torch.int64)),
        lambda: state.write(torch.full((2, 1), 6)),
        lambda: state.read(torch.zeros(2, 4, dtype=torch.int64)),
    ):
        with pytest.raises(UserError):
            call()
    hole = torch.tensor([[0, -1, 0], [0, -1, 0]])
    with pytest.raises(ValueError, match="fixed order"):
        predictor.open(Sequence(3), 2, hole)
    assert state.next_positions.tolist() == [[0], [0]]
