"""Every id counts once, and what is given was read before."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semagram.errors import UserError
from semagram.verbs.windows import MOST_STRETCHES, Plan, gathered, plan_of
from verbs.verbs_toys import ZOO, AdaptiveBigram


@given(st.integers(0, 300), st.integers(1, 40) | st.none(), st.integers(1, 40), st.integers(1, 20), st.booleans())
@settings(max_examples=400, deadline=None)
def test_every_id_counts_once_and_given_ids_are_known(count, context, stride, stretches, pages):
    no_overlap = context is None or pages
    rows = min(stretches, -(-count // context) if pages and context else count)
    plan = Plan(count, rows, context, None if no_overlap else min(stride, context or 1))
    seen = np.zeros(count, dtype=int)
    for canvas in plan.rounds():
        assert canvas.rows == rows
        assert context is None or canvas.length <= context
        assert not plan.pages or (canvas.length == context and canvas.given == 0)
        for offset, filled in zip(canvas.offsets, canvas.filled, strict=True):
            assert canvas.given == 0 or filled >= canvas.given
            assert (seen[offset : offset + canvas.given] == 1).all()
            seen[offset + canvas.given : offset + filled] += 1
    assert (seen == 1).all()


@given(st.integers(0, 300), st.integers(2, 30), st.integers(1, 20), st.integers(1, 500))
@settings(max_examples=100, deadline=None)
def test_gathering_keeps_every_counted_canvas(count, context, stretches, cells):
    plan = Plan(count, min(stretches, count), context, max(1, context // 2))

    def rows(canvases):
        return sorted(
            (int(o), int(f), c.given, c.length)
            for c in canvases
            for o, f in zip(c.offsets, c.filled, strict=True)
            if f > c.given
        )

    together = list(gathered(plan.rounds(), cells))
    assert rows(together) == rows(plan.rounds())
    assert all(c.rows == 1 or c.rows * c.length <= cells for c in together)


def test_stretches_are_even_and_end_at_pages():
    assert Plan(10, 3, None, None).borders().tolist() == [0, 4, 7, 10]
    assert Plan(10, 3, 4, None).borders().tolist() == [0, 4, 8, 10]
    assert Plan(0, 0, 4, 2).borders().tolist() == [0, 0]


def test_defaults():
    assert plan_of(AdaptiveBigram(5), 111_540) == Plan(111_540, 27, None, None)
    assert plan_of(ZOO["attention"](), 100) == Plan(100, 1, 24, 12)
    assert plan_of(ZOO["any order page, 1 cell"](), 100) == Plan(100, 5, 24, None)
    assert plan_of(ZOO["context of one"](), 3) == Plan(3, 1, 1, 1)
    assert plan_of(AdaptiveBigram(5), 0).stretches == 0


@pytest.mark.parametrize("stretches", [0, -1, MOST_STRETCHES + 1])
def test_stretches_out_of_range_are_refused(stretches):
    with pytest.raises(UserError, match=f"stretches must be from 1 to 256, got {stretches}"):
        plan_of(AdaptiveBigram(5), 10, stretches)


@pytest.mark.parametrize("name", ["bigram", "causal page", "streams"])
def test_a_stride_that_cannot_act_is_refused(name):
    with pytest.raises(UserError, match="leave the stride out"):
        plan_of(ZOO[name](), 100, stride=4)


@pytest.mark.parametrize("stride", [0, 25])
def test_a_stride_out_of_range_is_refused(stride):
    with pytest.raises(UserError, match=f"from 1 to the context, 24; got {stride}"):
        plan_of(ZOO["attention"](), 100, stride=stride)
