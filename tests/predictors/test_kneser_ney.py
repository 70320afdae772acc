"""Modified Kneser-Ney against the textbook, the reference figures, and the law that it is a distribution."""

import time
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictors.textbook_kneser_ney import Textbook
from predictors.tiny_shakespeare import needs_it, split
from semagram.errors import UserError
from semagram.predictors.cross_fitting import cross_fitted_log_probs
from semagram.predictors.kneser_ney import KneserNey


@st.composite
def texts(draw: st.DrawFn, most: int = 60) -> tuple[np.ndarray, int]:
    v = draw(st.integers(1, 12))
    return np.array(draw(st.lists(st.integers(0, v - 1), min_size=1, max_size=most))), v


@settings(max_examples=60, deadline=None)
@given(texts(), texts(), st.integers(0, 7))
def test_every_row_is_a_distribution_and_agrees_with_the_single_symbol(
    train: tuple[np.ndarray, int], other: tuple[np.ndarray, int], order: int
) -> None:
    text, v = train
    model = KneserNey.fit(text, v, order)
    unseen = other[0] % v
    rows = model.sequence_rows(unseen)
    assert rows.dtype == np.float32 and np.isfinite(rows).all()
    assert np.abs(np.exp(rows.astype(np.float64)).sum(axis=1) - 1).max() < 1e-6
    assert (rows[np.arange(unseen.size), unseen] == model.sequence_log_probs(unseen)).all()
    for i in range(unseen.size):
        assert (model.log_probs(unseen[None, :i]) == rows[i]).all()


@pytest.mark.parametrize("order", [0, 1, 2, 4])
@pytest.mark.parametrize("v", [1, 2, 3])
def test_it_is_the_textbook(order: int, v: int) -> None:
    rng = np.random.default_rng(10 * order + v)
    for length in (1, 2, 5, 80):
        text = rng.integers(0, v, length) * rng.integers(0, 2, length)
        book, model = Textbook([text.tolist()], v, order), KneserNey.fit(text, v, order)
        contexts = [c for k in range(min(order, 3) + 2) for c in product(range(v), repeat=k)]
        for context in contexts:
            nodes = model.walk(model.empty_contexts(1), np.array([context], dtype=np.int64).reshape(1, -1))[:, -1]
            expected = [book.p(w, context) for w in range(v)]
            assert np.abs(model.rows(nodes, np.float64)[0] - np.log(expected)).max() < 1e-9


@pytest.mark.parametrize(("length", "order", "folds"), [(2, 3, 2), (30, 2, 3), (60, 4, 7), (9, 0, 9)])
def test_cross_fitting_is_fitting_the_other_blocks(length: int, order: int, folds: int) -> None:
    text = np.random.default_rng(length).integers(0, 3, length)
    rows = cross_fitted_log_probs(text, 3, order, folds, np.float64)
    for fold in range(folds):
        begin, end = fold * length // folds, (fold + 1) * length // folds
        book = Textbook([text[:begin].tolist(), text[end:].tolist()], 3, order)
        for i in range(begin, end):
            expected = [book.p(w, tuple(text[max(i - order, 0) : i])) for w in range(3)]
            assert np.abs(rows[i] - np.log(expected)).max() < 1e-9
    coarse = cross_fitted_log_probs(text, 3, order, folds, np.float16)
    assert coarse.dtype == np.float16 and np.abs(coarse - rows).max() < 0.01


def test_few_and_many_rows_are_the_same_bits() -> None:
    text = np.random.default_rng(3).integers(0, 7, 3000)
    model = KneserNey.fit(text, 7, 5)
    unseen = np.random.default_rng(4).integers(0, 7, 900)
    nodes = model.walk(model.empty_contexts(1), unseen[None])[0]
    many = model.rows(nodes)
    for size in (1, 5, 64):
        assert all((model.rows(nodes[i : i + size]) == many[i : i + size]).all() for i in range(0, 200, size))


def test_saved_is_kept_to_the_bit_and_equal_texts_give_equal_bits() -> None:
    text = np.random.default_rng(5).integers(0, 9, 400)
    model = KneserNey.fit(text, 9, 3)
    for twin in (KneserNey.from_arrays(model.arrays()), KneserNey.fit(text.astype(np.int32), 9, 3)):
        assert (twin.sequence_rows(text) == model.sequence_rows(text)).all()
    arrays = model.arrays()
    del arrays["codes"]
    with pytest.raises(UserError, match="codes"):
        KneserNey.from_arrays(arrays)


def test_bad_requests_are_refused() -> None:
    text = np.array([0, 1, 0])
    for call, word in [
        (lambda: KneserNey.fit(text, 2, -1), "-1"),
        (lambda: KneserNey.fit(text, 2, 2).sequence_log_probs(np.array([2])), "2"),
        (lambda: KneserNey.fit(text, 2, 2).log_probs(np.array([[5]])), "5"),
        (lambda: cross_fitted_log_probs(text, 2, 2, folds=1), "1"),
        (lambda: cross_fitted_log_probs(text, 2, 2, folds=4), "4"),
        (lambda: cross_fitted_log_probs(text, 2, -2), "-2"),
    ]:
        with pytest.raises(UserError, match=word):
            call()


def test_context_before_the_text_and_beyond_the_order_do_not_matter() -> None:
    model = KneserNey.fit(np.random.default_rng(6).integers(0, 4, 200), 4, 2)
    assert (model.log_probs(np.array([[3, -1, 1]])) == model.log_probs(np.array([[1]]))).all()
    assert (model.log_probs(np.array([[3, 2, 1]])) == model.log_probs(np.array([[0, 2, 1]]))).all()


@needs_it
@pytest.mark.parametrize(("order", "nats"), [(3, 1.719), (4, 1.561), (5, 1.523), (6, 1.5165), (8, 1.522)])
def test_the_reference_figures_of_tiny_shakespeare(order: int, nats: float) -> None:
    train, validation, v = split()
    started = time.process_time()
    model = KneserNey.fit(train, v, order)
    built = time.process_time()
    figure = -model.sequence_log_probs(validation).mean(dtype=np.float64)
    assert abs(figure - nats) < 0.001
    if order == 6:  # 0.3 and 0.1 s on an idle core; wide margins for a busy one
        assert built - started < 2 and time.process_time() - built < 2
