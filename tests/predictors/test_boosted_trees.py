"""Boosted trees: the predictor's laws, a rule that they must find, classes that do not occur, saving."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from laws import company, distribution, future, stepping
from laws.predictors_walked import random_ids
from semagram.errors import UserError
from semagram.layouts import Grid, Sequence
from semagram.predictors.boosted_trees import BoostedTrees, BoostedTreesPredictor

SMALL = BoostedTrees(context=3, rounds=4, leaves=7)
RANDOM = np.random.default_rng(0).integers(0, 4, 300)


@pytest.fixture(autouse=True)
def needed() -> None:
    pytest.importorskip("lightgbm")


@pytest.mark.parametrize("layout", [Sequence(7), Grid(2, 3, "snake"), Sequence(1)], ids=str)
def test_the_laws(layout: Any) -> None:
    predictor, ids = SMALL.fit(RANDOM, 5), random_ids(layout)
    distribution.check_predictor(predictor, layout, ids)
    future.check_predictor(predictor, layout, ids)
    stepping.check_predictor(predictor, layout, ids)
    company.check_predictor(predictor, layout, ids)


def test_a_rule_is_found() -> None:
    """Each token is that of two before, plus one: the trees know, the floor is all that is lost."""
    ids = np.array([0, 1])
    while len(ids) < 600:
        ids = np.append(ids, (ids[-2] + 1) % 4)
    told = BoostedTrees(context=4, rounds=30).fit(ids[:500], 4).open(Sequence(100), 1).read(
        torch.from_numpy(ids[500:])[None]
    )  # fmt: skip
    right = told[0, torch.arange(100), torch.from_numpy(ids[500:])]
    assert float(right[6:].exp().mean()) > 0.95


def test_classes_that_do_not_occur_have_the_floor_alone() -> None:
    predictor = BoostedTrees(context=2, rounds=2, floor=0.01).fit(np.array([0, 2] * 40), 5)
    row = predictor.open(Sequence(3), 1).log_probs()[0, 0].exp()
    assert torch.allclose(row[[1, 3, 4]], torch.full((3,), 0.002), atol=1e-6)
    alone = BoostedTrees(context=2).fit(np.zeros(5, dtype=np.int64), 3).open(Sequence(2), 1).log_probs()[0, 0].exp()
    assert alone[0] > 0.99 and alone.sum() == pytest.approx(1.0, abs=1e-6)


def test_saved_and_loaded_equals_kept() -> None:
    kept = SMALL.fit(RANDOM, 5)
    loaded = BoostedTreesPredictor.from_arrays(kept.arrays())
    ids = random_ids(Sequence(9))
    assert torch.equal(loaded.open(Sequence(9), 3).read(ids), kept.open(Sequence(9), 3).read(ids))
    again = SMALL.fit(RANDOM, 5).open(Sequence(9), 3).read(ids)
    assert torch.equal(again, kept.open(Sequence(9), 3).read(ids))


@pytest.mark.parametrize(
    "given", [{"context": 0}, {"rounds": 0}, {"leaves": 1}, {"rate": 0.0}, {"floor": 0.0}, {"floor": 1.0}], ids=str
)
def test_what_cannot_be_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=str(next(iter(given.values())))):
        BoostedTrees(**given)
