"""One hidden token: counts on both sides against tuples, rescoring against the exact cloze, the whole contestant."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest

from semagram.errors import UserError
from semagram.predictors.between import Between, surroundings
from semagram.predictors.cloze import ClozeConfig, ClozeModel
from semagram.predictors.kneser_ney import discounts
from semagram.predictors.ngram import NgramConfig
from semagram.predictors.rescored import Rescored
from semagram.verbs.cloze import cloze

V = 5
SMALL = ClozeConfig((1, 2, 3), (0, 2, 4), 3, width=16, embedding=4, held_back=0.3, passes=8, batch=32, rate=0.01)


def text(n: int, seed: int = 0) -> np.ndarray:
    """A text in which a token depends on both neighbours: a walk with a few steps of its own."""
    random, ids = np.random.default_rng(seed), [0, 1]
    for _ in range(n - 2):
        ids.append((ids[-1] + ids[-2] + int(random.random() < 0.2)) % V)
    return np.array(ids)


def test_surroundings_go_outwards_left_first() -> None:
    ids = np.array([10, 11, 12, 13, 14])
    assert surroundings(ids, np.array([2, 0]), 5, 99).tolist() == [[11, 13, 10, 14, 99], [99, 11, 99, 12, 99]]


def test_between_is_kneser_ney_on_dictionaries_of_tuples() -> None:
    ids, orders = text(200), (0, 1, 3)
    around = [tuple(row) for row in surroundings(ids, np.arange(len(ids)), 3, V).tolist()]
    further: dict[int, Counter] = {k: Counter() for k in range(4)}
    occurs: dict[int, Counter] = {k: Counter() for k in range(4)}
    longer: dict[tuple, set] = defaultdict(set)
    for w, c in zip(ids.tolist(), around, strict=True):
        for k in range(4):
            occurs[k][c[:k], w] += 1
            if k < 3:
                longer[c[:k], w].add(c[k])
    for k in range(4):
        for gram, count in occurs[k].items():
            further[k][gram] = len(longer[gram]) if k < 3 else count

    def p(w: int, c: tuple, k: int, counts: dict[int, Counter]) -> float:
        shorter = 1 / V if k == 0 else p(w, c, k - 1, further)
        table = counts[k]
        cut = discounts(np.array(list(table.values())))
        here = {x: n for (context, x), n in table.items() if context == c[:k]}
        if not here:
            return shorter
        total = sum(here.values())
        given = sum(cut[min(n, 3)] for n in here.values())
        own = here.get(w, 0)
        return (own - cut[min(own, 3)]) / total + given / total * shorter

    model = Between.fit(ids, V, orders)
    asked = [(0, 1, 2), (4, 4, 4), (V, 3, V), (2, 0, V)]
    rows = model.rows(np.array(asked))
    assert np.exp(rows).sum(axis=2) == pytest.approx(1.0, abs=1e-6)
    for row, c in zip(rows, asked, strict=True):
        for i, k in enumerate(orders):
            expected = [p(w, c, k, {**further, k: occurs[k]}) for w in range(V)]
            assert np.exp(row[i]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("backwards", [False, True])
def test_rescored_is_the_exact_cloze_of_each_order(backwards: bool) -> None:
    orders, known, asked = (0, 1, 2, 4), text(150), text(40, seed=1)
    if backwards:
        known, asked = known[::-1].copy(), asked[::-1].copy()
    model, most = Rescored.fit(known, V, orders), orders[-1]
    edge = np.full(most, V)
    padded, steps, places = np.concatenate([edge, asked, edge]), np.arange(1, most + 1), np.arange(len(asked))
    told = model.evidence(padded[places[:, None] + most - steps], padded[places[:, None] + most + steps])
    for i, order in enumerate(orders):
        ngram = NgramConfig(order).fit(known, V)
        for place in places.tolist():
            exact = cloze(ngram, asked, place, before=40, behind=order)
            assert told[place, i] == pytest.approx(exact, abs=2e-5)


@pytest.fixture(scope="module")
def fitted() -> ClozeModel:
    return SMALL.fit(text(900), V)


def test_the_network_learns_whom_to_believe(fitted: ClozeModel) -> None:
    """It begins as the mean of the rescored models, and finds among them (bigrams know little here) the best."""
    ids, places = text(300, seed=7), np.arange(300)
    told = fitted.log_probs(ids, places)
    assert np.exp(told).sum(axis=1) == pytest.approx(1.0, abs=1e-6)
    parts = fitted._rows(ids, places).numpy()
    begun = parts[:, : 2 * len(SMALL.orders)].mean(axis=1)
    begun -= np.logaddexp.reduce(begun, axis=1, keepdims=True)
    assert replace(SMALL, passes=0).fit(text(900), V).log_probs(ids, places) == pytest.approx(begun, abs=1e-5)
    nats, at_first = (-rows[places, ids].mean() for rows in (told, begun))
    best = -parts[places, :, ids].mean(axis=0).max()
    assert nats < at_first - 0.02 and nats < best + 0.05


def test_it_does_not_read_what_it_is_asked_and_heeds_both_sides(fitted: ClozeModel) -> None:
    ids = text(60, seed=3)
    for place in (0, 30, 59):
        told = fitted.log_probs(ids, np.array([place]))
        hidden, both = ids.copy(), []
        hidden[place] = (ids[place] + 1) % V
        assert np.array_equal(fitted.log_probs(hidden, np.array([place])), told)
        for beside in (place - 1, place + 1):
            if 0 <= beside < 60:
                changed = ids.copy()
                changed[beside] = (ids[beside] + 1) % V
                both.append(np.array_equal(fitted.log_probs(changed, np.array([place])), told))
        assert not any(both)
        assert np.array_equal(cloze(fitted, ids, place), told[0])


def test_saved_and_loaded_and_fitted_again_to_the_bit(fitted: ClozeModel) -> None:
    ids, places = text(50, seed=4), np.arange(50)
    told = fitted.log_probs(ids, places)
    assert np.array_equal(ClozeModel.from_arrays(fitted.arrays()).log_probs(ids, places), told)
    assert np.array_equal(SMALL.fit(text(900), V).log_probs(ids, places), told)


def test_what_cannot_be_is_refused(fitted: ClozeModel) -> None:
    for name, value, told in (
        ("reach", 0, "at least 1"),
        ("passes", -1, "0 or more"),
        ("held_back", 1.0, "between 0 and 1"),
        ("dropout", 1.0, "not including, 1"),
        ("rate", 0.0, "above 0"),
    ):
        with pytest.raises(UserError, match=told):
            replace(SMALL, **{name: value})
    with pytest.raises(UserError, match="at least 20"):
        SMALL.fit(np.zeros(5, dtype=np.int64), V)
    with pytest.raises(UserError, match="ascending"):
        replace(SMALL, between=(4, 2)).fit(text(100), V)
    with pytest.raises(UserError, match="lacks"):
        ClozeModel.from_arrays({})
    with pytest.raises(UserError, match="places"):
        fitted.log_probs(text(10), np.array([10]))
