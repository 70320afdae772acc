"""Speculative decoding writes what the target would have written: the same greedy text, the same distribution."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from laws.cases import shaken
from laws.predictors_walked import VOCABULARY, hybrid, network, ngram, suffix
from semagram.errors import UserError
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.models import MultiToken, Transformer
from semagram.objectives import NextToken
from semagram.predictors import CausalPredictor, Unmasking, predictor_of
from semagram.predictors.ensemble import Ensemble
from semagram.predictors.ngram import NgramConfig
from semagram.verbs.drafts import HeadsDraft, PredictorDraft, PromptLookup
from semagram.verbs.generate import generate
from semagram.verbs.reading import Reading
from semagram.verbs.sampling import Sampling
from semagram.verbs.speculative import speculate

LAYOUT = Sequence(12)
GREEDY = Sampling(temperature=0.0)
PROMPTS = [np.array([1, 2, 3, 1, 2]), np.array([], dtype=np.int64), np.arange(17) % VOCABULARY]


def causal(seed: int = 0) -> Any:
    return CausalPredictor(network(Visibility.CAUSAL, LAYOUT, seed=seed), LAYOUT)


TARGETS = {
    "network": causal,
    "n-gram": ngram,
    "suffix": suffix,
    "hybrid": lambda: hybrid(LAYOUT),
    "ensemble": lambda: Ensemble((causal(), ngram()), bayesian=True),
}
DRAFTS = {
    "n-gram": lambda: PredictorDraft(ngram()),
    "another network": lambda: PredictorDraft(causal(1)),
    "itself": lambda: PredictorDraft(causal()),
    "look-up": PromptLookup,
}


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("target", TARGETS)
def test_greedy_equals_greedy_token_for_token(target: str, draft: str) -> None:
    """Longer than a canvas, so that windows are changed in the middle of proposals."""
    predictor = TARGETS[target]()
    expected = generate(predictor, PROMPTS, 20, GREEDY)
    for ahead in (3, 20):
        found = speculate(predictor, DRAFTS[draft](), PROMPTS, 20, GREEDY, ahead=ahead)
        for a, b in zip(found.ids, expected, strict=True):
            assert a.tolist() == b.tolist()
        assert found.accepted <= found.proposed and found.passes <= 3 * 20


def test_a_draft_that_is_the_target_is_always_believed() -> None:
    told = speculate(causal(), PredictorDraft(causal()), PROMPTS[:1], 5, Sampling(), ahead=4)
    assert told.accepted == told.proposed == 4 and told.passes == 1


class Biased:
    """Proposes a fixed token, or draws from a fixed distribution."""

    def __init__(self, q: list[float] | None) -> None:
        self.q = q

    def drafter(self, reading: Any) -> Any:
        return self

    def propose(self, ids: Tensor, count: int, sampling: Sampling, uniform: Tensor) -> tuple[Tensor, Tensor | None]:
        if self.q is None:
            return torch.ones(count, dtype=torch.int64), None
        q = torch.tensor(self.q, dtype=torch.float64)
        chosen = torch.searchsorted(q.cumsum(0), uniform[:count], right=True).clamp(max=len(q) - 1)
        return chosen, q.expand(count, -1)


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=0.7, top_k=2)], ids=["plain", "filtered"])
@pytest.mark.parametrize("q", [[0.1, 0.1, 0.8], [0.5, 0.5, 0.0], None], ids=str)
def test_the_distribution_is_the_targets(q: list[float] | None, sampling: Sampling) -> None:
    """All 27 texts of 3 tokens over 3 ids: frequencies of 500 draws against exact probabilities (chi-squared)."""
    v, draws = 3, 500
    target = NgramConfig(2).fit(np.random.default_rng(1).integers(0, v, 60), v)
    exact = {}
    for text in itertools.product(range(v), repeat=3):
        state, p = target.open(Sequence(3), 1), 1.0
        for token in text:
            p *= float(sampling.distribution(state.log_probs())[0, 0, token])
            state.write(torch.tensor([[token]]))
        exact[text] = p
    assert sum(exact.values()) == pytest.approx(1.0)
    empty = [np.array([], dtype=np.int64)] * draws
    found = Counter(tuple(ids.tolist()) for ids in speculate(target, Biased(q), empty, 3, sampling, ahead=2).ids)
    assert all(exact[text] > 0 for text in found)
    chi = sum((found[t] - draws * p) ** 2 / (draws * p) for t, p in exact.items() if p > 0)
    freedom = sum(p > 0 for p in exact.values()) - 1
    assert chi < freedom + 5 * (2 * freedom) ** 0.5, chi


@pytest.mark.parametrize("q", [[0.1, 0.1, 0.8], [0.6, 0.4, 0.0]], ids=str)
def test_one_round_is_exact_by_enumeration(q: list[float]) -> None:
    """Integrate over the uniform numbers on a fine grid: the first token's law is p, to the grid's width."""
    from semagram.verbs.sampling import drawn

    p, other = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64), torch.tensor(q, dtype=torch.float64)
    rest = (p - other).clamp(min=0)
    law = torch.zeros(3, dtype=torch.float64)
    for token in range(3):
        accepted = min(1.0, float(p[token] / other[token])) if other[token] > 0 else 0.0
        law[token] += other[token] * accepted
        refused = float(other[token]) * (1 - accepted)
        law += refused * rest / rest.sum()
    assert torch.allclose(law, p)
    assert int(drawn(rest.cumsum(0), torch.tensor(0.0, dtype=torch.float64))) == int((rest > 0).nonzero()[0])


def test_rows_do_not_know_their_company_and_streams_are_whole() -> None:
    told: dict[int, list[int]] = {}
    both = speculate(
        causal(), DRAFTS["n-gram"](), PROMPTS, 9, seed=3, stream=lambda r, t: told.setdefault(r, []).append(t)
    )
    for row, prompt in enumerate(PROMPTS):
        assert both.ids[row][len(prompt) :].tolist() == told[row] and len(told[row]) == 9
    alone = speculate(causal(), DRAFTS["n-gram"](), PROMPTS[:1], 9, seed=3)
    assert alone.ids[0].tolist() == both.ids[0].tolist()
    early = speculate(causal(), DRAFTS["n-gram"](), PROMPTS, 9, seed=3, finished=lambda r, new: len(new) == 2)
    assert [len(ids) for ids in early.ids] == [len(p) + 2 for p in PROMPTS]
    for row in range(3):
        assert early.ids[row].tolist() == both.ids[row][: len(early.ids[row])].tolist()


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UserError, match="at least 1, got 0"):
        speculate(causal(), PromptLookup(), PROMPTS, 3, ahead=0)
    with pytest.raises(UserError, match="penalties"):
        speculate(causal(), PromptLookup(), PROMPTS, 3, Sampling(repetition_penalty=1.5))
    with pytest.raises(UserError, match="share the vocabulary"):
        speculate(causal(), PredictorDraft(NgramConfig(1).fit(np.arange(7), 7)), PROMPTS, 3)
    full = predictor_of(network(Visibility.FULL, LAYOUT), LAYOUT, Unmasking())
    with pytest.raises(UserError, match="fixed order"):
        speculate(full, PromptLookup(), PROMPTS, 3)
    with pytest.raises(UserError, match="at least 1 token, got 0"):
        PromptLookup(0)


def test_look_up_finds_the_latest_longest_match() -> None:
    drafter = PromptLookup(2).drafter(Reading(ngram(), torch.zeros(1, 0, dtype=torch.int64), 10))
    ids = torch.tensor([1, 2, 3, 1, 2, 4, 0, 1, 2])
    assert drafter.propose(ids, 3, GREEDY, torch.zeros(3))[0].tolist() == [4, 0, 1]
    assert drafter.propose(torch.tensor([1, 2, 3]), 3, GREEDY, torch.zeros(3))[0].tolist() == []


def heads() -> Any:
    """A network whose heads know something, so that some of their proposals are accepted."""
    torch.manual_seed(0)
    config = MultiToken(Transformer(width=16, depth=1), ahead=3)
    net = shaken(config.build(VOCABULARY, LAYOUT, Visibility.CAUSAL))
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    ids = (torch.arange(12) + torch.arange(8)[:, None]) % VOCABULARY
    from semagram.training.step import losses

    geometry = Geometry.of(LAYOUT.positions(), Visibility.CAUSAL)
    example = NextToken().example(ids, geometry, VOCABULARY, torch.Generator())
    for _ in range(60):
        loss, beside = losses(net.train(), NextToken(), example, geometry)
        optimiser.zero_grad()
        sum(beside.values(), loss).backward()
        optimiser.step()
    return CausalPredictor(net.eval(), LAYOUT)


def test_its_own_heads_draft_for_it() -> None:
    predictor = heads()
    expected = generate(predictor, PROMPTS, 20, GREEDY)
    told = speculate(predictor, HeadsDraft(), PROMPTS, 20, GREEDY, ahead=3)
    assert [a.tolist() for a in told.ids] == [b.tolist() for b in expected]
    assert told.accepted > 20 and told.passes < 40, told
    drawn = speculate(predictor, HeadsDraft(), PROMPTS, 20, Sampling(temperature=2.0), ahead=2)
    assert drawn.proposed > drawn.accepted > 0
    with pytest.raises(UserError, match="MultiToken"):
        speculate(causal(), HeadsDraft(), PROMPTS, 3)
    with pytest.raises(UserError, match="MultiToken"):
        speculate(ngram(), HeadsDraft(), PROMPTS, 3)
