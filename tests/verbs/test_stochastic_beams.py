"""Stochastic beams against enumeration: all continuations, who comes first, and which two are drawn together."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
import torch

from semagram.errors import UserError
from semagram.predictors.ngram import NgramConfig
from semagram.verbs.stochastic_beams import given_maximum, stochastic_beams
from verbs.test_beams import causal, every_text


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("ends", [False, True])
def test_with_enough_beams_it_is_every_continuation(ends: bool) -> None:
    predictor, prompt = causal(3), [1, 0]
    exact = every_text(predictor, prompt, 3)
    if ends:  # id 2 ends a text
        exact = {
            text: log_prob
            for n in range(1, 4)
            for text, log_prob in every_text(predictor, prompt, n).items()
            if 2 not in text[:-1] and (n == 3 or text[-1] == 2)
        }
    finished = (lambda new: new[-1] == 2) if ends else None
    (found,) = stochastic_beams(predictor, [np.array(prompt)], 3, 40, generator=seeded(0), finished=finished)
    assert {tuple(c.ids.tolist()) for c in found} == set(exact) and len(found) == len(exact)
    assert all(c.log_prob == pytest.approx(exact[tuple(c.ids.tolist())], abs=1e-5) for c in found)
    assert [c.value for c in found] == sorted((c.value for c in found), reverse=True)


def test_draws_are_those_without_replacement() -> None:
    """Two of nine: the first is a sample, and each pair comes as often as p_a p_b / (1 - p_a)."""
    predictor, trials = NgramConfig(2).fit(np.array([0, 1, 0, 2, 0, 1, 1, 0, 2, 2, 0, 1]), 3), 1500
    exact = {text: np.exp(log_prob) for text, log_prob in every_text(predictor, [0], 2).items()}
    generator, first, pairs = seeded(1), Counter(), Counter()
    for _ in range(trials):
        (found,) = stochastic_beams(predictor, [np.array([0])], 2, 2, generator=generator)
        a, b = (tuple(c.ids.tolist()) for c in found)
        first[a] += 1
        pairs[a, b] += 1
    for text, p in exact.items():
        assert abs(first[text] / trials - p) < 4.5 * (p * (1 - p) / trials) ** 0.5 + 1e-9, text
    for a, b in itertools.permutations(exact, 2):
        p = exact[a] * exact[b] / (1 - exact[a])
        assert abs(pairs[a, b] / trials - p) < 4.5 * (p * (1 - p) / trials) ** 0.5 + 2 / trials, (a, b)


def test_the_largest_is_the_one_that_was_asked_for() -> None:
    phi = torch.log_softmax(torch.randn(50, 6, dtype=torch.float64) * 9, dim=1)
    phi[:, 2] = float("-inf")
    wanted = torch.linspace(-30, 30, 50, dtype=torch.float64)
    drawn = given_maximum(phi, wanted, seeded(2))
    assert torch.allclose(drawn.max(dim=1).values, wanted, atol=1e-9) and bool((drawn[:, 2] == float("-inf")).all())
    assert not bool(drawn.isnan().any())


def test_what_cannot_be_is_refused() -> None:
    for wrong in ({"tokens": 0}, {"tokens": 3, "count": 0}):
        with pytest.raises(UserError, match="at least 1"):
            stochastic_beams(causal(3), [np.array([1])], **wrong, generator=seeded(0))  # type: ignore[arg-type]
