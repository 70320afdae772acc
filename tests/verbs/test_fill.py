"""Filling: gaps parsed, known cells kept, the exact posterior from left to right, open lengths, rewriting, windows."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from laws.predictors_walked import VOCABULARY, network, ngram
from semagram.errors import UserError
from semagram.layouts import Grid, Sequence, Visibility
from semagram.predictors import RankByRank, Unmasking, predictor_of
from semagram.verbs.cloze import cloze
from semagram.verbs.fill import fill
from semagram.verbs.filling.filled import Rewriting
from semagram.verbs.gaps import Gap, parse_length, split_at_gaps
from semagram.verbs.sampling import Sampling

FULL, CAUSAL = Visibility.FULL, Visibility.CAUSAL
ids = np.array


def any_order(layout: Any, **how: Any) -> Any:
    return predictor_of(network(FULL, layout), layout, Unmasking(**how))


def left_to_right(layout: Any) -> Any:
    return predictor_of(network(CAUSAL, layout), layout, RankByRank())


def test_gaps_are_found_where_they_stand() -> None:
    assert split_at_gaps("ab____cd___") == ["ab", Gap(4, 4), "cd", Gap(3, 3)]
    assert split_at_gaps("___x", length=Gap(2, 5)) == [Gap(2, 5), "x"]
    assert split_at_gaps("a?b??", r"\?+") == ["a", Gap(1, 1), "b", Gap(2, 2)]
    assert parse_length("3-8") == Gap(3, 8) and parse_length("5") == Gap(5, 5)
    for text, pattern, reason in (("abc", "_{3,}", "no gap"), ("a", "(", "regular expression"), ("a", "x*", "nothing")):
        with pytest.raises(UserError, match=reason):
            split_at_gaps(text, pattern)
    for wrong in ("8-3", "0", "x", "3-"):
        with pytest.raises(UserError):
            parse_length(wrong)


PREDICTORS = [
    (any_order(Sequence(12)), 12),
    (any_order(Sequence(12), cells=3, choice="margin"), 12),
    (any_order(Grid(3, 4, laying="snake"), schedule="cosine", steps=3), 12),
    (left_to_right(Sequence(12)), 12),
    (left_to_right(Grid(3, 4)), 12),
    (ngram(), 12),
]


@pytest.mark.parametrize(("predictor", "room"), PREDICTORS, ids=range(len(PREDICTORS)))
@pytest.mark.parametrize("temperature", [0.0, 0.9])
def test_known_cells_stay_and_gaps_are_written(predictor: Any, room: int, temperature: float) -> None:
    """Prompts at both ends, in the middle, and one letter in each row's margin; also texts larger than a canvas."""
    for pieces in (
        [ids([1, 2]), Gap(4, 4), ids([3, 0])],
        [Gap(2, 2), ids([4]), Gap(3, 3)],
        [ids([0]), Gap(3, 3), ids([1]), Gap(3, 3), ids([2]), Gap(3, 3)],
        [ids([1] * 20), Gap(3, 3), ids([2] * 15), Gap(2, 2), ids([0] * 9)],
        [ids([3]), Gap(room - 1, room - 1)],
    ):
        found = fill(predictor, pieces, Sampling(temperature), seed=3)
        wanted = np.concatenate([np.full(p.least, -1) if isinstance(p, Gap) else p for p in pieces])
        assert np.array_equal(found.ids[wanted >= 0], wanted[wanted >= 0])
        assert found.ids.min() >= 0 and found.ids.max() < VOCABULARY
        assert np.array_equal(found.given, wanted >= 0) and np.array_equal(found.moments < 0, found.given)
        written = sorted(place for stroke in found.strokes for place in stroke.places)
        assert written == np.flatnonzero(wanted < 0).tolist()
        assert (found.confidence > 0).all() and found.cost >= 0
        again = fill(predictor, pieces, Sampling(temperature), seed=3)
        assert np.array_equal(again.ids, found.ids)


@pytest.mark.parametrize("predictor", [left_to_right(Sequence(12)), left_to_right(Grid(3, 4)), ngram()], ids=[0, 1, 2])
def test_enough_candidates_give_the_exact_argmax_of_the_posterior(predictor: Any) -> None:
    """Every filling of a gap of two, scored as a whole text."""
    before, behind = [1, 4, 2], [0, 3, 3]
    costs = {}
    for middle in itertools.product(range(VOCABULARY), repeat=2):
        text = torch.tensor([[*before, *middle, *behind]])
        given = torch.full((1, 12 if predictor.context else 8), -1)
        given[0, :3] = text[0, :3]
        state = predictor.open(predictor.canvas(given.shape[1]), 1, given)
        costs[middle] = -float(state.read(text[:, 3:]).gather(2, text[:, 3:, None]).sum())
    found = fill(predictor, [ids(before), Gap(2, 2), ids(behind)], Sampling(0.0), candidates=VOCABULARY**2)
    assert tuple(found.ids[3:5]) == min(costs, key=lambda m: costs[m])
    assert found.nats + found.after_nats == pytest.approx(min(costs.values()), rel=1e-5)


@pytest.mark.parametrize("predictor", [left_to_right(Sequence(12)), ngram(), any_order(Sequence(12))], ids=[0, 1, 2])
def test_a_cloze_is_the_posterior(predictor: Any) -> None:
    text = ids([1, 4, 2, 0, 3, 3, 1])
    told = cloze(predictor, text, 3)
    assert np.exp(told).sum() == pytest.approx(1.0)
    if predictor.fixed_order:
        joint = []
        for token in range(VOCABULARY):
            row = torch.tensor([[1, 4, 2, token, 3, 3, 1]])
            state = predictor.open(predictor.canvas(7), 1)
            joint.append(float(state.read(row).gather(2, row[..., None]).double().sum()))
        expected = torch.log_softmax(torch.tensor(joint, dtype=torch.float64), 0).numpy()
    else:
        page = torch.tensor([[1, 4, 2, -1, 3, 3, 1]])
        expected = predictor.open(predictor.canvas(7), 1, page).log_probs()[0, 0].numpy()
    assert np.allclose(told, expected, atol=1e-5)
    with pytest.raises(UserError, match="from 0 to 6"):
        cloze(predictor, text, 7)


def test_an_open_length_is_the_cheapest_a_token() -> None:
    for predictor in (any_order(Sequence(12)), left_to_right(Sequence(12))):
        ends = [ids([1, 4]), ids([0, 3])]
        tried = {n: fill(predictor, [ends[0], Gap(n, n), ends[1]]).cost for n in range(1, 6)}
        found = fill(predictor, [ends[0], Gap(1, 5), ends[1]])
        assert len(found.ids) - 4 == min(tried, key=lambda n: tried[n]) and found.cost == min(tried.values())


def test_rewriting_touches_what_was_written_alone_and_keeps_count() -> None:
    predictor = any_order(Sequence(12), cells=4)
    pieces = [ids([1, 2]), Gap(8, 8), ids([3, 0])]
    plain = fill(predictor, pieces, Sampling(0.9), seed=1)
    found = fill(predictor, pieces, Sampling(0.9), seed=1, rewriting=Rewriting(rounds=3, share=0.5))
    assert len(found.strokes) == len(plain.strokes) + 3 * 2
    wiped = [stroke for stroke in found.strokes if stroke.ids[0] < 0]
    assert len(wiped) == 3 and all(len(s.places) == 4 and set(s.places) <= set(range(2, 10)) for s in wiped)
    first = wiped[0]
    doubts = sorted(plain.confidence[2:10])[:4]
    assert sorted(plain.confidence[list(first.places)]) == pytest.approx(doubts)
    assert found.ids[:2].tolist() == [1, 2] and (found.ids >= 0).all()


def test_cells_without_text_change_nothing() -> None:
    """A short text on a large page: as if the rest had never been asked for."""
    layout = Grid(3, 4)
    found = fill(any_order(layout), [ids([1]), Gap(2, 2), ids([2])])
    assert len(found.ids) == 4 and len(found.strokes) == 2


def test_what_cannot_act_is_refused() -> None:
    gap = [ids([1]), Gap(2, 2)]
    with pytest.raises(UserError, match="cannot rewrite"):
        fill(left_to_right(Sequence(6)), gap, rewriting=Rewriting())
    with pytest.raises(UserError, match="4 candidates cannot act"):
        fill(any_order(Sequence(6)), gap, Sampling(0.0), candidates=4)
    with pytest.raises(UserError, match="no gap"):
        fill(any_order(Sequence(6)), [ids([1])])
    with pytest.raises(UserError, match=r"0\.\.4"):
        fill(any_order(Sequence(6)), [ids([9]), Gap(1, 1)])
    with pytest.raises(UserError, match="another order"):
        fill(left_to_right(Grid(2, 3, "spiral_outwards")), [ids([1]), Gap(2, 2)])
    with pytest.raises(UserError, match="does not fit"):
        fill(left_to_right(Sequence(6)), [Gap(7, 7)])
    with pytest.raises(UserError, match="share"):
        Rewriting(share=0.0)
