"""Contrastive decoding against its formula and x-transformers' function; the predictor laws."""

from __future__ import annotations

import pytest
import torch

from laws import company, distribution, future, rewinding, stepping
from laws.predictors_walked import FIT, VOCABULARY, network, ngram, random_ids
from semagram.errors import UserError
from semagram.layouts import Grid, Sequence, Visibility
from semagram.predictors import CausalPredictor, Unmasking, predictor_of
from semagram.predictors.contrastive import Contrastive, contrasted
from semagram.predictors.ngram import NgramConfig
from semagram.verbs.generate import generate
from semagram.verbs.sampling import Sampling

LAYOUT = Sequence(7)


def made(plausible: float = 1e-3) -> Contrastive:
    expert = CausalPredictor(network(Visibility.CAUSAL, LAYOUT), LAYOUT)
    return Contrastive(expert, NgramConfig(1).fit(FIT, VOCABULARY), plausible=plausible)


def test_the_formula_and_a_peer() -> None:
    torch.manual_seed(0)
    expert, amateur = (torch.log_softmax(2 * torch.randn(4, 11), dim=-1) for _ in range(2))
    for strength, plausible in ((0.5, 0.1), (2.0, 0.01), (0.0, 1.0)):
        how = Contrastive(ngram(), ngram(), strength, plausible)
        ours = contrasted(expert, amateur, how)
        p = expert.exp()
        kept = p >= plausible * p.amax(-1, keepdim=True) * (1 - 1e-6)
        z = ((1 + strength) * expert - strength * amateur).masked_fill(~kept, float("-inf"))
        assert torch.allclose(ours, torch.log_softmax(z, -1), atol=1e-5)
        wrapper = pytest.importorskip("x_transformers.autoregressive_wrapper")
        theirs = wrapper.contrastive_decode_fn(expert, amateur, alpha=plausible, beta=strength)
        same = torch.log_softmax(theirs, -1)
        assert torch.allclose(ours.exp(), same.exp(), atol=1e-5)


@pytest.mark.parametrize("layout", [LAYOUT, Grid(2, 3, "snake")], ids=str)
def test_it_keeps_the_laws(layout) -> None:
    expert = CausalPredictor(network(Visibility.CAUSAL, layout), layout)
    predictor, ids = Contrastive(expert, ngram(), plausible=1e-6), random_ids(layout)
    for law in (distribution, stepping, company, rewinding, future):
        law.check_predictor(predictor, layout, ids)
    future.check_order(predictor, layout, ids)


def test_it_writes_and_only_what_is_plausible() -> None:
    predictor = made(0.5)
    prompts = [torch.tensor([1, 2]).numpy(), torch.tensor([3]).numpy()]
    for written, prompt in zip(generate(predictor, prompts, 12, Sampling()), prompts, strict=True):
        assert len(written) == len(prompt) + 12
    rows = predictor.open(LAYOUT, 3).read(random_ids(LAYOUT))
    p = predictor.expert.open(LAYOUT, 3).read(random_ids(LAYOUT)).exp()
    assert bool(((rows == float("-inf")) == (p < 0.5 * p.amax(-1, keepdim=True))).all())
    assert predictor.context == 7 and predictor.canvas(4) == Sequence(4)


def test_what_does_not_fit_is_refused() -> None:
    full = predictor_of(network(Visibility.FULL, LAYOUT), LAYOUT, Unmasking())
    for given, reason in (
        ((ngram(), NgramConfig(1).fit(FIT, 7)), "5 and 7"),
        ((ngram(), full), "fixed order"),
        ((ngram(), ngram(), -1.0), "strength must be"),
        ((ngram(), ngram(), 0.5, 0.0), "plausible must be"),
    ):
        with pytest.raises(UserError, match=reason):
            Contrastive(*given)
