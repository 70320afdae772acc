"""Intervals against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from semagram.lab.comparison_statistics import blocks_of, bootstrap, mean_over_seeds, t_quantile


def test_the_interval_of_three_seeds():
    # mean 2, sample standard deviation 1, standard error 1/sqrt(3) = 0.57735, t(2) = 4.3027: half width 2.48415.
    found = mean_over_seeds([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert found.low == pytest.approx(2.0 - 2.48415, abs=1e-4)
    assert found.high == pytest.approx(2.0 + 2.48415, abs=1e-4)
    assert found.basis == "3 seeds"
    assert not found.certain


def test_the_interval_of_two_seeds():
    # sd = 0.1 * sqrt(2) / ... = 0.141421, se = 0.1, t(1) = 12.7062.
    found = mean_over_seeds([-1.0, -1.2])
    assert found.high is not None and found.high == pytest.approx(-1.1 + 1.27062, abs=1e-5)


def test_one_seed_has_no_interval():
    found = mean_over_seeds([1.5])
    assert (found.mean, found.low, found.high, found.certain) == (1.5, None, None, False)


@pytest.mark.parametrize(("degrees", "value"), [(1, 12.7062), (4, 2.7764), (30, 2.0423), (40, 2.0211), (120, 1.9799)])
def test_students_t(degrees, value):
    assert t_quantile(degrees) == pytest.approx(value, abs=1e-4)


def test_t_needs_a_degree_of_freedom():
    with pytest.raises(ValueError, match="got 0"):
        t_quantile(0)


def test_blocks_keep_every_nat_whatever_the_tokens():
    # Tokens of 3, 0 and 2 characters over 12 characters, in blocks of 5: they begin at 0, 3, 3, 5, 8, 8, 10.
    nats, lengths = np.arange(1.0, 8.0), np.array([3, 0, 2, 3, 0, 2, 2])
    blocks = blocks_of(nats, lengths, block=5)
    assert blocks.nats.tolist() == [1 + 2 + 3, 4 + 5 + 6, 7]
    assert blocks.characters.tolist() == [5, 5, 2]


def test_the_last_token_may_add_nothing():
    assert blocks_of(np.array([1.0, 2.0]), np.array([5, 0]), block=5).nats.tolist() == [3.0]


def test_a_bootstrap_of_equal_blocks_is_certain():
    found = bootstrap(np.full(20, -100 * math.log(2)), np.full(20, 1000.0))
    assert (found.mean, found.low, found.high) == pytest.approx((-0.1, -0.1, -0.1))
    assert found.certain and found.basis == "20 blocks of text"


def test_a_bootstrap_agrees_with_the_central_limit():
    # Differences of standard deviation 50 bits in 400 blocks of 1,000 characters: se = 50 / 1000 / 20 = 0.0025.
    values = np.random.default_rng(1).normal(0, 50 * math.log(2), 400)
    found = bootstrap(values, np.full(400, 1000.0))
    assert found.low is not None and found.high is not None
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.0025, rel=0.12)


def test_too_few_blocks_have_no_interval():
    found = bootstrap(np.ones(3), np.full(3, 1000.0))
    assert found.low is None and "too few" in found.basis
