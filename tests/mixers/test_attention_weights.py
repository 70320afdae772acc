"""Rules from scores to weights: beside their definitions, in values and gradients, and what their names promise."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from laws.test_fast_and_slow import compared
from mixers.peer_attention import LENGTH, Together
from semagram.layouts import Sequence, Visibility
from semagram.layouts.geometry import Geometry
from semagram.mixers import Attention, Entmax15, NoPositions, Sigmoid, Softmax, Sparsemax, TopK
from semagram.mixers.attention_parts import entmax
from semagram.mixers.attention_parts.selective import deselected, held_against, reference

RULES = [(entmax.sparsemax, 2.0), (entmax.entmax15, 1.5)]
SHAPES = [(1,), (3, 2), (2, 3, 7), (5, 33)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("spread", [0.1, 1.0, 8.0])
@pytest.mark.parametrize(("rule", "alpha"), RULES)
def test_sparse_rules_are_their_definition(rule: Any, alpha: float, spread: float, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    compared(rule, lambda s: entmax.reference(s, alpha), torch.randn(shape).double() * spread, tolerance=1e-8)
    compared(rule, lambda s: entmax.reference(s.double(), alpha).float(), torch.randn(shape) * spread)


@pytest.mark.parametrize(("rule", "alpha"), RULES)
def test_sparse_rules_are_the_packages(rule: Any, alpha: float) -> None:
    package = pytest.importorskip("entmax")
    theirs = {2.0: package.sparsemax, 1.5: package.entmax15}[alpha]
    torch.manual_seed(0)
    compared(rule, lambda s: theirs(s, dim=-1), torch.randn(4, 3, 29) * 3)


@pytest.mark.parametrize(("rule", "alpha"), RULES)
def test_the_gradient_is_that_of_differences(rule: Any, alpha: float) -> None:
    torch.manual_seed(0)
    assert torch.autograd.gradcheck(rule, torch.randn(3, 6, dtype=torch.float64, requires_grad=True))


@pytest.mark.parametrize("rule", [Softmax(), TopK(2), Sparsemax(), Entmax15()], ids=lambda r: type(r).__name__)
def test_what_is_hidden_gets_nothing_and_the_rest_shares_one(rule: Any) -> None:
    torch.manual_seed(0)
    scores = torch.randn(4, 5, 9) * 3
    scores[..., 5:] = float("-inf")
    scores[0, 0, 1:] = float("-inf")
    scores.requires_grad_()
    weights = rule.weigh(scores)
    assert (weights[..., 5:] == 0).all() and (weights >= 0).all()
    assert torch.allclose(weights.sum(-1), torch.ones(4, 5)) and weights[0, 0, 0] == 1
    weights.square().sum().backward()
    assert scores.grad is not None and scores.grad.isfinite().all()


def test_sparse_means_exact_zeros() -> None:
    scores = torch.tensor([3.0, 2.9, 0.0, -1.0])
    assert (Sparsemax().weigh(scores)[2:] == 0).all() and (Entmax15().weigh(scores)[2:] == 0).all()
    kept = (TopK(2).weigh(scores) > 0).tolist()
    assert kept == [True, True, False, False] and (Softmax().weigh(scores) > 0).all()
    assert torch.equal(TopK(2).weigh(torch.zeros(4)), torch.full((4,), 0.25)), "ties are kept"


def test_sigmoid_is_its_formula() -> None:
    scores = torch.tensor([[1.0, 0.0, -2.0, float("-inf")]])
    expected = 1 / (1 + 3 * torch.exp(-scores))
    assert torch.allclose(Sigmoid().weigh(scores), expected)


def scores_of(n: int) -> Tensor:
    torch.manual_seed(0)
    return torch.randn(2, 3, n, n).masked_fill(~torch.ones(n, n, dtype=torch.bool).tril(), float("-inf"))


@pytest.mark.parametrize("n", [4, 7, 12])
def test_selection_is_its_definition(n: int) -> None:
    numbers, hidden = torch.arange(n), ~torch.ones(n, n, dtype=torch.bool).tril()

    def fast(scores: Tensor) -> Tensor:
        held = held_against(scores.masked_fill(hidden, float("-inf")), numbers, numbers, numbers[:1])
        return deselected(held)[0]

    compared(fast, lambda s: reference(s.masked_fill(hidden, -1.0)), scores_of(n).nan_to_num(neginf=0.0))


def test_selection_is_that_of_x_transformers() -> None:
    pytest.importorskip("x_transformers")
    Together(Attention(4, 6, None, NoPositions(), None, selective=True), selective=True).compare()


def test_sparse_attention_is_that_of_x_transformers_with_the_same_rule() -> None:
    """It takes any function of the scores; those that it masks are very low numbers."""
    pytest.importorskip("x_transformers")
    for rule in (Sparsemax(), Entmax15()):
        plain = {"heads": 4, "head_width": 6, "positions": NoPositions(), "sharpness": None}
        Together(Attention(**plain, weights=rule), custom_attn_fn=lambda s, r=rule: r.weigh(s.clamp(-1e4))).compare()


def test_selection_counts_from_the_first_slot_that_is_no_padding() -> None:
    """X12: in x-transformers the first slot is spared even where it is padding."""
    torch.manual_seed(0)
    mixer = Attention(heads=2, selective=True).build(8)
    torch.nn.init.normal_(mixer.inward.weight)
    x, keep = torch.randn(1, LENGTH, 8), torch.ones(1, LENGTH, dtype=torch.bool)
    keep[:, :3] = False
    whole = Geometry.of(Sequence(LENGTH).positions(), Visibility.CAUSAL, keep)
    bare = Geometry(whole.coords[3:], whole.order[3:], Visibility.CAUSAL)
    assert torch.allclose(mixer(x, whole)[:, 3:], mixer(x[:, 3:], bare), atol=1e-6)
