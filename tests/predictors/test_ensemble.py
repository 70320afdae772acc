"""Ensembles against their formulas and against the predictor contract."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import semagram
from semagram.errors import UserError
from semagram.experiment import Experiment
from semagram.layouts import Grid, Layout, Sequence, Visibility
from semagram.mixers import Attention
from semagram.models import Transformer
from semagram.predictors import AnyOrderPredictor, CausalPredictor, Unmasking
from semagram.predictors.contract import DecodingState, Predictor, read_step_by_step
from semagram.predictors.ensemble import Ensemble
from semagram.predictors.ngram import NgramConfig
from semagram.training import train
from semagram.training.budget import Budget
from semagram.training.settings import Training
from semagram.verbs.score import score

V = 5
TEXT = np.random.default_rng(0).integers(0, V, 300)


def network(length: int = 10, seed: int = 0, visibility: Visibility = Visibility.CAUSAL):
    torch.manual_seed(seed)
    built = Transformer(width=16, depth=1, mixer=Attention(heads=2)).build(V, Sequence(length), visibility)
    with torch.no_grad():
        for p in built.parameters():
            p.add_(torch.randn_like(p) * 0.2)
    return built.eval()


def members() -> tuple[Predictor, ...]:
    ngrams = [NgramConfig(order).fit(TEXT, V) for order in (1, 3)]
    return (*ngrams, CausalPredictor(network(), Sequence(10)))


KINDS: list[Callable[..., Ensemble]] = [
    lambda m: Ensemble(m),
    lambda m: Ensemble(m, weights=(1.0, 2.0, 5.0)),
    lambda m: Ensemble(m, "product", weights=(1.0, 2.0, 5.0)),
    lambda m: Ensemble(m, bayesian=True),
    lambda m: Ensemble(m, weights=(1.0, 2.0, 5.0), bayesian=True, memory=0.9),
]


def ids(batch: int = 4, length: int = 10, seed: int = 1) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, V, (batch, length)))


@pytest.mark.parametrize("make", KINDS)
def test_the_contract(make: Callable[..., Ensemble]) -> None:
    ensemble, layout = make(members()), Sequence(10)
    assert isinstance(ensemble, Predictor) and isinstance(ensemble.open(layout, 1), DecodingState)
    expected = read_step_by_step(ensemble.open(layout, 4), ids())
    state = ensemble.open(layout, 4)
    got = torch.cat([state.read(ids()[:, :4]), state.read(ids()[:, 4:])], dim=1)
    assert got.dtype == torch.float32 and torch.allclose(got, expected, atol=1e-5)
    assert (got.double().exp().sum(-1) - 1).abs().max() < 1e-6
    assert state.next_positions.shape == (4, 0) and state.log_probs().shape == (4, 0, V)
    alone = ensemble.open(layout, 1).read(ids()[2:3])
    assert torch.allclose(alone[0], got[2], atol=1e-5), "company"
    changed = ids().clone()
    changed[:, 6:] = (changed[:, 6:] + 1) % V
    again = ensemble.open(layout, 4).read(changed)
    assert torch.equal(again[:, :7], ensemble.open(layout, 4).read(ids())[:, :7]), "future"
    assert ensemble.context == 10 and ensemble.canvas(7) == Sequence(7)
    with pytest.raises(ValueError, match="10"):
        ensemble.canvas(11)
    assert score(ensemble, TEXT[:60]).nats_per_token == pytest.approx(
        score(ensemble, TEXT[:60], parallel=False).nats_per_token, abs=1e-5
    )


def test_its_formulas() -> None:
    each, weights = members(), np.array([1.0, 2.0, 5.0])
    rows = np.stack([m.open(Sequence(10), 4).read(ids()).double().numpy() for m in each])
    mixture = Ensemble(each, weights=tuple(weights)).open(Sequence(10), 4).read(ids()).double().numpy()
    np.testing.assert_allclose(np.exp(mixture), np.einsum("k,kbmv->bmv", weights / 8, np.exp(rows)), atol=1e-6)
    product = Ensemble(each, "product", tuple(weights)).open(Sequence(10), 4).read(ids()).double().numpy()
    joined = np.exp(np.einsum("k,kbmv->bmv", weights / 8, rows))
    np.testing.assert_allclose(np.exp(product), joined / joined.sum(-1, keepdims=True), atol=1e-6)
    for memory in (1.0, 0.9, 0.0):
        state = Ensemble(each, weights=tuple(weights), bayesian=True, memory=memory).open(Sequence(10), 4)
        found = state.read(ids()).double().numpy()
        for b in range(4):
            belief = weights / 8
            for i, token in enumerate(ids()[b].tolist()):
                np.testing.assert_allclose(np.exp(found[b, i]), belief @ np.exp(rows[:, b, i]), atol=1e-6)
                belief = belief**memory * (weights / 8) ** (1 - memory) * np.exp(rows[:, b, i, token])
                belief = belief / belief.sum()


def test_bayesian_weights_cost_at_most_the_prior_more_than_the_best() -> None:
    each = members()
    total = {m: -m.open(Sequence(10), 4).read(ids()).gather(2, ids()[..., None]).sum(dim=(1, 2)) for m in each}
    best = torch.stack(list(total.values())).min(dim=0).values
    rows = Ensemble(each, bayesian=True).open(Sequence(10), 4).read(ids())
    ours = -rows.gather(2, ids()[..., None]).sum(dim=(1, 2))
    assert bool((ours <= best + math.log(3) + 1e-4).all())


@pytest.mark.parametrize("make", [KINDS[0], lambda m: Ensemble(m, "product"), KINDS[3]])
def test_a_member_that_comes_and_goes_leaves_no_trace(make: Callable[..., Ensemble]) -> None:
    each = members()
    before, more = make(each[:2]), make(each[:2]).with_member(each[2])
    assert len(more.members) == 3 and more != before
    assert more.without_member(2) == before
    assert torch.equal(
        more.without_member(2).open(Sequence(10), 4).read(ids()), before.open(Sequence(10), 4).read(ids())
    )
    lone = make(each[:1]).open(Sequence(10), 4).read(ids())
    assert torch.equal(lone, each[0].open(Sequence(10), 4).read(ids())), "one member alone keeps its bits"
    weighted = Ensemble(each[:1], weights=(1.0,)).with_member(each[1], 3.0)
    assert weighted.weights == (1.0, 3.0) and weighted.without_member(0).weights == (3.0,)
    for wrong in (lambda: weighted.with_member(each[2]), lambda: before.with_member(each[2], 1.0)):
        with pytest.raises(UserError, match="weight"):
            wrong()
    with pytest.raises(UserError, match="0 to 1, got 2"):
        before.without_member(2)


def test_what_does_not_fit_is_refused() -> None:
    each = members()
    full = AnyOrderPredictor(network(visibility=Visibility.FULL), Sequence(10), Unmasking())
    for given, reason in (
        ({"members": ()}, "at least 1"),
        ({"members": (each[0], NgramConfig(1).fit(TEXT, 7))}, r"\[5, 7\]"),
        ({"members": (each[0], full)}, "fixed order"),
        ({"members": each, "weights": (1.0,)}, "3 members"),
        ({"members": each, "weights": (1.0, 0.0, 2.0)}, "above 0"),
        ({"members": each, "kind": "product", "bayesian": True}, "mixture"),
        ({"members": each, "memory": 0.5}, "Bayesian"),
        ({"members": each, "memory": 1.5, "bayesian": True}, "0 to 1"),
    ):
        with pytest.raises(UserError, match=reason):
            Ensemble(**given)


class Backwards:
    """An n-gram that says it writes the last cell first."""

    vocabulary_size, context, fixed_order = V, None, True

    def canvas(self, length: int) -> Layout:
        return Sequence(length)

    def open(self, layout: Layout, batch: int, given: Tensor | None = None) -> DecodingState:
        state = NgramConfig(1).fit(TEXT, V).open(layout, batch, given)
        state._order = state._order.flip(0)
        return state


def test_members_that_disagree_on_the_next_cell_are_refused() -> None:
    state = Ensemble((members()[0], Backwards())).open(Sequence(4), 1)
    with pytest.raises(ValueError, match="same cells"):
        state.log_probs()


def test_on_a_page() -> None:
    each = tuple(NgramConfig(order).fit(TEXT, V) for order in (1, 2))
    ensemble, layout = Ensemble(each, bayesian=True), Grid(2, 5, "snake")
    expected = read_step_by_step(ensemble.open(layout, 4), ids())
    assert torch.allclose(ensemble.open(layout, 4).read(ids()), expected, atol=1e-6) and ensemble.context is None


def test_an_ensemble_of_runs_scores_and_compresses(tmp_path: Path) -> None:
    text = "the ring of ink and the ink of time " * 30
    training = Training(budget=Budget(3, "steps"), batch=2, threads=1)
    model = Transformer(width=16, depth=1, mixer=Attention(heads=2))
    for name, seed, said in (("a", 0, text), ("b", 1, text), ("c", 0, text + "Q" * 200)):
        told = Experiment(name=name, layout=Sequence(16), model=model, training=training, seed=seed)
        train(told, said, tmp_path / name)
    both = semagram.ensemble(tmp_path / "a", tmp_path / "b")
    held_out = text[-60:]
    data = both.compress(held_out)
    assert semagram.ensemble(tmp_path / "a", tmp_path / "b").decompress(data) == held_out
    nats = [semagram.load(tmp_path / name).score(held_out).total_nats for name in "ab"]
    assert both.score(held_out).total_nats <= sum(nats) / 2 + 1e-6
    assert both.parameters == 2 * semagram.load(tmp_path / "a").parameters
    with pytest.raises(UserError, match="written by run"):
        semagram.ensemble(tmp_path / "a", tmp_path / "b", bayesian=True).decompress(data)
    with pytest.raises(UserError, match="one vocabulary"):
        semagram.ensemble(tmp_path / "a", tmp_path / "c")
