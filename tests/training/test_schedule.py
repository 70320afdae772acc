"""The learning rate, the points of evaluation, and budgets."""

from itertools import pairwise

import pytest

from semagram.training.budget import Budget
from semagram.training.schedule import Pace, evaluation_steps, rate_factor


def test_the_rate_rises_and_falls_to_zero_and_is_never_zero():
    factors = [rate_factor(s, 100, 0.1, 1.0) for s in range(100)]
    assert factors[0] == pytest.approx(0.1) and factors[9] == pytest.approx(0.91)
    assert all(b < a for a, b in pairwise(factors[10:]))
    assert 0 < factors[-1] == pytest.approx(0.01)
    assert rate_factor(100, 100, 0.1, 1.0) == 0


def test_no_warmup_and_no_decay_is_constant_and_a_late_decay_leaves_a_plateau():
    assert {rate_factor(s, 10, 0.0, 0.0) for s in range(10)} == {1.0}
    factors = [rate_factor(s, 100, 0.1, 0.2) for s in range(100)]
    assert factors[20:80] == [1.0] * 60 and factors[90] == pytest.approx(0.5)


def test_evaluations_depend_on_the_total_only_and_include_the_last_step():
    assert evaluation_steps(100, 0.25) == {25, 50, 75, 100}
    assert evaluation_steps(100, 0.3) == {30, 60, 90, 100}
    assert evaluation_steps(100, 1.0) == {100}
    assert evaluation_steps(3, 0.1) == {1, 2, 3}
    assert evaluation_steps(None, 0.1) == frozenset()


def test_steps_and_tokens():
    assert Pace(Budget(70, "steps"), 10, None).total == 70
    assert Pace(Budget(1000, "tokens"), 10, None).total == 100
    assert Pace(Budget(3, "tokens"), 10, None).total == 1


def test_seconds_are_timed_over_a_share_and_at_least_five_steps():
    pace = Pace(Budget(100, "seconds"), 10, None)
    # A slow first step of 2 s, then 0.5 s each: 4 % of the budget are over after five steps.
    assert [pace.timed(s, 2 + 0.5 * (s - 1), 2 if s == 1 else 0.5) for s in range(1, 5)] == [None] * 4
    assert pace.timed(5, 4.0, 0.5) == 5 + 192
    assert not pace.overrun(109) and pace.overrun(111)


def test_a_budget_shorter_than_five_steps_ends_after_them():
    pace = Pace(Budget(1, "seconds"), 10, None)
    assert [pace.timed(s, 1.0 * s, 1.0) for s in range(1, 6)] == [None] * 4 + [5]


def test_a_known_total_is_kept():
    assert Pace(Budget(100, "seconds"), 10, 1234).total == 1234
