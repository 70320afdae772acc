"""Batches: a pure function of (seed, step) that shows every token."""

import numpy as np
import pytest

from semagram.errors import UserError
from semagram.training.batches import Batches
from semagram.training.seeds import Purpose, seed_of

IDS = np.arange(1000, dtype=np.uint16)


def test_a_batch_depends_on_seed_and_step_only():
    in_order = [Batches(IDS, 16, 8, seed=3).at(step) for step in range(40)]
    batches = Batches(IDS, 16, 8, seed=3)
    for step in (39, 0, 17, 39, 38):
        assert (batches.at(step).starts == in_order[step].starts).all()
        assert (batches.at(step).ids == in_order[step].ids).all()
    assert any((Batches(IDS, 16, 8, seed=4).at(s).starts != in_order[s].starts).any() for s in range(3))


def test_starts_say_where_the_ids_stand():
    batch = Batches(IDS, 16, 8, seed=0).at(5)
    assert batch.ids.shape == (8, 16)
    assert (batch.ids.numpy() == batch.starts[:, None] + np.arange(16)).all()


def test_an_epoch_shows_no_token_twice_and_nearly_all():
    batches = Batches(IDS, 16, 1, seed=0)
    for epoch in range(3):
        starts = np.concatenate([batches.at(epoch * batches.an_epoch + i).starts for i in range(batches.an_epoch)])
        seen = (starts[:, None] + np.arange(16)).reshape(-1)
        assert len(set(seen.tolist())) == len(seen) >= len(IDS) - 32


def test_epochs_are_cut_differently_and_reach_both_ends():
    batches = Batches(np.arange(64, dtype=np.uint16), 16, 1, seed=0)
    starts = {int(batches.at(step).starts[0]) for step in range(900)}
    assert min(starts) == 0 and max(starts) == 48
    assert len({start % 16 for start in starts}) == 16


def test_a_batch_may_span_epochs_and_a_text_may_be_one_canvas():
    batch = Batches(np.arange(16, dtype=np.uint8), 16, 5, seed=0).at(2)
    assert (batch.starts == 0).all() and batch.ids.shape == (5, 16)


def test_a_text_shorter_than_a_canvas_is_refused_with_both_lengths():
    with pytest.raises(UserError, match=r"15 tokens.*holds 16.*layout\.length"):
        Batches(np.arange(15, dtype=np.uint8), 16, 5, seed=0)


def test_seeds_differ_by_every_argument_and_negative_seeds_work():
    seeds = {
        seed_of(s, i, p, r)
        for s in (0, 1, -1)
        for i in (0, 1, 2)
        for p in (Purpose.EXAMPLE, Purpose.NETWORK)
        for r in (0, 1)
    }
    assert len(seeds) == 36 and all(0 <= seed < 2**63 for seed in seeds)
